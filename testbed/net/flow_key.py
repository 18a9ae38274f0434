"""The header fields that name a flow."""

from __future__ import annotations

from typing import NamedTuple

from testbed.net.addresses import Address

TCP = 6
UDP = 17
FIVE_TUPLE = ("src", "dst", "proto", "src_port", "dst_port")
THREE_TUPLE = ("src", "dst", "proto")


class FlowKey(NamedTuple):
    """The headers of a packet; a field that does not identify the flow is None ("-" in the drafts' tables)."""

    src: Address | None
    dst: Address
    proto: int | None
    src_port: int | None
    dst_port: int | None

    @property
    def lacks_ports(self) -> bool:
        """Return whether this is TCP or UDP of unknown ports: a later fragment, or cut short."""
        return self.proto in (TCP, UDP) and self.src_port is None

    def reversed(self) -> FlowKey:
        """Return the headers of an answer. Raises ValueError where the source identifies no flow."""
        if self.src is None:
            raise ValueError(f"who would be answered? {self}")
        return FlowKey(self.dst, self.src, self.proto, self.dst_port, self.src_port)

    def masked(self, fields: tuple[str, ...]) -> FlowKey:
        """Keep only the identifying fields; the destination (the D-SID) always is one."""
        return FlowKey(
            self.src if "src" in fields else None,
            self.dst,
            self.proto if "proto" in fields else None,
            self.src_port if "src_port" in fields else None,
            self.dst_port if "dst_port" in fields else None,
        )
