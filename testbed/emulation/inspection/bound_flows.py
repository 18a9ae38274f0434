"""The binding table of a running D-Router, read from its switch: which flow is bound to which instance.

The drafts' tables (figure 4 of the CFN-Dyncast, figure 3 of the Dyncast architecture), whoever bound the flow: flow
entries of the D-Router, entries that the switch has learnt, or tracked connections. Reads only, and needs no control
process. Owns how the lines of `ovs-ofctl dump-flows` are read; what the cookies and tables mean is said in
`ryu_apps.dyncast.entries.flow_entries` and `ryu_apps.dyncast.entries.group_entries`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType

from testbed.emulation.switches.bridges import dump_flows
from testbed.linux.ovs_conntrack import Conntrack
from testbed.net.addresses import Address

Stations = Mapping[str, tuple[Address, ...]]

_FORWARD, _GROUP, _LEARNT = 0xD1, 0xD3, 0xD6
_CLASSIFY, _AFFINITY, _LEARN = 0, 2, 8
_PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmp6": "icmp", "tcp6": "tcp", "udp6": "udp"}
_NUMBERED = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp"}
_ZONE = re.compile(r"zone=(\d+)")
_GROUP_NUMBER = re.compile(r"set_field:0x([0-9a-f]+)->reg5|load:0x([0-9a-f]+)->NXM_NX_REG5\[\]")
_SET_DESTINATION = re.compile(r"set_field:([0-9a-f.:]+)->(?:ip|ipv6)_dst|mod_nw_dst:([0-9.]+)")
_SET_STATION = re.compile(r"set_field:([0-9a-f:]{17})->eth_dst")
_LOAD = re.compile(r"load:(0x[0-9a-f]+|0)->NXM_NX_X*REG0\[(?:(\d+)\.\.\d+)?\]")


@dataclass(frozen=True)
class BoundFlow:
    """One binding. A field that does not identify the flow is None; `held_by` says what in the switch holds it.

    Ports are each the first of `port_block` that are as one.
    """

    src: Address | None
    src_port: int | None
    d_sid: Address
    dst_port: int | None
    proto: str | None
    d_bid: Address
    age_s: float | None
    timeout_s: int | None
    held_by: str
    port_block: int = 1


@dataclass(frozen=True)
class _Entry:
    """One flow entry of the switch: `fields` of its match, `text` of its actions."""

    kind: int
    table: int
    age_s: float
    timeout_s: int | None
    fields: dict[str, str]
    actions: str


def bound_flows(
    bridge: str, conntrack: Conntrack, now_s: float, stations: Stations = MappingProxyType({})
) -> Iterator[BoundFlow]:
    """Return the bindings of a bridge; `now_s` is of CLOCK_MONOTONIC, `stations` are those of the run.

    A flow that was assigned to a site as such is bound to the address of its D-Router. Raises BridgeError,
    ConntrackError.
    """
    entries = [entry for line in dump_flows(bridge) if (entry := _entry(line))]
    yield from _of_the_d_router(entries, stations)
    groups = dict(_weighted_groups(entries))
    yield from _learnt(entries, {number: d_sid for d_sid, (number, _) in groups.items()})
    # Where identifiers are learnt, connections are but parts of a flow.
    learning = {int(entry.fields["reg5"], 16) for entry in entries if (entry.kind, entry.table) == (_GROUP, _LEARN)}
    for zone in sorted({zone for number, zone in groups.values() if number not in learning}):
        yield from _tracked(conntrack, zone, now_s)


def _of_the_d_router(entries: Iterable[_Entry], stations: Stations) -> Iterator[BoundFlow]:
    for entry in entries:
        d_sid = _address(entry.fields, "dst")
        if entry.kind != _FORWARD or d_sid is None:
            continue
        destination, station = _SET_DESTINATION.search(entry.actions), _SET_STATION.search(entry.actions)
        if destination:
            yield _bound(entry, d_sid, ip_address(destination[1] or destination[2]), "entry")
        elif station and (addresses := stations.get(station[1])):
            # A D-Router has one address for both families.
            d_bid = next((address for address in addresses if address.version == d_sid.version), addresses[0])
            yield _bound(entry, d_sid, d_bid, "entry")


def _weighted_groups(entries: Iterable[_Entry]) -> Iterator[tuple[Address, tuple[int, int]]]:
    for entry in entries:
        d_sid = _address(entry.fields, "dst")
        number, zone = _GROUP_NUMBER.search(entry.actions), _ZONE.search(entry.actions)
        to_d_sid = entry.kind == _GROUP and entry.table == _CLASSIFY and entry.fields.get("priority") == "100"
        if to_d_sid and d_sid is not None and number and zone:
            yield d_sid, (int(number[1] or number[2], 16), int(zone[1]))


def _learnt(entries: Iterable[_Entry], d_sids: dict[int, Address]) -> Iterator[BoundFlow]:
    for entry in entries:
        loads = _LOAD.findall(entry.actions)
        if entry.kind == _LEARNT and entry.table == _AFFINITY and loads:
            d_sid = d_sids.get(int(entry.fields["reg5"], 16))
            if d_sid is not None:
                number = sum(int(value, 16) << int(first_bit or 0) for value, first_bit in loads)
                d_bid = IPv4Address(number) if d_sid.version == 4 else IPv6Address(number)
                yield _bound(entry, d_sid, d_bid, "learnt")


def _tracked(conntrack: Conntrack, zone: int, now_s: float) -> Iterator[BoundFlow]:
    for item in conntrack.connections(zone):
        yield BoundFlow(
            item.src, item.src_port, item.dst, item.dst_port, _PROTOCOLS.get(item.proto, item.proto),
            item.answered_by, max(0.0, now_s - item.mark) if item.mark else None, item.timeout_s, "conntrack",
        )  # fmt: skip


def _bound(entry: _Entry, d_sid: Address, d_bid: Address, held_by: str) -> BoundFlow:
    fields = entry.fields
    names = [_PROTOCOLS[name] for name in fields if name in _PROTOCOLS]
    number = fields.get("nw_proto")
    proto = names[0] if names else _NUMBERED.get(int(number), number) if number else None
    return BoundFlow(
        _address(fields, "src"), _port(fields, "tp_src"), d_sid, _port(fields, "tp_dst"), proto,
        d_bid, entry.age_s, entry.timeout_s, held_by, _port_block(fields),
    )  # fmt: skip


def _entry(line: str) -> _Entry | None:
    before, found, actions = line.strip().partition(" actions=")
    if not found:
        return None
    words = [word.partition("=") for word in re.split(r"[,\s]+", before)]
    fields = {key: value for key, _, value in words if key}
    timeout = fields.get("idle_timeout") or fields.get("hard_timeout")
    return _Entry(
        kind=int(fields.get("cookie", "0"), 16) >> 48,
        table=int(fields.get("table", "0")),
        age_s=float(fields.get("duration", "0s").rstrip("s")),
        timeout_s=int(timeout) if timeout else None,
        fields=fields,
        actions=actions,
    )


def _address(fields: dict[str, str], end: str) -> Address | None:
    value = fields.get(f"nw_{end}") or fields.get(f"ipv6_{end}")
    return None if value is None or "/" in value else ip_address(value)


def _port(fields: dict[str, str], key: str) -> int | None:
    return int(fields[key].partition("/")[0], 0) if key in fields else None


def _port_block(fields: dict[str, str]) -> int:
    masks = [mask for key in ("tp_src", "tp_dst") if (mask := fields.get(key, "").partition("/")[2])]
    return 0x10000 - int(masks[0], 0) if masks else 1
