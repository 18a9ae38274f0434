"""The entries of services steered by tunnel, executed: the D-SID stays, the MAC address says where to."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.config.tunnel import StationConfig, TunnelConfig
from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.affinity.table import AffinityEntry, HeldFlow
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE, FlowKey
from tests.dyncast_samples import CLIENT, CLIENT6, D_SID, D_SID6, FAR, FAR6, HERE, NEAR, NEAR6, PEER, THERE
from tests.flowtable.flow_table import CONTROLLER, NORMAL, FlowTable, Output, Packet, packet_out

_TUNNEL, _NEAR_PORT, _CLIENT_PORT = 9, 3, 5
_HERE = ip_address("10.1.0.1")
_MACS = {name: bytes.fromhex(f"0200000000{number:02x}") for number, name in enumerate(("near", "far", "here", "there"))}
_STATIONS = (
    StationConfig(NEAR, _MACS["near"], _NEAR_PORT),
    StationConfig(NEAR6, _MACS["near"], _NEAR_PORT),
    StationConfig(FAR, _MACS["far"]),
    StationConfig(FAR6, _MACS["far"]),
    StationConfig(PEER.address, _MACS["there"]),
)
_TIMEOUT_S = 30


def entries() -> TunnelEntries:
    return TunnelEntries(TunnelConfig(_HERE, _TUNNEL, _STATIONS), frozenset({D_SID, D_SID6}), Counter())


def new_table() -> FlowTable:
    table = FlowTable()
    table.execute(flow_entries.ordinary_traffic() + entries().for_everyone())
    for d_sid in (D_SID, D_SID6):
        table.execute(flow_entries.intercept_service(d_sid))
    return table


def packet(src: Address, dst: Address, in_port: int = _CLIENT_PORT, to: str = "here", **changes: Any) -> dict[str, Any]:
    version = src.version
    return {
        "in_port": in_port,
        "eth_dst": text(_MACS[to]),
        "eth_type": 0x0800 if version == 4 else 0x86DD,
        f"ipv{version}_src": str(src),
        f"ipv{version}_dst": str(dst),
        "ip_proto": 6,
        "ttl": 64,
        "tcp_src": 40000,
        "tcp_dst": 80,
        **changes,
    }


def text(mac: bytes) -> str:
    return mac.hex(":")


def bound(
    d_bid: Address, *, client: Address = CLIENT, number: int = 1, fields: tuple[str, ...] = FIVE_TUPLE
) -> AffinityEntry:
    d_sid = D_SID if client.version == 4 else D_SID6
    site = HERE if d_bid in (NEAR, NEAR6) else THERE
    key = FlowKey(client, d_sid, 6, 40000, 80).masked(fields)
    return AffinityEntry(number, key, d_bid, site, _TIMEOUT_S, 0, 0)


@pytest.mark.parametrize(
    ("client", "d_sid", "d_bid", "to", "port"),
    [
        (CLIENT, D_SID, NEAR, "near", _NEAR_PORT),
        (CLIENT, D_SID, FAR, "far", _TUNNEL),
        (CLIENT, D_SID, PEER.address, "there", _TUNNEL),
        (CLIENT6, D_SID6, NEAR6, "near", _NEAR_PORT),
        (CLIENT6, D_SID6, FAR6, "far", _TUNNEL),
        (CLIENT6, D_SID6, PEER.address, "there", _TUNNEL),
    ],
)
def test_a_bound_flow_keeps_its_addresses_both_ways(
    client: Address, d_sid: Address, d_bid: Address, to: str, port: int
) -> None:
    table, first = new_table(), packet(client, d_sid)
    assert table.send(first) == [Output(CONTROLLER, first)]
    entry = bound(d_bid, client=client)
    said = entries().forward_packet(entry, PacketIn(_CLIENT_PORT, b"\0" * 60))
    table.execute(entries().affinity(entry))
    steered = [Output(port, first | {"eth_dst": text(_MACS[to]), "ttl": 63})]
    assert table.send(first) == steered == packet_out(said, first)
    answer = packet(d_sid, client, tcp_src=80, tcp_dst=40000)
    assert table.send(answer) == [Output(NORMAL, answer)]


def test_a_packet_at_its_last_hop_goes_no_further() -> None:
    table = new_table()
    table.execute(entries().affinity(bound(FAR)))
    assert table.send(packet(CLIENT, D_SID, ttl=1)) == []


@pytest.mark.parametrize(("client", "d_sid"), [(CLIENT, D_SID), (CLIENT6, D_SID6)])
def test_what_is_for_an_instance_here_comes_out_there_whatever_is_bound(client: Address, d_sid: Address) -> None:
    table = new_table()
    arriving = packet(client, d_sid, _TUNNEL, "near")
    for entry in (None, bound(FAR, client=client)):
        if entry is not None:
            table.execute(entries().affinity(entry))
        assert table.send(arriving) == [Output(_NEAR_PORT, arriving)]


def test_the_egress_is_asked_for_what_is_for_it_to_choose_and_delivers_what_it_chose() -> None:
    table, arriving = new_table(), packet(CLIENT, D_SID, _TUNNEL, "here")
    assert table.send(arriving) == [Output(CONTROLLER, arriving)]
    table.execute(entries().affinity(bound(NEAR)))
    assert table.send(arriving) == [Output(_NEAR_PORT, arriving | {"eth_dst": text(_MACS["near"]), "ttl": 63})]


@pytest.mark.parametrize(
    ("client", "d_sid", "error"),
    [
        (CLIENT, D_SID, {"ip_proto": 1, "icmpv4_type": 3, "icmpv4_code": 4}),
        (CLIENT6, D_SID6, {"ip_proto": 58, "icmpv6_type": 2}),
    ],
)
def test_clients_learn_what_the_kernel_says_of_packets_too_big_for_the_tunnel_and_of_nothing_else(
    client: Address, d_sid: Address, error: dict[str, int]
) -> None:
    said = {**packet(d_sid, client, _TUNNEL, "far"), **error}
    for port in ("tcp_src", "tcp_dst"):
        del said[port]
    assert new_table().send(said) == [Output(ofp.OFPP_FLOOD, said)]
    kind = "icmpv4_code" if client.version == 4 else "icmpv6_type"
    assert new_table().send({**said, kind: 1}) == []


@pytest.mark.parametrize(
    "stray",
    [
        packet(CLIENT, NEAR, _TUNNEL, "here"),
        packet(NEAR, CLIENT, _TUNNEL, "here"),
        {"in_port": _TUNNEL, "eth_dst": "ff:ff:ff:ff:ff:ff", "eth_type": 0x0806},
    ],
    ids=["to a D-BID", "from a D-BID", "ARP"],
)
def test_nothing_else_comes_out_of_a_tunnel(stray: Packet) -> None:
    assert new_table().send(stray) == []


def test_what_comes_home_is_counted_for_the_flow_and_wide_identifiers_take_all_of_it() -> None:
    table = new_table()
    narrow, wide = bound(FAR, number=1), bound(NEAR, client=CLIENT + 1, number=2, fields=THREE_TUPLE)
    for entry in (narrow, wide):
        table.execute(entries().affinity(entry))
    table.send(packet(D_SID, CLIENT, tcp_src=80, tcp_dst=40000))
    for port in (1, 2, 3):
        table.send(packet(D_SID, CLIENT + 1, tcp_src=80, tcp_dst=port))
    for entry, packets in ((narrow, 1), (wide, 3)):
        read = table.counters(flow_entries.read_counters(entry))
        assert [item.packet_count for item in read if flow_entries.is_reverse(item.match, entry)] == [packets]


def test_removal_takes_both_entries_and_idling_tells_of_the_way_to_the_service() -> None:
    table = new_table()
    before = list(table.entries)
    table.execute(entries().affinity(bound(FAR, number=7)), 0.0)
    (gone,) = table.expire(_TIMEOUT_S)
    assert (flow_entries.number_of(gone.cookie), gone.reason) == (7, ofp.OFPRR_IDLE_TIMEOUT)
    table.execute(flow_entries.remove_affinity(bound(FAR, number=7)))
    assert table.entries == before


@pytest.mark.parametrize("d_bid", [NEAR, FAR, PEER.address], ids=["here", "there", "a site"])
def test_a_control_process_that_comes_back_reads_where_flows_are_bound_to(d_bid: Address) -> None:
    table, entry = new_table(), bound(d_bid)
    table.execute(entries().affinity(entry))
    for is_whole in (True, False):
        (held,) = flow_entries.held_flows(_as_replied(table), entries().stations)
        assert held == HeldFlow(entry.number, entry.flow, d_bid, 0.0, has_forward=is_whole, has_reverse=True)
        table.expire(_TIMEOUT_S)


def test_a_flow_to_what_is_no_station_gets_no_entry_and_is_counted() -> None:
    counters: Counter[str] = Counter()
    made = TunnelEntries(TunnelConfig(_HERE, _TUNNEL, _STATIONS), frozenset({D_SID}), counters)
    entry = bound(FAR + 1)
    assert (made.affinity(entry), made.forward_packet(entry, PacketIn(_CLIENT_PORT, b""))) == (b"", b"")
    assert counters["packets_to_no_station"] == 2


def test_without_a_tunnel_there_are_no_entries_and_none_is_its_end() -> None:
    none = TunnelEntries(None, frozenset(), Counter())
    assert (none.for_everyone(), none.is_end(0), none.steers(D_SID), dict(none.stations)) == (b"", False, False, {})


def _as_replied(table: FlowTable) -> list[Any]:
    """Entries of bound flows as the framework reads them from a switch's reply."""
    return [
        SimpleNamespace(
            cookie=entry.cookie, match=entry.match, instructions=[SimpleNamespace(actions=entry.actions)],
            duration_sec=0, duration_nsec=0,
        )
        for entry in table.counters(flow_entries.read_bound_flows())
    ]  # fmt: skip
