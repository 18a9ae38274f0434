"""What the switches of a CFN Dispatcher and its CFN node do, executed: watched, asked, released and sent back."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.dyncast.entries.dispatcher_entries import DispatcherEntries
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.actions import (
    Action,
    DropHeld,
    HoldPacket,
    ReleasePackets,
    RequestSelection,
    ReturnPacket,
    TrackUplink,
)
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.net.addresses import Address
from tests.dyncast_samples import CLIENT, CLIENT6, D_SID, D_SID6, NEAR, NEAR6, flow
from tests.flowtable.flow_table import CONTROLLER, NORMAL, FlowTable, Output, packet_out

_UPLINK, _CLIENT_PORT = 1, 3
_PREFIXES = tuple(ip_network(client) for client in (CLIENT, CLIENT6))
FAMILIES = pytest.mark.parametrize(
    ("client", "d_sid", "d_bid"), [(CLIENT, D_SID, NEAR), (CLIENT6, D_SID6, NEAR6)], ids=["v4", "v6"]
)


def packet(in_port: int, src: Address, dst: Address) -> dict[str, Any]:
    version = src.version
    return {
        "in_port": in_port,
        "eth_type": 0x0800 if version == 4 else 0x86DD,
        f"ipv{version}_src": str(src),
        f"ipv{version}_dst": str(dst),
        "ip_proto": 6,
        "tcp_src": 40000,
        "tcp_dst": 80,
    }


def word(entries: DispatcherEntries, action: Action, in_port: int = 0, data: bytes = b"") -> bytes:
    return entries.wording[type(action)](action, PacketIn(in_port, data))


def table(brings_back: bool) -> FlowTable:
    """The switch of a Dispatcher that was taken over, and has no flows yet."""
    switch = FlowTable()
    switch.execute(flow_entries.ordinary_traffic())
    for d_sid in (D_SID, D_SID6):
        switch.execute(flow_entries.intercept_service(d_sid))
    switch.execute(word(DispatcherEntries(_UPLINK), TrackUplink(_PREFIXES, brings_back)))
    return switch


def bound(client: Address, d_sid: Address, d_bid: Address) -> AffinityEntry:
    return AffinityEntry(1, flow(src=client, dst=d_sid), d_bid, "east", 30, 0, 0)


@FAMILIES
def test_what_comes_from_a_client_comes_up_and_what_comes_for_it_goes_home(
    client: Address, d_sid: Address, d_bid: Address
) -> None:
    switch = table(brings_back=True)
    assert switch.send(packet(_CLIENT_PORT, client, d_sid))[0].port == CONTROLLER
    for ordinary in (packet(_UPLINK, d_bid, client), packet(_CLIENT_PORT, client, d_bid)):
        assert switch.send(ordinary) == [Output(NORMAL, ordinary)]


@FAMILIES
@pytest.mark.parametrize("brings_back", [True, False])
def test_what_the_cfn_node_sends_back_comes_up_where_that_says_something(
    client: Address, d_sid: Address, d_bid: Address, brings_back: bool
) -> None:
    switch = table(brings_back)
    for returned in (packet(_UPLINK, client, d_bid), packet(_UPLINK, client, d_sid)):
        is_watched = brings_back or returned[f"ipv{client.version}_dst"] == str(d_sid)
        assert switch.send(returned)[0].port == (CONTROLLER if is_watched else NORMAL)


@FAMILIES
def test_a_bound_flow_passes_both_ways_and_never_comes_up(client: Address, d_sid: Address, d_bid: Address) -> None:
    switch = table(brings_back=True)
    switch.execute(flow_entries.affinity(bound(client, d_sid, d_bid), _UPLINK))
    first = packet(_CLIENT_PORT, client, d_sid)
    assert switch.send(first) == [Output(_UPLINK, first | {f"ipv{client.version}_dst": str(d_bid)})]
    answer = packet(_UPLINK, d_bid, client) | {"tcp_src": 80, "tcp_dst": 40000}
    assert switch.send(answer) == [Output(NORMAL, answer | {f"ipv{client.version}_src": str(d_sid)})]


@FAMILIES
def test_a_packet_is_shown_as_it_is_and_released_as_the_entry_says(
    client: Address, d_sid: Address, d_bid: Address
) -> None:
    held, first, entry = DispatcherEntries(_UPLINK), packet(_CLIENT_PORT, client, d_sid), bound(client, d_sid, d_bid)
    for data in (b"first", b"second"):
        assert word(held, HoldPacket(entry.flow), _CLIENT_PORT, data) == b""
    asked = word(held, RequestSelection(entry.flow), _CLIENT_PORT, b"first")
    assert packet_out(asked, first) == [Output(_UPLINK, first)]
    assert asked.endswith(b"first")
    released = word(held, ReleasePackets(entry))
    assert released == b"".join(
        flow_entries.forward_packet(entry, _UPLINK, PacketIn(_CLIENT_PORT, data)) for data in (b"first", b"second")
    )
    assert word(held, ReleasePackets(entry)) == b""


def test_what_is_dropped_is_not_released() -> None:
    held, entry = DispatcherEntries(_UPLINK), bound(CLIENT, D_SID, NEAR)
    word(held, HoldPacket(entry.flow), _CLIENT_PORT, b"first")
    word(held, DropHeld(entry.flow))
    assert word(held, ReleasePackets(entry)) == b""


@FAMILIES
def test_the_cfn_node_sends_a_first_packet_back_the_way_it_came(
    client: Address, d_sid: Address, d_bid: Address
) -> None:
    of_node, first = DispatcherEntries(_UPLINK), packet(_CLIENT_PORT, client, d_sid)
    rewritten = first | {f"ipv{client.version}_dst": str(d_bid)}
    for told, expected in ((d_bid, rewritten), (None, first)):
        message = word(of_node, ReturnPacket(told), _CLIENT_PORT, b"first")
        assert packet_out(message, first) == [Output(ofp.OFPP_IN_PORT, expected)]
        assert message.endswith(b"first")
