"""The entries of a D-Router, executed: which packets come out where, rewritten how."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.affinity.table import AffinityEntry, HeldFlow
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE, FlowKey
from tests.dyncast_samples import CLIENT, CLIENT6, D_SID, D_SID6, FAR, FAR6, NEAR, NEAR6
from tests.flowtable.flow_table import CONTROLLER, NORMAL, FlowTable, Output, Packet, Unsupported, packet_out

_UPLINK = 1
_OTHER_D_SID = D_SID + 1
_CLIENT_PORT = 5
_TIMEOUT_S = 30
_TRANSPORTS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "sctp": 132}

_numbers: Iterator[int] = count(1)


def packet(src: Address, dst: Address, transport: str = "tcp", ports: tuple[int, int] = (40000, 80)) -> dict[str, Any]:
    version = src.version
    fields: dict[str, Any] = {
        "in_port": _CLIENT_PORT,
        "eth_type": 0x0800 if version == 4 else 0x86DD,
        f"ipv{version}_src": str(src),
        f"ipv{version}_dst": str(dst),
        "ip_proto": _TRANSPORTS[transport],
    }
    if transport in ("tcp", "udp"):
        fields |= {f"{transport}_src": ports[0], f"{transport}_dst": ports[1]}
    return fields


def bound(
    first: Packet, d_bid: Address, fields: tuple[str, ...] = FIVE_TUPLE, *, number: int | None = None
) -> AffinityEntry:
    """The affinity entry of the flow that a packet belongs to."""
    version = d_bid.version
    transport = next((name for name in ("tcp", "udp") if f"{name}_src" in first), None)
    key = FlowKey(
        ip_address(first[f"ipv{version}_src"]),
        ip_address(first[f"ipv{version}_dst"]),
        first["ip_proto"],
        first[f"{transport}_src"] if transport else None,
        first[f"{transport}_dst"] if transport else None,
    )
    return AffinityEntry(
        number or next(_numbers), key.masked(fields), d_bid, "east", _TIMEOUT_S, created_s=0, installed_s=0
    )


def new_table() -> FlowTable:
    """A switch that was taken over, and has no flows yet."""
    table = FlowTable()
    table.execute(flow_entries.ordinary_traffic())
    for d_sid in (D_SID, D_SID6):
        table.execute(flow_entries.intercept_service(d_sid))
    return table


def install(table: FlowTable, entry: AffinityEntry, now_s: float = 0.0) -> None:
    table.execute(flow_entries.affinity(entry, _UPLINK), now_s)


_FLOWS = [
    pytest.param(CLIENT, D_SID, NEAR, transport, fields, id=f"v4-{transport}-{len(fields)}-tuple")
    for transport in ("tcp", "udp", "icmp", "sctp")
    for fields in (FIVE_TUPLE, THREE_TUPLE)
] + [
    pytest.param(CLIENT6, D_SID6, NEAR6, transport, fields, id=f"v6-{transport}-{len(fields)}-tuple")
    for transport in ("tcp", "udp", "icmp6")
    for fields in (FIVE_TUPLE, THREE_TUPLE)
]


@pytest.mark.parametrize(("client", "d_sid", "d_bid", "transport", "fields"), _FLOWS)
def test_a_bound_flow_is_rewritten_both_ways_and_nothing_else_of_it_changes(
    client: Address, d_sid: Address, d_bid: Address, transport: str, fields: tuple[str, ...]
) -> None:
    table = new_table()
    first = packet(client, d_sid, transport)
    install(table, bound(first, d_bid, fields))
    version = d_sid.version
    assert table.send(first) == [Output(_UPLINK, first | {f"ipv{version}_dst": str(d_bid)})]
    answer = packet(d_bid, client, transport, ports=(80, 40000))
    assert table.send(answer) == [Output(NORMAL, answer | {f"ipv{version}_src": str(d_sid)})]


@pytest.mark.parametrize(("client", "d_sid", "d_bid", "transport", "fields"), _FLOWS)
def test_the_first_packet_goes_to_the_controller_and_out_as_its_entry_says(
    client: Address, d_sid: Address, d_bid: Address, transport: str, fields: tuple[str, ...]
) -> None:
    table = new_table()
    first = packet(client, d_sid, transport)
    assert table.send(first) == [Output(CONTROLLER, first)]
    entry = bound(first, d_bid, fields)
    message = flow_entries.forward_packet(entry, _UPLINK, PacketIn(_CLIENT_PORT, b"\0" * 60))
    sent = packet_out(message, first)
    install(table, entry)
    assert sent == table.send(first)
    assert message.endswith(b"\0" * 60)


@pytest.mark.parametrize(
    "unrelated",
    [
        packet(CLIENT, NEAR),
        packet(NEAR, CLIENT, ports=(80, 40001)),
        packet(NEAR, CLIENT + 1, ports=(80, 40000)),
        packet(NEAR, CLIENT, "udp", ports=(80, 40000)),
        packet(FAR, CLIENT, ports=(80, 40000)),
        packet(CLIENT6, NEAR6),
        {"in_port": _CLIENT_PORT, "eth_type": 0x0806},
    ],
    ids=str,
)
def test_unrelated_traffic_is_switched_as_usual(unrelated: Packet) -> None:
    table = new_table()
    install(table, bound(packet(CLIENT, D_SID), NEAR))
    assert table.send(unrelated) == [Output(NORMAL, dict(unrelated))]


@pytest.mark.parametrize(
    "other",
    [
        packet(CLIENT, D_SID, ports=(40001, 80)),
        packet(CLIENT, D_SID, ports=(40000, 81)),
        packet(CLIENT, D_SID, "udp"),
        packet(CLIENT, D_SID, "icmp"),
        packet(CLIENT + 1, D_SID),
        packet(CLIENT6, D_SID6),
    ],
    ids=str,
)
def test_other_flows_to_the_service_are_not_taken_along(other: Packet) -> None:
    table = new_table()
    install(table, bound(packet(CLIENT, D_SID), NEAR))
    assert table.send(other) == [Output(CONTROLLER, dict(other))]


def test_flows_do_not_cross() -> None:
    table = new_table()
    flows = [
        (packet(CLIENT, D_SID, ports=(40000, 80)), NEAR),
        (packet(CLIENT, D_SID, ports=(40001, 80)), FAR),
        (packet(CLIENT + 1, D_SID, ports=(40000, 80)), FAR),
        (packet(CLIENT, D_SID, "udp"), FAR),
        (packet(CLIENT, D_SID, "icmp"), NEAR),
        (packet(CLIENT6, D_SID6), FAR6),
    ]
    for first, d_bid in flows:
        install(table, bound(first, d_bid))
    for first, d_bid in flows:
        ((port, sent),) = table.send(first)
        assert (port, sent[f"ipv{d_bid.version}_dst"]) == (_UPLINK, str(d_bid))


def test_a_three_tuple_takes_all_ports_along_and_fragments_too() -> None:
    table = new_table()
    install(table, bound(packet(CLIENT, D_SID, "udp"), NEAR, THREE_TUPLE))
    later_fragment = {name: value for name, value in packet(CLIENT, D_SID, "udp").items() if "udp" not in name}
    for sent in (packet(CLIENT, D_SID, "udp", ports=(1, 2)), later_fragment):
        assert table.send(sent) == [Output(_UPLINK, sent | {"ipv4_dst": str(NEAR)})]


def test_an_instance_of_two_services_answers_as_the_one_that_was_asked() -> None:
    """One service knows a client's flows apart by ports, the other does not; both chose the same instance."""
    for narrow_first in (True, False):
        table = new_table()
        narrow = bound(packet(CLIENT, D_SID), NEAR)
        wide = bound(packet(CLIENT, D_SID + 1, ports=(50000, 81)), NEAR, THREE_TUPLE)
        for entry in (narrow, wide) if narrow_first else (wide, narrow):
            install(table, entry)
        for ports, d_sid in (((80, 40000), D_SID), ((81, 50000), D_SID + 1), ((81, 50001), D_SID + 1)):
            answer = packet(NEAR, CLIENT, ports=ports)
            assert table.send(answer) == [Output(NORMAL, answer | {"ipv4_src": str(d_sid)})]


# -- removal -----------------------------------------------------------------------------------------


def test_removing_a_flow_takes_both_entries_and_no_others() -> None:
    table = new_table()
    before = list(table.entries)
    gone = bound(packet(CLIENT, D_SID), NEAR, number=1)
    stays = bound(packet(CLIENT + 1, D_SID), NEAR, number=1 << 40 | 1)
    install(table, gone)
    install(table, stays)
    removed = table.execute(flow_entries.remove_affinity(gone))
    assert [(flow_entries.number_of(item.cookie), item.reason) for item in removed] == [(1, ofp.OFPRR_DELETE)]
    assert table.send(packet(CLIENT, D_SID))[0].port == CONTROLLER
    answer = packet(NEAR, CLIENT, ports=(80, 40000))
    assert table.send(answer) == [Output(NORMAL, answer)]
    assert table.send(packet(CLIENT + 1, D_SID))[0].port == _UPLINK
    table.execute(flow_entries.remove_affinity(stays))
    assert table.entries == before


def test_a_flow_may_be_bound_anew_to_another_instance() -> None:
    table = new_table()
    first = packet(CLIENT, D_SID)
    old = bound(first, NEAR)
    install(table, old)
    table.execute(flow_entries.remove_affinity(old))
    install(table, bound(first, FAR))
    assert table.send(first)[0].packet["ipv4_dst"] == str(FAR)


def test_installing_again_changes_nothing_and_keeps_the_counts() -> None:
    table = new_table()
    first = packet(CLIENT, D_SID)
    entry = bound(first, NEAR)
    install(table, entry)
    table.send(first)
    size = len(table.entries)
    install(table, entry)
    assert len(table.entries) == size
    assert sorted(item.packet_count for item in table.counters(flow_entries.read_counters(entry))) == [0, 1]


def test_taking_over_a_switch_removes_what_an_earlier_controller_left_and_nothing_else() -> None:
    table = new_table()
    install(table, bound(packet(CLIENT, D_SID), NEAR))
    for message in flow_entries.remove_everything_of_ours():
        table.execute(message)
    assert [(entry.priority, entry.match) for entry in table.entries] == [(0, {})]


# -- idleness ----------------------------------------------------------------------------------------


def test_a_flow_s_way_to_the_service_ends_when_idle_and_the_switch_says_so() -> None:
    table = new_table()
    first = packet(CLIENT, D_SID)
    entry = bound(first, NEAR)
    install(table, entry, now_s=100)
    table.send(first, now_s=110)
    assert table.expire(139.9) == []
    ((cookie, reason, packets),) = table.expire(140)
    assert flow_entries.is_affinity(cookie)
    assert (flow_entries.number_of(cookie), reason, packets) == (entry.number, ofp.OFPRR_IDLE_TIMEOUT, 1)
    assert table.send(first)[0].port == CONTROLLER


def test_the_way_home_stays_and_tells_how_much_came_home() -> None:
    table = new_table()
    entry = bound(packet(CLIENT, D_SID), NEAR)
    install(table, entry)
    answer = packet(NEAR, CLIENT, ports=(80, 40000))
    for _ in range(3):
        table.send(answer, now_s=50)
    table.expire(now_s=1e6)
    (read,) = table.counters(flow_entries.read_counters(entry))
    assert flow_entries.is_reverse(read.match, entry)
    assert (read.packet_count, flow_entries.number_of(read.cookie)) == (3, entry.number)
    assert table.send(answer)[0].packet["ipv4_src"] == str(D_SID)


def test_an_entry_put_back_gets_its_full_time() -> None:
    table = new_table()
    entry = bound(packet(CLIENT, D_SID), NEAR)
    install(table, entry, now_s=0)
    assert len(table.expire(30)) == 1
    install(table, entry, now_s=30)
    assert table.expire(59) == []
    assert len(table.expire(60)) == 1


def test_the_ways_of_a_flow_are_told_apart() -> None:
    for client, d_sid, d_bid in ((CLIENT, D_SID, NEAR), (CLIENT6, D_SID6, NEAR6)):
        table = FlowTable()
        entry = bound(packet(client, d_sid), d_bid)
        install(table, entry)
        found = {bool(item.idle_timeout_s): flow_entries.is_reverse(item.match, entry) for item in table.entries}
        assert found == {True: False, False: True}


def test_cookies_say_what_an_entry_is() -> None:
    table = new_table()
    install(table, bound(packet(CLIENT, D_SID), NEAR, number=7))
    kinds = {(entry.priority, flow_entries.is_affinity(entry.cookie)) for entry in table.entries}
    assert kinds == {(0, False), (100, False), (210, True)}


# -- the table itself --------------------------------------------------------------------------------


def test_the_table_refuses_what_it_does_not_know() -> None:
    table = FlowTable()
    with pytest.raises(Unsupported, match="no Flow-Mod"):
        table.execute(flow_entries.read_counters(bound(packet(CLIENT, D_SID), NEAR)))
    entry = bound(packet(CLIENT, D_SID), NEAR)
    with pytest.raises(Unsupported, match="no packet back out of port 1"):
        packet_out(flow_entries.forward_packet(entry, _UPLINK, PacketIn(_UPLINK, b"")), packet(CLIENT, D_SID))


def test_without_any_entry_nothing_comes_out() -> None:
    assert FlowTable().send(packet(CLIENT, D_SID)) == []


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_block_of_ports_is_one_flow_both_ways_and_its_neighbours_are_not(transport: str) -> None:
    table = new_table()
    entry = bound(packet(CLIENT, D_SID, transport, (40000, 5004)), NEAR)
    table.execute(flow_entries.affinity(entry, _UPLINK, port_block=4))
    for own, other in [(40000, 5004), (40003, 5007), (40001, 5005)]:
        (there,) = table.send(packet(CLIENT, D_SID, transport, (own, other)))
        assert there == Output(_UPLINK, packet(CLIENT, NEAR, transport, (own, other)))
        (back,) = table.send(packet(NEAR, CLIENT, transport, (other, own)))
        assert back == Output(NORMAL, packet(D_SID, CLIENT, transport, (other, own)))
    for own, other in [(39999, 5004), (40004, 5004), (40000, 5003), (40000, 5008)]:
        (output,) = table.send(packet(CLIENT, D_SID, transport, (own, other)))
        assert output.port == CONTROLLER
    (held,) = flow_entries.held_flows(_as_replied(table, flow_entries.read_bound_flows()))
    assert (held.flow, held.d_bid, held.has_forward, held.has_reverse) == (entry.flow, NEAR, True, True)


def test_one_port_is_told_from_the_block_of_another_service() -> None:
    table = new_table()
    whole = bound(packet(CLIENT, D_SID, "udp", (40000, 5004)), NEAR)
    single = bound(packet(CLIENT, _OTHER_D_SID, "udp", (40001, 5005)), NEAR)
    table.execute(flow_entries.affinity(whole, _UPLINK, port_block=4))
    install(table, single)
    (back,) = table.send(packet(NEAR, CLIENT, "udp", (5005, 40001)))
    assert back.packet["ipv4_src"] == str(_OTHER_D_SID)


@pytest.mark.parametrize(("src", "dst", "d_bid", "transport", "fields"), _FLOWS)
def test_bound_flows_are_read_back_as_they_were_written(
    src: Address, dst: Address, d_bid: Address, transport: str, fields: tuple[str, ...]
) -> None:
    table = new_table()
    entry = bound(packet(src, dst, transport), d_bid, fields)
    install(table, entry)
    request = flow_entries.read_bound_flows()
    assert flow_entries.held_flows(_as_replied(table, request)) == [
        HeldFlow(entry.number, entry.flow, d_bid, 3.5, has_forward=True, has_reverse=True)
    ]
    table.entries = [item for item in table.entries if not item.idle_timeout_s]
    (held,) = flow_entries.held_flows(_as_replied(table, request))
    assert (held.flow, held.has_forward, held.has_reverse) == (entry.flow, False, True)


def _as_replied(table: FlowTable, request: bytes) -> list[Any]:
    """Entries as the framework reads them from a reply."""
    return [
        SimpleNamespace(
            cookie=entry.cookie,
            match=entry.match,
            instructions=[SimpleNamespace(actions=entry.actions)],
            duration_sec=3,
            duration_nsec=500_000_000,
        )
        for entry in table.counters(request)
    ]


_FAMILIES = pytest.mark.parametrize(
    ("client", "d_sid", "d_bid", "site"),
    [
        (CLIENT, D_SID, NEAR, ip_network("10.1.0.0/16")),
        (CLIENT6, D_SID6, NEAR6, ip_network("fd00:d:1::/64")),
    ],
    ids=["v4", "v6"],
)
_ERRORS = {4: ("icmp", "icmpv4_type", (3, 11, 12)), 6: ("icmp6", "icmpv6_type", (1, 2, 3, 4))}


def table_of_specials(d_sid: Address, d_bid: Address, site: Network) -> FlowTable:
    table = new_table()
    table.execute(flow_entries.intercept_fragments(d_sid) + flow_entries.track_reverse_flows(d_bid, [site]))
    for to in (d_sid, site):
        table.execute(flow_entries.intercept_errors(to))
    return table


@_FAMILIES
@pytest.mark.parametrize("fields", [FIVE_TUPLE, THREE_TUPLE], ids=["5-tuple", "3-tuple"])
def test_no_entry_of_a_flow_ever_sees_a_fragment(
    client: Address, d_sid: Address, d_bid: Address, site: Network, fields: tuple[str, ...]
) -> None:
    table = table_of_specials(d_sid, d_bid, site)
    install(table, bound(packet(client, d_sid, "udp"), d_bid, fields))
    for fragment in (1, 3):  # the first, a later one
        there = packet(client, d_sid, "udp") | {"ip_frag": fragment}
        back = packet(d_bid, client, "udp", ports=(80, 40000)) | {"ip_frag": fragment}
        assert table.send(there) == [Output(CONTROLLER, there)]
        assert table.send(back) == [Output(CONTROLLER, back)]


@_FAMILIES
def test_what_has_been_brought_up_and_is_of_no_flow_passes_as_any_packet(
    client: Address, d_sid: Address, d_bid: Address, site: Network
) -> None:
    table = table_of_specials(d_sid, d_bid, site)
    transport, field, kinds = _ERRORS[client.version]
    errors = [packet(FAR if client.version == 4 else FAR6, client, transport) | {field: kind} for kind in kinds]
    for came in (packet(d_bid, client, "udp") | {"ip_frag": 3}, *errors):
        assert [output.port for output in table.send(came)] == [CONTROLLER]
        (passed,) = table.packet_out(flow_entries.pass_packet(PacketIn(_UPLINK, b"")), came)
        assert passed == Output(NORMAL, came | {"reg7": 1})
    ping = packet(client, d_sid, transport) | {field: {4: 8, 6: 128}[client.version]}
    assert table.send(ping) == [Output(CONTROLLER, ping)]  # as the first packet of a flow
    for other in (packet(client, d_bid, "udp"), packet(d_bid, client, "udp")):
        assert table.send(other | {"ip_frag": 0})[0].port == NORMAL


@_FAMILIES
def test_an_instance_s_own_call_by_a_wide_identifier_comes_up_and_counts_for_no_direction(
    client: Address, d_sid: Address, d_bid: Address, site: Network
) -> None:
    table = table_of_specials(d_sid, d_bid, site)
    entry = bound(packet(client, d_sid), d_bid, ("dst", "proto", "dst_port"))
    install(table, entry)
    own_call = packet(d_bid, d_sid)
    assert table.send(own_call) == [Output(CONTROLLER, own_call)]
    assert table.send(packet(client, d_sid))[0].port == _UPLINK
    answer = packet(d_bid, client, ports=(80, 40000))
    assert table.send(answer) == [Output(NORMAL, answer | {f"ipv{d_sid.version}_src": str(d_sid)})]
    read = table.counters(flow_entries.read_counters(entry))
    assert [item.packet_count for item in read if flow_entries.is_reverse(item.match, entry)] == [1]
    (held,) = flow_entries.held_flows(_as_replied(table, flow_entries.read_bound_flows()))
    assert held == HeldFlow(entry.number, entry.flow, d_bid, 3.5, has_forward=True, has_reverse=True)
