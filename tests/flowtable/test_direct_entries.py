"""Entries that tell direct conversations from what is left of flows: Open vSwitch reads them back as they are meant."""

from __future__ import annotations

import re
import shutil
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from ryu_apps.dyncast.config.direct import DirectConfig
from ryu_apps.dyncast.entries import direct_entries, flow_entries
from ryu_apps.dyncast.entries.direct_entries import DirectEntries
from ryu_apps.openflow import wire
from testbed.net.addresses import Address
from tests.flowtable.flow_table import NORMAL, FlowTable
from tests.flowtable.test_group_entries import read_by_the_switch

pytestmark = pytest.mark.skipif(shutil.which("ovs-ofctl") is None, reason="capability ovs-ofctl is missing: install it")

_PREFIXES = (ip_network("10.1.0.0/16"), ip_network("fd00:d:1::/64"))
_GATEWAYS = (ip_address("10.1.0.1"), ip_address("fd00:d:1::1"))
_D_BID, _D_BID6 = ip_address("10.2.0.10"), ip_address("fd00:d:2::a")
_COMMIT = "ct(commit,zone=4711),NORMAL"


_DIRECT = DirectConfig(4711, _GATEWAYS)


def made(direct: DirectConfig | None = _DIRECT) -> DirectEntries:
    return DirectEntries(direct, _PREFIXES, uplink_port=1)


def said(messages: bytes) -> list[str]:
    """Table, priority and match, then the actions, of each entry."""
    read = read_by_the_switch(messages)
    return [re.sub(r" cookie:\S+", "", line.partition(": ADD ")[2]) for line in read.splitlines() if ": ADD " in line]


def test_of_what_no_conversation_is_known_only_what_may_begin_one_passes() -> None:
    assert said(made().for_everyone()) == [
        "table:11 priority=100,ct_state=-new-inv+trk actions=NORMAL",
        "table:11 priority=95,ip,nw_dst=10.1.0.1 actions=NORMAL",
        "table:11 priority=95,ipv6,ipv6_dst=fd00:d:1::1 actions=NORMAL",
        f"table:11 priority=80,tcp,tcp_flags=+syn-ack actions={_COMMIT}",
        f"table:11 priority=80,udp,tp_src=0x8000/0x8000 actions={_COMMIT}",
        f"table:11 priority=80,tcp6,tcp_flags=+syn-ack actions={_COMMIT}",
        f"table:11 priority=80,udp6,tp_src=0x8000/0x8000 actions={_COMMIT}",
        "table:11 priority=0 actions=drop",
    ]


def test_what_hosts_of_the_site_send_to_an_instance_is_known_unless_it_comes_back_from_the_router() -> None:
    assert said(made().to_instance(_D_BID)) == [
        "table:11 priority=92,ip,in_port=1,nw_dst=10.2.0.10 actions=NORMAL",
        f"table:11 priority=90,ip,nw_dst=10.2.0.10 actions={_COMMIT}",
        "priority=60,ip,in_port=1,nw_src=10.1.0.0/16,nw_dst=10.2.0.10 actions=NORMAL",
        f"priority=55,ip,nw_src=10.1.0.0/16,nw_dst=10.2.0.10 actions={_COMMIT}",
    ]


def test_what_an_instance_sends_to_hosts_of_the_site_is_looked_up_flow_by_flow() -> None:
    look_up = "actions=multipath(symmetric_l3l4+udp,0,modulo_n,1,0,NXM_NX_REG4[]),ct(table=11,zone=4711)"
    ends = "ipv6_src=fd00:d:2::a,ipv6_dst=fd00:d:1::/64"
    assert said(made().from_instance(_D_BID6)) == [
        f"priority=52,{proto},{ends} {look_up}" for proto in ("tcp6", "udp6")
    ]


def test_what_is_dropped_is_counted_under_a_cookie_of_its_own() -> None:
    drop = read_by_the_switch(made().for_everyone()).splitlines()[-1]
    assert f"cookie:{direct_entries.UNBOUND_COOKIE:#x} actions=drop" in drop
    assert direct_entries.read_dropped() == wire.read_entries(direct_entries.UNBOUND_COOKIE)


def test_without_a_zone_there_are_no_entries() -> None:
    none = made(None)
    assert (none.for_everyone(), none.to_instance(_D_BID), none.from_instance(_D_BID)) == (b"", b"", b"")


_CLIENT, _HOST_PORT, _UPLINK = ip_address("10.1.0.10"), 5, 1
_OTHER = ip_address("10.2.0.11")


def packet(src: Address, dst: Address, *, ports: tuple[int, int], proto: str = "tcp", **fields: Any) -> dict[str, Any]:
    number = {"tcp": 6, "udp": 17}[proto]
    ends = {f"{proto}_src": ports[0], f"{proto}_dst": ports[1]}
    place = {"in_port": _HOST_PORT, "eth_type": 0x0800, "ipv4_src": str(src), "ipv4_dst": str(dst), "ip_proto": number}
    return {**place, **ends, **fields}


def switch() -> FlowTable:
    table = FlowTable()
    table.execute(flow_entries.ordinary_traffic() + made().for_everyone())
    for d_bid in (_D_BID, _OTHER):
        table.execute(made().to_instance(d_bid) + made().from_instance(d_bid))
    return table


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_an_instance_answers_who_spoke_to_it_and_nobody_else(proto: str) -> None:
    table = switch()
    answer = packet(_D_BID, _CLIENT, ports=(80, 40000), proto=proto, in_port=_UPLINK)
    assert table.send(answer) == []
    asked = packet(_CLIENT, _D_BID, ports=(40000, 80), proto=proto)
    assert [output.port for output in table.send(asked)] == [NORMAL]
    assert [output.port for output in table.send(answer)] == [NORMAL]
    for other in ({f"{proto}_dst": 40001}, {"ipv4_src": str(_OTHER)}, {"ipv4_dst": str(_CLIENT + 1)}):
        assert table.send(answer | other) == []


def test_an_instance_may_speak_first_by_a_syn_by_udp_of_an_ephemeral_port_and_to_its_like() -> None:
    table = switch()
    for first in (
        packet(_D_BID, _CLIENT, ports=(40000, 7000), tcp_flags_nxm=0x02),
        packet(_D_BID, _CLIENT, ports=(40000, 53), proto="udp"),
        packet(_D_BID, _OTHER, ports=(80, 81), proto="udp"),
        packet(_D_BID, _GATEWAYS[0], ports=(80, 81)),
    ):
        assert [output.port for output in table.send(first)] == [NORMAL]
    assert [output.port for output in table.send(packet(_CLIENT, _D_BID, ports=(7000, 40000)))] == [NORMAL]
    assert table.send(packet(_D_BID, _CLIENT, ports=(40001, 7000), tcp_flags_nxm=0x12)) == []  # SYN and ACK
    assert table.send(packet(_D_BID, _CLIENT, ports=(5004, 53), proto="udp")) == []


def test_a_steered_packet_that_comes_from_the_router_makes_no_conversation() -> None:
    table = switch()
    steered = packet(_CLIENT, _D_BID, ports=(40000, 80), in_port=_UPLINK)
    assert [output.port for output in table.send(steered)] == [NORMAL]
    assert table.send(packet(_D_BID, _CLIENT, ports=(80, 40000))) == []
