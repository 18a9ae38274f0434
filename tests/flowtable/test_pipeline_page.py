"""docs/dyncast/pipeline.md draws the switch as the entry modules make it: edges, tables, priorities and cookies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.config.direct import DirectConfig
from ryu_apps.dyncast.config.tunnel import StationConfig, TunnelConfig
from ryu_apps.dyncast.datapath_mode.weighted_groups import WeightedGroups
from ryu_apps.dyncast.entries import direct_entries, flow_entries, group_entries
from ryu_apps.dyncast.entries.direct_entries import DirectEntries
from ryu_apps.dyncast.entries.dispatcher_entries import DispatcherEntries
from ryu_apps.dyncast.entries.group_entries import GroupSpec
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.openflow.framework import ofproto_v1_3, ofproto_v1_3_parser
from ryu_apps.openflow.packet_in import NO_PACKET
from ryu_apps.openflow.packets import icmp_errors
from testbed.dyncast.actions import SetWeights, TrackUplink
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.net.flow_key import FIVE_TUPLE, TCP, FlowKey
from tests.flowtable.flow_table import FlowTable, flow_mods
from tests.flowtable.taken import Taken

PAGE = (Path(__file__).parents[2] / "docs/dyncast/pipeline.md").read_text(encoding="utf-8")
EDGE = re.compile(r"^    ([A-Z_]+) (-->|-\.->)(?:\|[^|]+\|)? ([A-Z_]+)$", re.MULTILINE)
NODE = re.compile(r'^    ([A-Z_]+)\["(\d+) ([A-Z_]+)<br>', re.MULTILINE)
UPLINK_PORT, TUNNEL_PORT = 1, 9
_PORTS = {
    UPLINK_PORT: "UPLINK",
    ofproto_v1_3.OFPP_NORMAL: "NORMAL",
    ofproto_v1_3.OFPP_CONTROLLER: "CONTROL",
}
NO_RECIRCULATION = 0xFF
D_SID, D_BID, CLIENTS = ip_address("203.0.113.10"), ip_address("10.2.0.10"), ip_network("10.1.0.0/16")
D_BID6 = ip_address("fd00:d:2::a")
NEAR = ip_address("10.1.0.10")  # an instance of the site, which may call its own D-SID
DIRECT = DirectEntries(DirectConfig(4711, (ip_address("10.1.0.1"),)), [CLIENTS], UPLINK_PORT)
FLOW = FlowKey(ip_address("10.1.0.9"), D_SID, TCP, 40000, 80)
WIDE = AffinityEntry(8, FLOW._replace(src=None), D_BID, "west", 20, created_s=0.0, installed_s=0.0)
BOUND = AffinityEntry(7, FLOW, D_BID, "west", 20, created_s=0.0, installed_s=0.0)


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]


def rows(heading: str) -> list[tuple[str, ...]]:
    lines = [line for line in section(heading).splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[1:]]


TABLES = {int(number): name for _, number, name in NODE.findall(section("Datapath mode"))}


class Groups:
    """Remembers the buckets that the switch was given."""

    def __init__(self) -> None:
        self.buckets: list[Any] = []

    def set(self, group_id: int, buckets: dict[int, tuple[int, list[Any]]]) -> None:
        assert group_id in (1, 3)
        self.buckets += [action for _, actions in buckets.values() for action in actions]


def entries(fields: tuple[str, ...]) -> Iterator[Any]:
    """Let groups of two D-SIDs set a switch up, with and without instances; yield the entries that they write."""
    d_sids = [ip_address(item) for item in ("203.0.113.10", "203.0.113.11", "fd00:5::10")]
    services = [Service(f"service {d_sid}", (d_sid,), flow_fields=fields) for d_sid in d_sids]
    specs = [GroupSpec(number, item, item.d_sids[0], 4710 + number) for number, item in enumerate(services, 1)]
    sent: list[Any] = []
    select_groups = Groups()
    groups = WeightedGroups(specs, [CLIENTS], UPLINK_PORT, select_groups, SimpleNamespace(), 7, DIRECT.zone)  # type: ignore[arg-type]
    datapath = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
    taken = Taken()
    groups.connect(datapath, sent.append, taken)
    for shares in ({NEAR: 32, D_BID: 32}, {NEAR: 64}, {}):
        groups.set_weights(SetWeights(specs[0].d_sid, shares, frozenset({NEAR, D_BID})), now_s=5.0)
        taken.all_of_it()
    groups.set_weights(SetWeights(specs[2].d_sid, {D_BID6: 64}, frozenset({D_BID6})), now_s=5.0)
    taken.all_of_it()
    yield from (message for message in sent if message.command == ofproto_v1_3.OFPFC_ADD)
    yield from flow_mods(DIRECT.for_everyone() + DIRECT.to_instance(D_BID))
    if select_groups.buckets:
        yield SimpleNamespace(table_id="GROUP", instructions=[SimpleNamespace(actions=select_groups.buckets)])


@cache
def drawn_by_the_code() -> tuple[frozenset[tuple[str, str, str]], frozenset[tuple[str, str]]]:
    """Return the edges between tables, and the tables with their priorities, of all kinds of groups."""
    edges, places = set(), {("AFFINITY", "100")}  # what is learnt is written by no message
    for fields in (FIVE_TUPLE, ("src", "dst"), ("src", "dst", "proto", "dst_port")):
        for message in entries(fields):
            table = TABLES.get(message.table_id, "GROUP")
            actions = message.instructions[0].actions
            edges |= {(table, *edge) for edge in map(leads_to, actions) if edge}
            if table != "GROUP":
                places.add((table, str(message.priority)))
                if not actions:
                    edges.add((table, "-->", "DROP"))
    return frozenset(edges), frozenset(places)


def leads_to(action: Any) -> tuple[str, str] | None:
    kind = type(action).__name__
    if kind == "NXActionResubmitTable":
        return "-->", TABLES[action.table_id]
    if kind == "NXActionCT" and action.recirc_table != NO_RECIRCULATION:
        return "-->", TABLES[action.recirc_table]
    if kind == "NXActionLearn":
        return "-.->", TABLES[action.table_id]
    if kind == "OFPActionGroup":
        return "-->", "GROUP"
    if kind == "OFPActionOutput":
        return "-->", _PORTS[action.port]
    return None


def test_tables_have_the_numbers_of_the_code() -> None:
    assert {getattr(group_entries, name): name for name in TABLES.values()} == TABLES
    _, places = drawn_by_the_code()
    assert set(TABLES.values()) == {table for table, _ in places}


def test_every_arrow_is_one_that_packets_take_and_none_is_missing() -> None:
    edges, _ = drawn_by_the_code()
    assert set(EDGE.findall(section("Datapath mode"))) == edges


def test_every_table_and_priority_is_described() -> None:
    _, places = drawn_by_the_code()
    assert {row[:2] for row in rows("Datapath mode")} == places


def of_reactive() -> bytes:
    return b"".join(
        [
            flow_entries.ordinary_traffic(),
            flow_entries.intercept_service(D_SID),
            flow_entries.intercept_fragments(D_SID),
            flow_entries.intercept_errors(D_SID),
            flow_entries.intercept_errors(CLIENTS),
            flow_entries.intercept_range(ip_network("203.0.113.0/24")),
            flow_entries.track_reverse_flows(D_BID, [CLIENTS]),
            DIRECT.to_instance(D_BID),
            DIRECT.from_instance(D_BID),
            flow_entries.affinity(WIDE, UPLINK_PORT),
        ]
    )


def of_tunnels() -> bytes:
    stations = (
        StationConfig(D_BID, b"\2\0\0\0\0\1", 3),
        StationConfig(ip_address("10.3.0.10"), b"\2\0\0\0\0\2"),
    )
    tunnel = TunnelEntries(TunnelConfig(ip_address("10.1.0.1"), TUNNEL_PORT, stations), frozenset({D_SID}), Counter())
    return tunnel.for_everyone() + tunnel.affinity(BOUND)


def of_dispatcher() -> bytes:
    watch = TrackUplink((CLIENTS,), brings_back=True)
    return DispatcherEntries(UPLINK_PORT).wording[TrackUplink](watch, NO_PACKET)


@pytest.mark.parametrize(
    ("heading", "messages", "bound"),
    [("Reactive mode", of_reactive(), WIDE), ("Tunnels", of_tunnels(), BOUND), ("Dispatcher", of_dispatcher(), BOUND)],
    ids=["reactive", "tunnels", "dispatcher"],
)
def test_the_single_table_has_the_priorities_described(heading: str, messages: bytes, bound: AffinityEntry) -> None:
    table = FlowTable()
    table.execute(messages)
    written = Counter(entry.priority for entry in table.entries if entry.table == 0)
    fields = sum(field is not None for field in bound.flow)
    described: Counter[str] = Counter()
    for priority, match, *_ in rows(heading):
        base, _, per_field = priority.partition(" + ")
        each = len(icmp_errors.TYPES[4]) if "of each type" in match else 1
        described[str(int(base) + 2 * fields) if per_field == "2n" else base] += each
    assert described == Counter({str(priority): number for priority, number in written.items()})


def test_every_cookie_is_described() -> None:
    kinds = {
        value >> 48
        for module in (flow_entries, group_entries, direct_entries)
        for name, value in vars(module).items()
        if name.endswith("_COOKIE")
    }
    assert {int(row[0], 16) for row in rows("Cookies")} == kinds
