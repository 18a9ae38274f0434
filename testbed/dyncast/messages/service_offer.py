"""What a D-MA reports of a service besides metrics, so that an ingress that knows no service can steer it.

Owns the octets, which stand before the metrics of a binding, in the same fields (`metrics.wire_fields`): type 192, an
integer of 2^n octets. A receiver that does not know that type skips it by its length. The value is

    fields of the flow identifier, one bit each (8) | port block, as a power of two (8) | affinity timeout, s (16)
    length of the name (8) | name, UTF-8 | zeros up to 2^n octets

Section 4.1 of the CFN-Dyncast architecture leaves open how D-Routers learn of services.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from testbed.net.flow_key import FIVE_TUPLE

_KIND = 192
_NOMINAL = 1 << 5
_FIELDS_OCTETS = 4
_VALUE = struct.Struct("!BBHB")
_LARGEST_EXPONENT = 7
_MOST_NAME_OCTETS = (1 << _LARGEST_EXPONENT) - _VALUE.size


@dataclass(frozen=True)
class ServiceOffer:
    """A service as its site offers it: its name, what a flow of it is, and for how long one is bound."""

    name: str
    """Its name."""
    flow_fields: tuple[str, ...] = FIVE_TUPLE
    """The fields that identify a flow."""
    port_block: int = 1
    """So many consecutive ports are one flow."""
    affinity_timeout_s: int = 30
    """How long an idle flow stays bound."""


def encode(offer: ServiceOffer) -> bytes:
    """Return an offer as octets. Raises ValueError for a name that is too long."""
    name = offer.name.encode()
    if len(name) > _MOST_NAME_OCTETS:
        raise ValueError(f"service name of {len(name)} octets; at most {_MOST_NAME_OCTETS}")
    identifying = sum(1 << bit for bit, field in enumerate(FIVE_TUPLE) if field in offer.flow_fields)
    block = offer.port_block.bit_length() - 1
    value = _VALUE.pack(identifying, block, offer.affinity_timeout_s, len(name)) + name
    exponent = (len(value) - 1).bit_length()
    return bytes((_KIND, exponent << 2, _NOMINAL, 0)) + value.ljust(1 << exponent, b"\0")


def decode(metrics: bytes | memoryview) -> ServiceOffer | None:
    """Return the offer that metrics, from their number on, begin with; None if they begin with none.

    Raises ValueError or struct.error for one that is malformed.
    """
    if not metrics[0] or metrics[1] != _KIND:
        return None
    value = bytes(metrics[1 + _FIELDS_OCTETS : 1 + _FIELDS_OCTETS + (1 << (metrics[2] >> 2 & 0b111))])
    identifying, block, timeout_s, length = _VALUE.unpack_from(value)
    name = value[_VALUE.size : _VALUE.size + length]
    if len(name) < length:
        raise ValueError("cut short in the name of a service")
    fields = tuple(field for bit, field in enumerate(FIVE_TUPLE) if identifying >> bit & 1)
    return ServiceOffer(name.decode(), fields, 1 << block, timeout_s)
