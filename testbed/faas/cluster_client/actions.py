"""What a cluster client asks of its adapter: lists of clusters, deliveries and removals, and answers to users."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from testbed.faas.placement.policies import Ranked


@dataclass(frozen=True)
class AskClusters:
    """Ask the ALTO client for the clusters as a site sees them (step 2). Then `on_clusters`, or `on_no_clusters`."""

    site: str


@dataclass(frozen=True)
class Deliver:
    """Have a function delivered to a cluster (step 4). Then `on_delivered` or `on_not_delivered`, with this order."""

    order: int
    function: str
    cluster: str


@dataclass(frozen=True)
class Remove:
    """Have a function removed from a cluster. Then `on_removed` or `on_not_removed`, with this order."""

    order: int
    function: str
    cluster: str


@dataclass(frozen=True)
class Redirect:
    """Send a user to a cluster, which holds the function. `waited_s`: for lists and deliveries, until now.

    `is_steered`: to whichever the network chooses among those that hold it, which may be another one than `chosen`.
    """

    request: int
    function: str
    site: str
    chosen: Ranked
    waited_s: float
    is_steered: bool = False


class Reason(Enum):
    """Why a user is not sent anywhere."""

    UNKNOWN_FUNCTION = "there is no such function"
    NO_CLUSTER = "no cluster can hold the function"
    NOT_IN_TIME = "the function is not at any cluster yet"
    TOO_MANY = "too many requests wait"
    STOPPED = "the cluster client is being stopped"


@dataclass(frozen=True)
class Refuse:
    """Answer a user that it cannot be. `detail`: one line for it; `retry_after_s`: when it may be otherwise."""

    request: int
    reason: Reason
    detail: str
    retry_after_s: float | None = None


Action = AskClusters | Deliver | Remove | Redirect | Refuse
