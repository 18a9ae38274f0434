"""What a control process goes by to tell direct traffic with instances from what is left of flows that have ended."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.net.addresses import Address
from testbed.runtime.document import Document


@dataclass(frozen=True)
class DirectConfig(Document):
    """Conntrack of what hosts and instances send each other without a D-SID (docs/decisions/0037)."""

    ct_zone: int
    """Its zone."""
    gateways: tuple[Address, ...] = ()
    """The node's own addresses among the hosts of its site: instances may always answer these."""
