"""What a node decided, received or noticed, for the record. Pure data; `actions` has what it asks for."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.dyncast.policies.candidate import Weighed
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey


@dataclass(frozen=True)
class Decided:
    """A decision, for the record: what was weighed of the `considered` instances (the chosen one, the cheapest).

    Without `d_bid`, sites were weighed, and `egress` is the one chosen: its D-Router picks the instance.
    """

    time_s: float
    service: str
    policy: str
    flow: FlowKey
    d_bid: Address | None
    egress: str
    metrics_age_s: float
    considered: int
    weighed: tuple[Weighed, ...]


@dataclass(frozen=True)
class MetricsReceived:
    """A report that arrived, or was dropped for `reason`, for the record."""

    time_s: float
    site: str
    sequence: int
    event: str
    reason: str
    d_sid: Address | None = None
    d_bid: Address | None = None


@dataclass(frozen=True)
class Noticed:
    """A change that no message reported, for the record.

    `event`: path_lost (a site answers no probes), path_back, control_silent (its kernel does, its control process does
    not), control_back, expired (nobody refreshed the binding).
    """

    time_s: float
    event: str
    site: str
    d_sid: Address | None = None
    d_bid: Address | None = None


Event = Decided | MetricsReceived | Noticed
