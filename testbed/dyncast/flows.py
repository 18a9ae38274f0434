"""What a flow is: keys, the fields that identify it per service, and services themselves.

Sections 4.2 of the Dyncast and 4.4 of the CFN-Dyncast architecture: each service says which fields
identify a flow and how long affinity lasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from testbed.dyncast.codec import Address

TCP = 6
UDP = 17

FIVE_TUPLE = ("src", "dst", "proto", "src_port", "dst_port")
THREE_TUPLE = ("src", "dst", "proto")
AFFINITY_MODES = ("reactive", "datapath")


class FlowKey(NamedTuple):
    """The headers of a packet; a field that does not identify the flow is None ("-" in the drafts' tables)."""

    src: Address | None
    dst: Address
    proto: int | None
    src_port: int | None
    dst_port: int | None

    @property
    def lacks_ports(self) -> bool:
        """Tell whether this is TCP or UDP of unknown ports: a later fragment, or cut short."""
        return self.proto in (TCP, UDP) and self.src_port is None

    def masked(self, fields: tuple[str, ...]) -> FlowKey:
        """Keep only the identifying fields; the destination (the D-SID) always is one."""
        return FlowKey(
            self.src if "src" in fields else None,
            self.dst,
            self.proto if "proto" in fields else None,
            self.src_port if "src_port" in fields else None,
            self.dst_port if "dst_port" in fields else None,
        )


@dataclass(frozen=True)
class Service:
    """A service as an ingress knows it. `d_sids` holds one address per family it is offered in.

    `affinity_mode`: who binds a new flow, the D-Router upon its first packet (`reactive`) or the switch (`datapath`).
    """

    name: str
    d_sids: tuple[Address, ...]
    policy: str = "dyncast"
    flow_fields: tuple[str, ...] = FIVE_TUPLE
    affinity_timeout_s: int = 30
    affinity_mode: str = "reactive"

    @property
    def identifies_by_ports(self) -> bool:
        """Tell whether packets without ports cannot be told to belong to a flow."""
        return "src_port" in self.flow_fields or "dst_port" in self.flow_fields

    def __post_init__(self) -> None:
        unknown = set(self.flow_fields) - set(FIVE_TUPLE)
        if unknown:
            raise ValueError(f"service {self.name}: unknown flow fields {sorted(unknown)}; known: {list(FIVE_TUPLE)}")
        if {"src_port", "dst_port"} & set(self.flow_fields) and "proto" not in self.flow_fields:
            raise ValueError(f"service {self.name}: ports identify a flow only together with proto")
        if self.affinity_mode not in AFFINITY_MODES:
            raise ValueError(f"service {self.name}: affinity mode must be one of {AFFINITY_MODES}")
        if self.affinity_mode == "datapath" and "src" not in self.flow_fields:
            raise ValueError(f"service {self.name}: in datapath mode, src must be among the flow fields")
        if not 1 <= self.affinity_timeout_s <= 65535:
            raise ValueError(f"service {self.name}: affinity_timeout_s must be 1..65535, not {self.affinity_timeout_s}")
