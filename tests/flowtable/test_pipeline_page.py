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

from ryu_apps.dyncast.config.tunnel import StationConfig, TunnelConfig
from ryu_apps.dyncast.datapath_mode.pools import Pools
from ryu_apps.dyncast.entries import flow_entries, pool_entries
from ryu_apps.dyncast.entries.dispatcher_entries import DispatcherEntries
from ryu_apps.dyncast.entries.pool_entries import PoolSpec
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.openflow.framework import ofproto_v1_3, ofproto_v1_3_parser
from ryu_apps.openflow.packet_in import NO_PACKET
from testbed.dyncast.actions import SetWeights, TrackUplink
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.net.flow_key import FIVE_TUPLE, TCP, FlowKey
from tests.flowtable.flow_table import FlowTable

PAGE = (Path(__file__).parents[2] / "docs/dyncast/pipeline.md").read_text(encoding="utf-8")
EDGE = re.compile(r"^    ([A-Z_]+) (-->|-\.->)(?:\|[^|]+\|)? ([A-Z_]+)$", re.MULTILINE)
NODE = re.compile(r'^    ([A-Z_]+)\["(\d+) ([A-Z_]+)<br>', re.MULTILINE)
UPLINK_PORT, TUNNEL_PORT = 1, 9
NO_RECIRCULATION = 0xFF
D_SID, D_BID, CLIENTS = ip_address("203.0.113.10"), ip_address("10.2.0.10"), ip_network("10.1.0.0/16")
FLOW = FlowKey(ip_address("10.1.0.9"), D_SID, TCP, 40000, 80)
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
        assert group_id == 1
        self.buckets += [action for _, actions in buckets.values() for action in actions]


def entries(fields: tuple[str, ...]) -> Iterator[Any]:
    """Let pools of two D-SIDs set a switch up, with and without instances; yield the entries that they write."""
    services = [Service(f"service-{n}", (ip_address(f"203.0.113.{n}"),), flow_fields=fields) for n in (10, 11)]
    specs = [PoolSpec(number, item, item.d_sids[0], 4710 + number) for number, item in enumerate(services, 1)]
    sent: list[Any] = []
    groups = Groups()
    pools = Pools(specs, [CLIENTS], UPLINK_PORT, groups, SimpleNamespace(), generation=7)  # type: ignore[arg-type]
    datapath = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
    pools.connect(datapath, sent.append)
    for shares in ({D_BID: 64}, {}):
        pools.set_weights(SetWeights(specs[0].d_sid, shares, frozenset({D_BID})), now_s=5.0)
    yield from (message for message in sent if message.command == ofproto_v1_3.OFPFC_ADD)
    if groups.buckets:
        yield SimpleNamespace(table_id="GROUP", instructions=[SimpleNamespace(actions=groups.buckets)])


@cache
def drawn_by_the_code() -> tuple[frozenset[tuple[str, str, str]], frozenset[tuple[str, str]]]:
    """Return the edges between tables, and the tables with their priorities, of all kinds of pools."""
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
        return "-->", {UPLINK_PORT: "UPLINK", ofproto_v1_3.OFPP_NORMAL: "NORMAL"}[action.port]
    return None


def test_tables_have_the_numbers_of_the_code() -> None:
    assert {getattr(pool_entries, name): name for name in TABLES.values()} == TABLES
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
            flow_entries.intercept_range(ip_network("203.0.113.0/24")),
            flow_entries.track_reverse_flows(D_BID, [CLIENTS]),
            flow_entries.affinity(BOUND, UPLINK_PORT),
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
    ("heading", "messages"),
    [("Reactive mode", of_reactive()), ("Tunnels", of_tunnels()), ("Dispatcher", of_dispatcher())],
    ids=["reactive", "tunnels", "dispatcher"],
)
def test_the_single_table_has_the_priorities_described(heading: str, messages: bytes) -> None:
    table = FlowTable()
    table.execute(messages)
    written = Counter(entry.priority for entry in table.entries)
    bound = f"{200 + 2 * len(FIVE_TUPLE)}"
    described = Counter(bound if row[0] == "200 + 2n" else row[0] for row in rows(heading))
    assert described == Counter({str(priority): number for priority, number in written.items()})


def test_every_cookie_is_described() -> None:
    kinds = {
        value >> 48
        for module in (flow_entries, pool_entries)
        for name, value in vars(module).items()
        if name.endswith("_COOKIE")
    }
    assert {int(row[0], 16) for row in rows("Cookies")} == kinds
