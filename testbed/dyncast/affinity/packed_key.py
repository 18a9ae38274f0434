"""A flow identifier as a few bytes: the form in which a great many of them are remembered.

Owns the form, which never leaves the process. Python hashes bytes with a secret of the process, so that no sender can
choose flows that collide in a table.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey

_FIELDS = Struct("!BBHH")  # which fields there are, proto, src_port, dst_port; then dst, then src if there is one
_HAS_PROTO, _HAS_SRC_PORT, _HAS_DST_PORT, _IS_V6 = 1, 2, 4, 8


def pack(flow: FlowKey) -> bytes:
    """Return the bytes of a flow identifier; different identifiers give different bytes."""
    src, dst, proto, src_port, dst_port = flow
    shape = _IS_V6 if dst.version == 6 else 0
    if proto is None:
        proto = 0
    else:
        shape |= _HAS_PROTO
    if src_port is None:
        src_port = 0
    else:
        shape |= _HAS_SRC_PORT
    if dst_port is None:
        dst_port = 0
    else:
        shape |= _HAS_DST_PORT
    packed = _FIELDS.pack(shape, proto, src_port, dst_port) + dst.packed
    return packed if src is None else packed + src.packed


def unpack(packed: bytes) -> FlowKey:
    """Return the flow identifier that was packed."""
    shape, proto, src_port, dst_port = _FIELDS.unpack_from(packed)
    start_of_src = _FIELDS.size + (16 if shape & _IS_V6 else 4)
    src = packed[start_of_src:]
    return FlowKey(
        _address(src) if src else None,
        _address(packed[_FIELDS.size : start_of_src]),
        proto if shape & _HAS_PROTO else None,
        src_port if shape & _HAS_SRC_PORT else None,
        dst_port if shape & _HAS_DST_PORT else None,
    )


def _address(packed: bytes) -> Address:
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
