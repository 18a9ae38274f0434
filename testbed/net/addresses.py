"""An IP address, or a network, of either family, and addresses that are looked up often."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_REMEMBERED = 4096


class _Frequent4(IPv4Address):
    """An address that keeps its hash and its text, which take a microsecond each; equal to any that is the same."""

    __slots__ = ("_hash", "_text")

    def __init__(self, address: bytes | int | str) -> None:
        super().__init__(address)
        self._hash, self._text = super().__hash__(), super().__str__()

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


class _Frequent6(IPv6Address):
    """The same, of IPv6."""

    __slots__ = ("_hash", "_text")

    def __init__(self, address: bytes | int | str) -> None:
        super().__init__(address)
        self._hash, self._text = super().__hash__(), super().__str__()

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


@lru_cache(_REMEMBERED)
def of_octets(octets: bytes) -> Address:
    """Return the address in 4 or 16 octets: the same few come with every message, and to make one takes a while."""
    return _Frequent4(octets) if len(octets) == 4 else _Frequent6(octets)
