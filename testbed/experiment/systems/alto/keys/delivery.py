"""The scenario's `delivery:`: from where functions come to clusters, and who decides to which.

The descriptions are the documentation.
"""

from __future__ import annotations

from pydantic import Field

from testbed.experiment.schema_parts import LinkKeys, Part
from testbed.faas.placement.policies import POLICIES


class DeliveryKeys(Part):
    """Functions come to clusters over the network, as content that is known by its digest (docs/faas.md)."""

    repository: str
    """Site of the repository, a host of its own, that all functions lie at."""
    site: str | None = None
    """Site of the cluster client, whom users ask and who redirects them (HTTP 307), and of its ALTO client, each a host
    of its own; default: there are none, users ask clusters, and nothing is delivered after the begin of the load."""
    link: LinkKeys = LinkKeys()
    """Link between each of these hosts and its site."""
    policy: str = Field("alto", examples=sorted(POLICIES))
    """Which cluster is better than another, for the users of a site (docs/alto/placement.md)."""
    policy_parameters: dict[str, float | str] = {}
    """Parameters of the policy."""
    refresh_s: float = Field(1.0, ge=0)
    """A list of clusters that is older is asked for again."""
    wait_s: float = Field(30.0, gt=0)
    """A user waits for a delivery for so long at most."""
    horizon_s: float = Field(60.0, gt=0)
    """A delivery has to pay within this time."""
    silent_after_s: float = Field(10.0, gt=0)
    """A cluster of which nothing was reported for so long is left out while there are others."""
    unused_s: float | None = Field(None, gt=0)
    """A function that no user was sent to for so long is removed; default: never."""
