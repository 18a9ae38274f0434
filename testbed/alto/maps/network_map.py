"""Network maps: endpoints grouped into PIDs, and which PID an address is in (RFC 7285, sections 5 and 11.2).

A map does not change; `tag` follows from its content. It knows nothing of who asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from testbed.alto import json_octets
from testbed.alto.errors import AltoDataError
from testbed.alto.maps import addresses
from testbed.alto.maps.addresses import BITS, Prefix
from testbed.alto.maps.prefix_table import PrefixTable
from testbed.alto.names import AddressType, PIDName, ResourceID, is_address_type, is_pid_name, is_received_pid_name
from testbed.alto.version_tags import VersionTag, tag_of

AddressGroup = Mapping[AddressType, tuple[str, ...]]
PIDs = Mapping[PIDName, Mapping[AddressType, Iterable[str]]]

_REMEMBERED = 1 << 16  # addresses whose PID is looked up once
_LONGEST_REMEMBERED = 64  # characters; strangers' addresses may have any number


class NetworkMap:
    """PIDs with the prefixes in each."""

    def __init__(self, resource_id: ResourceID, pids: PIDs, tag: str | None = None) -> None:
        """Take a server's own map, by its own rules; raises AltoDataError."""
        self._fill(resource_id, pids, tag, is_pid_name, addresses.prefix)

    @classmethod
    def received(cls, resource_id: ResourceID, pids: PIDs, tag: str) -> NetworkMap:
        """Take the map of another server, which need not be complete; raises AltoDataError."""
        network_map = cls.__new__(cls)
        network_map._fill(resource_id, pids, tag, is_received_pid_name, addresses.received_prefix)
        return network_map

    def _fill(
        self,
        resource_id: ResourceID,
        pids: PIDs,
        tag: str | None,
        is_name: Callable[[str], bool],
        parse: Callable[[AddressType, str], Prefix | None],
    ) -> None:
        self.resource_id = resource_id
        self._received_tag = tag
        self.pids: Mapping[PIDName, AddressGroup] = MappingProxyType(
            {pid: _group(pid, pids[pid], parse) for pid in pids}
        )
        for pid in pids:
            if not is_name(pid):
                raise AltoDataError(f"{resource_id}: {pid!r} is no PID name (RFC 7285, section 10.1)")
        self.prefixes: PrefixTable[PIDName] = PrefixTable(self._owners(parse))
        self._others = {
            (kind, address): pid
            for pid, group in self.pids.items()
            for kind in group.keys() - BITS.keys()
            for address in group[kind]
        }
        self._remembered_pid_of: Callable[[str], PIDName | None] = lru_cache(_REMEMBERED)(self._pid_of)

    def _owners(self, parse: Callable[[AddressType, str], Prefix | None]) -> dict[Prefix, PIDName]:
        owners: dict[Prefix, PIDName] = {}
        for pid, group in self.pids.items():
            for kind in group.keys() & BITS.keys():
                for text in group[kind]:
                    prefix = parse(kind, text)
                    if prefix is not None and owners.setdefault(prefix, pid) != pid:
                        raise AltoDataError(f"{self.resource_id}: {prefix} is in {owners[prefix]} and in {pid}")
        return owners

    def pid_of(self, address: str) -> PIDName | None:
        """Return the PID of a typed address such as `ipv4:192.0.2.1`, by the longest prefix that matches."""
        return self._remembered_pid_of(address) if len(address) <= _LONGEST_REMEMBERED else self._pid_of(address)

    def _pid_of(self, address: str) -> PIDName | None:
        kind, _, text = address.partition(":")
        number = addresses.address_number(kind, text)
        if number is not None:
            return self.prefixes.longest_match(kind, number)
        return self._others.get((kind, text))

    @cached_property
    def tag(self) -> str:
        """Return the tag: that of the server it came from, or one derived from the content."""
        if self._received_tag is not None:
            return self._received_tag
        content = {pid: {kind: sorted(group[kind]) for kind in group} for pid, group in self.pids.items()}
        return tag_of(json_octets.canonical(content))

    @cached_property
    def pid_property(self) -> PrefixTable[tuple[PIDName]]:
        """Return the property `pid` of prefixes, as property maps have values."""
        return PrefixTable({prefix: (pid,) for prefix, pid in self.prefixes.values.items()})

    @property
    def vtag(self) -> VersionTag:
        """Return which version of which resource this is."""
        return VersionTag(self.resource_id, self.tag)

    @property
    def address_types(self) -> frozenset[AddressType]:
        """Return the types of address that occur."""
        return frozenset(kind for group in self.pids.values() for kind in group)

    def check_complete(self) -> None:
        """Raise AltoDataError unless each address of each type that occurs is in a PID (11.2.2)."""
        for kind in sorted(self.address_types & BITS.keys()):
            gap = _first_gap(kind, [prefix for prefix in self.prefixes.values if prefix.kind == kind])
            if gap is not None:
                everything = Prefix(kind, 0, 0).text()
                raise AltoDataError(
                    f"{self.resource_id}: {Prefix(kind, gap, BITS[kind]).text()} is in no PID; "
                    f"give {everything} to one of them"
                )

    def select(self, pids: Collection[PIDName], address_types: Collection[AddressType]) -> dict[PIDName, AddressGroup]:
        """Return the part that a filter asks for; nothing asked for is everything, unknown names are passed over."""
        chosen = self.pids if not pids else {pid: self.pids[pid] for pid in dict.fromkeys(pids) if pid in self.pids}
        if not address_types:
            return dict(chosen)
        return {pid: {kind: group[kind] for kind in group if kind in address_types} for pid, group in chosen.items()}

    def document(self, pids: Mapping[PIDName, AddressGroup] | None = None) -> dict[str, Any]:
        """Return the response (11.2.1.6): of the whole map, or with the PIDs that a filter left."""
        return {"meta": {"vtag": self.vtag.document()}, "network-map": _plain(self.pids if pids is None else pids)}

    @cached_property
    def octets(self) -> bytes:
        """Return the octets of the whole map's response."""
        return json_octets.encode(self.document())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkMap) and self.vtag == other.vtag

    def __hash__(self) -> int:
        return hash(self.vtag)


def _group(
    pid: PIDName, group: Mapping[AddressType, Iterable[str]], parse: Callable[[AddressType, str], Prefix | None]
) -> AddressGroup:
    """Return an address group with IP prefixes in their one text, each once."""
    return MappingProxyType({kind: tuple(dict.fromkeys(_texts(pid, kind, group[kind], parse))) for kind in group})


def _texts(
    pid: PIDName, kind: AddressType, texts: Iterable[str], parse: Callable[[AddressType, str], Prefix | None]
) -> Iterable[str]:
    if not is_address_type(kind):
        raise AltoDataError(f"{pid}: {kind!r} is no type of address (RFC 7285, section 10.4.2)")
    for text in texts:
        if kind not in BITS:
            yield text
            continue
        prefix = parse(kind, text)
        if prefix is None:
            raise AltoDataError(f"{pid}: {text!r} is no {kind} prefix (bits beyond its length must be zero)")
        yield prefix.text()


def _plain(pids: Mapping[PIDName, AddressGroup]) -> dict[PIDName, dict[AddressType, list[str]]]:
    return {pid: {kind: list(texts) for kind, texts in group.items()} for pid, group in pids.items()}


def _first_gap(kind: AddressType, prefixes: list[Prefix]) -> int | None:
    """Return the first address that is in no prefix."""
    reached = 0
    for prefix in sorted(prefixes, key=lambda prefix: prefix.first):
        if prefix.first > reached:
            break
        reached = max(reached, prefix.first + prefix.addresses)
    return None if reached == 1 << BITS[kind] else reached
