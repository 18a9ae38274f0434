"""Messages of a CFN node to its CFN Dispatchers, and their fields (section 4.5 of the CFN-Dyncast architecture).

Owns the bodies of two messages; the header, with the CFN node's site, is that of `codec`. An *Assignment* says where a
flow goes, in answer to its first packet:

    which fields identify the flow (8): 1 src, 2 proto, 4 src_port, 8 dst_port; 128: no instance takes it
    address family 4|6 (8) | proto (8) | src_port (16) | dst_port (16) | idle timeout, s (16)
    D-SID | src, if it is a field | D-BID, if there is one | length of the egress's name (8) | the name, UTF-8

A *Withdrawal* says which instances serve nobody any more, so that flows bound to them are dispatched again. It is
repeated while that is so. The number of bindings (16), then of each

    address family 4|6 (8) | cause: 1 the instance died, 2 its egress is not reachable (8) | D-SID | D-BID
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey

MOST_WITHDRAWN = 32  # bindings in one message, which so fits a packet

_FLOW = struct.Struct("!BBBHHH")
_HAS_SRC, _HAS_PROTO, _HAS_SRC_PORT, _HAS_DST_PORT, _NO_INSTANCE = 1, 2, 4, 8, 128
_KNOWN = _HAS_SRC | _HAS_PROTO | _HAS_SRC_PORT | _HAS_DST_PORT | _NO_INSTANCE


class Cause(IntEnum):
    """Why an instance serves nobody any more."""

    DIED = 1
    UNREACHABLE = 2


@dataclass(frozen=True)
class Assignment:
    """Where the flow goes; `d_bid` None: no instance takes it. `site` is the CFN node's."""

    site: str
    sequence: int
    sent_s: float
    flow: FlowKey
    d_bid: Address | None
    egress: str
    timeout_s: int


@dataclass(frozen=True)
class Withdrawn:
    """A binding of a D-SID to an instance that serves nobody any more."""

    d_sid: Address
    d_bid: Address
    cause: Cause


@dataclass(frozen=True)
class Withdrawal:
    """Instances that serve nobody any more, as far as the CFN node `site` knows."""

    site: str
    sequence: int
    sent_s: float
    bindings: tuple[Withdrawn, ...]


def encode_assignment(message: Assignment) -> bytes:
    """Return the body of an assignment. Raises ValueError for what does not fit its field."""
    src, d_sid, proto, src_port, dst_port = message.flow
    fields = ((src, _HAS_SRC), (proto, _HAS_PROTO), (src_port, _HAS_SRC_PORT), (dst_port, _HAS_DST_PORT))
    shape = sum(bit for value, bit in fields if value is not None) | (0 if message.d_bid else _NO_INSTANCE)
    addresses = [address for address in (d_sid, src, message.d_bid) if address is not None]
    egress = message.egress.encode()
    if {address.version for address in addresses} != {d_sid.version} or len(egress) > 255:
        raise ValueError(f"no assignment: {message}")
    head = _FLOW.pack(shape, d_sid.version, proto or 0, src_port or 0, dst_port or 0, message.timeout_s)
    return head + b"".join(address.packed for address in addresses) + bytes([len(egress)]) + egress


def decode_assignment(site: str, sequence: int, sent_s: float, body: memoryview) -> Assignment:
    """Return the assignment with this body. Raises ValueError, struct.error or IndexError."""
    shape, family, proto, src_port, dst_port, timeout_s = _FLOW.unpack_from(body)
    if shape & ~_KNOWN:
        raise ValueError(f"unknown fields {shape:#x}")
    if not timeout_s:
        raise ValueError("an idle timeout of 0 s, which to a switch is none")
    d_sid, position = _address(body, _FLOW.size, family)
    src = d_bid = None
    if shape & _HAS_SRC:
        src, position = _address(body, position, family)
    if not shape & _NO_INSTANCE:
        d_bid, position = _address(body, position, family)
    egress = bytes(body[position + 1 :])
    if len(egress) != body[position]:
        raise ValueError(f"the egress's name has {len(egress)} bytes, not {body[position]}")
    flow = FlowKey(
        src, d_sid,
        proto if shape & _HAS_PROTO else None,
        src_port if shape & _HAS_SRC_PORT else None,
        dst_port if shape & _HAS_DST_PORT else None,
    )  # fmt: skip
    return Assignment(site, sequence, sent_s, flow, d_bid, egress.decode(), timeout_s)


def encode_withdrawal(message: Withdrawal) -> bytes:
    """Return the body of a withdrawal. Raises ValueError for more bindings than one message takes."""
    if len(message.bindings) > MOST_WITHDRAWN:
        raise ValueError(f"{len(message.bindings)} bindings are withdrawn; at most {MOST_WITHDRAWN} in a message")
    bindings = (
        bytes([item.d_sid.version, item.cause]) + item.d_sid.packed + item.d_bid.packed for item in message.bindings
    )
    return struct.pack("!H", len(message.bindings)) + b"".join(bindings)


def decode_withdrawal(site: str, sequence: int, sent_s: float, body: memoryview) -> Withdrawal:
    """Return the withdrawal with this body. Raises ValueError, struct.error or IndexError."""
    (count,) = struct.unpack_from("!H", body)
    position, bindings = 2, []
    for _ in range(count):
        family, cause = body[position], Cause(body[position + 1])
        d_sid, position = _address(body, position + 2, family)
        d_bid, position = _address(body, position, family)
        bindings.append(Withdrawn(d_sid, d_bid, cause))
    if position != len(body):
        raise ValueError(f"{len(body) - position} bytes too many")
    return Withdrawal(site, sequence, sent_s, tuple(bindings))


def _address(body: memoryview, start: int, family: int) -> tuple[Address, int]:
    if family not in (4, 6):
        raise ValueError(f"address family {family} is neither 4 nor 6")
    end = start + (4 if family == 4 else 16)
    packed = bytes(body[start:end])  # cut short: ipaddress says so
    return (IPv4Address(packed) if family == 4 else IPv6Address(packed)), end
