"""Addresses of endpoints and prefixes, as numbers (RFC 7285, section 10.4).

A typed address is text such as `ipv4:192.0.2.1`. Types other than `ipv4` and `ipv6` are kept as they are written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, NetmaskValueError

from testbed.alto.names import AddressType, is_address_type

BITS = {"ipv4": 32, "ipv6": 128}
_OCTETS = {str(number): number for number in range(256)}  # without leading zeros, as RFC 3986 has it
_NUMBER = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Prefix:
    """A block of addresses: the number of its first one and the number of bits that are fixed."""

    kind: AddressType
    first: int
    length: int

    @property
    def addresses(self) -> int:
        """Return how many there are in it."""
        return 1 << (BITS[self.kind] - self.length)

    def covers(self, other: Prefix) -> bool:
        """Return whether all addresses of another one are in it."""
        if self.kind != other.kind or self.length > other.length:
            return False
        shift = BITS[self.kind] - self.length
        return self.first >> shift == other.first >> shift

    def text(self) -> str:
        """Return it as RFC 4632 and RFC 5952 write it."""
        address = IPv4Address(self.first) if self.kind == "ipv4" else IPv6Address(self.first)
        return f"{address}/{self.length}"

    def __str__(self) -> str:
        return f"{self.kind}:{self.text()}"


def address_number(kind: AddressType, text: str) -> int | None:
    """Return the number of an IP address, or None if that is none."""
    if kind == "ipv4":
        return _ipv4_number(text)
    if kind != "ipv6" or "%" in text:
        return None
    try:
        return int(IPv6Address(text))
    except AddressValueError:
        return None


def _ipv4_number(text: str) -> int | None:
    """Return what ipaddress would, which takes ten times as long; requests have addresses by the hundred."""
    try:
        first, second, third, fourth = text.split(".")
        return _OCTETS[first] << 24 | _OCTETS[second] << 16 | _OCTETS[third] << 8 | _OCTETS[fourth]
    except (KeyError, ValueError):
        return None


def typed_address(text: str) -> tuple[AddressType, str] | None:
    """Return the two parts of a typed address, or None if it is not well-formed (10.4.1)."""
    kind, _, address = text.partition(":")
    is_good = address_number(kind, address) is not None if kind in BITS else is_address_type(kind) and bool(address)
    return (kind, address) if is_good else None


def is_typed_address(text: str) -> bool:
    """Return whether a typed address is well-formed."""
    if text.startswith("ipv4:"):
        return _ipv4_number(text[5:]) is not None
    return typed_address(text) is not None


def prefix(kind: AddressType, text: str) -> Prefix | None:
    """Return a prefix, whose bits beyond its length must be zero, or None if that is none."""
    found = received_prefix(kind, text)
    if found is None or found.first != address_number(kind, text.partition("/")[0]):
        return None
    return found


def received_prefix(kind: AddressType, text: str) -> Prefix | None:
    """Return a prefix of another's, of which bits beyond its length do not count, or None if that is none."""
    address, slash, length = text.partition("/")
    if not slash or not _NUMBER.fullmatch(length) or "%" in address:
        return None
    try:
        network = IPv4Network(text, strict=False) if kind == "ipv4" else IPv6Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None
    return Prefix(kind, int(network.network_address), network.prefixlen)
