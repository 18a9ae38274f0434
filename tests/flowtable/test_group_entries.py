"""Entries of datapath mode: Open vSwitch itself reads each of them back, and finds what was meant."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.datapath_mode import weighted_groups
from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.dyncast.entries.group_entries import SLOTS, GroupEntries, GroupSpec, is_of_groups
from ryu_apps.openflow.framework import ofproto_v1_3, ofproto_v1_3_parser
from ryu_apps.openflow.packet_in import PacketIn
from testbed.dyncast.affinity.service import Service
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE

pytestmark = pytest.mark.skipif(shutil.which("ovs-ofctl") is None, reason="capability ovs-ofctl is missing: install it")

_PREFIXES = (ip_network("10.1.0.0/16"), ip_network("fd00:d:1::/64"))
_ADDRESSES = {4: ("203.0.113.10", "10.2.0.10"), 6: ("fd00:5::10", "fd00:d:2::a")}
_ONE_PORT = ("src", "dst", "proto", "dst_port")
_FIELDS = [FIVE_TUPLE, THREE_TUPLE, ("src", "dst"), _ONE_PORT, ("src", "dst", "proto", "src_port")]


def read_back(message: Any) -> str:
    message.set_xid(1)
    message.serialize()
    command = ["ovs-ofctl", "ofp-print", bytes(message.buf).hex()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


def read_by_the_switch(messages: bytes) -> str:
    """What Open vSwitch reads in messages that follow one another."""
    said = ""
    while messages:
        size = int.from_bytes(messages[2:4], "big")
        command = ["ovs-ofctl", "ofp-print", messages[:size].hex()]
        said += subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
        messages = messages[size:]
    return said


def spec(version: int, fields: tuple[str, ...], number: int = 1) -> GroupSpec:
    d_sid = ip_address(_ADDRESSES[version][0])
    return GroupSpec(
        number, Service("render", (d_sid,), flow_fields=fields, affinity_timeout_s=20), d_sid, 4710 + number
    )


def entries(*specs: GroupSpec) -> GroupEntries:
    datapath = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
    return GroupEntries(datapath, specs, _PREFIXES, uplink_port=1, generation=7)


def everything(version: int, fields: tuple[str, ...]) -> Iterator[Any]:
    first, second = spec(version, fields), spec(version, fields, 2)
    d_bid = ip_address(_ADDRESSES[version][1])
    of = entries(first, second)
    yield of.new_flows(first, takes_flows=True, now_s=5.0)
    yield of.new_flows(first, takes_flows=False, now_s=5.0)
    yield from of.service(first)
    yield from of.member(first, d_bid, 9)
    yield from of.without_member(first, d_bid)
    yield from of.home(d_bid, [first, second])
    yield from of.slots(first, {63: d_bid})
    yield from of.remove(first)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("fields", _FIELDS, ids="-".join)
def test_the_switch_understands_every_entry(version: int, fields: tuple[str, ...]) -> None:
    for message in everything(version, fields):
        text = read_back(message)
        assert "decode error" not in text, text
        assert is_of_groups(message.cookie) or "DEL_STRICT" in text


def test_a_new_connection_is_committed_to_its_instance_with_the_time() -> None:
    of, group = entries(spec(4, FIVE_TUPLE)), spec(4, FIVE_TUPLE)
    (bind,) = of.member(group, ip_address("10.2.0.10"), 9)
    assert "actions=ct(commit,zone=4711,nat(dst=10.2.0.10),exec(move:NXM_NX_REG6[]->NXM_NX_CT_MARK[])),output:1" in (
        read_back(bind)
    )
    assert "set_field:0x5->reg6,group:1" in read_back(of.new_flows(group, takes_flows=True, now_s=5.9))


@pytest.mark.parametrize("fields", _FIELDS, ids="-".join)
@pytest.mark.parametrize(("version", "proto"), [(4, "ip,reg5=0x1,nw_dst"), (6, "ipv6,reg5=0x1,ipv6_dst")])
def test_an_error_of_a_client_that_still_has_the_d_sid_is_rewritten_and_teaches_nothing(
    version: int, proto: str, fields: tuple[str, ...]
) -> None:
    of, group = entries(spec(version, fields)), spec(version, fields)
    errors = [text for message in of.service(group) if "ct_state=+rel+trk" in (text := read_back(message))]
    (text,) = [text for text in errors if "table:1 " in text]
    assert f"priority=100,ct_state=+rel+trk,{proto}={group.d_sid} " in text
    assert text.strip().endswith("actions=ct(commit,zone=4711,nat),output:1")


def test_what_is_learnt_is_the_flow_identifier_from_either_end() -> None:
    of, group = entries(spec(4, _ONE_PORT)), spec(4, _ONE_PORT)
    learns = [text for message in of.service(group) if "learn(" in (text := read_back(message)) and "udp" in text]
    forward, reverse = sorted(learns, key=lambda text: "table:9" in text)
    assert "hard_timeout=20" in forward and "NXM_OF_IP_SRC[],nw_proto=17,NXM_OF_UDP_DST[]" in forward
    assert "NXM_OF_IP_SRC[]=NXM_OF_IP_DST[],nw_proto=17,NXM_OF_UDP_DST[]=NXM_OF_UDP_SRC[]" in reverse


def test_ports_of_a_block_are_learnt_as_one() -> None:
    d_sid = ip_address(_ADDRESSES[4][0])
    group = GroupSpec(1, Service("call", (d_sid,), port_block=4), d_sid, 4711)
    assert group.learns
    learns = [text for message in entries(group).service(group) if "learn(" in (text := read_back(message))]
    (forward,) = [text for text in learns if "table:9" not in text and "udp" in text]
    assert "NXM_OF_UDP_SRC[2..15],NXM_OF_UDP_DST[2..15]" in forward


def test_older_generations_are_removed_and_no_other() -> None:
    masks = [(message.cookie, message.cookie_mask) for message in entries().remove_older_generations()]

    def is_removed(cookie: int) -> bool:
        return any(cookie & mask == wanted for wanted, mask in masks)

    for kind in (0xD3, 0xD4, 0xD5):
        assert [generation for generation in range(256) if not is_removed(kind << 48 | generation << 40 | 1)] == [7]
    assert not is_removed(0xD1 << 48 | 3 << 40)
    assert not is_removed(0xD6 << 48 | 3 << 40)


def address(number: int) -> Address:
    return ip_address(f"10.0.0.{number}")


def test_slots_follow_shares_and_change_hands_as_little_as_can_be() -> None:
    even = weighted_groups.hand_out({address(1): 32, address(2): 32}, [])
    assert [even.count(address(number)) for number in (1, 2)] == [32, 32]
    moved = weighted_groups.hand_out({address(1): 16, address(2): 48}, even)
    assert [moved.count(address(number)) for number in (1, 2)] == [16, 48]
    assert sum(before != after for before, after in zip(even, moved, strict=True)) == 16
    thirds = weighted_groups.hand_out({address(number): 1 for number in (1, 2, 3)}, moved)
    assert sorted(thirds.count(address(number)) for number in (1, 2, 3)) == [21, 21, 22]
    assert len(thirds) == SLOTS
    assert weighted_groups.hand_out({}, thirds) == []


def test_answers_are_looked_at_flow_by_flow() -> None:
    text = read_by_the_switch(flow_entries.track_reverse_flows(ip_address("10.2.0.10"), _PREFIXES))
    assert "priority=50,ip,nw_src=10.2.0.10,nw_dst=10.1.0.0/16 " in text
    assert "actions=multipath(symmetric_l3l4+udp,0,modulo_n,1,0,NXM_NX_REG4[]),NORMAL" in text


def test_fragments_and_icmp_errors_are_brought_up_once() -> None:
    d_sid, d_bid = ip_address("203.0.113.10"), ip_address("10.2.0.10")
    marked = ",reg7=0"
    text = read_by_the_switch(flow_entries.track_reverse_flows(d_bid, _PREFIXES))
    brought = "nw_frag=yes cookie:0xd2000000000001 actions=CONTROLLER:65535"
    assert f"priority=330,ip{marked},nw_src=10.2.0.10,nw_dst=10.1.0.0/16,{brought}" in text
    text = read_by_the_switch(flow_entries.intercept_fragments(d_sid))
    assert f"priority=330,ip{marked},nw_dst=203.0.113.10,{brought}" in text
    text = read_by_the_switch(flow_entries.intercept_fragments(ip_address("fd00:5::10")))
    assert f"priority=330,ipv6{marked},ipv6_dst=fd00:5::10,{brought}" in text
    text = read_by_the_switch(flow_entries.intercept_fragments_from(1, _PREFIXES[0]))
    assert f"priority=330,ip{marked},in_port=1,nw_dst=10.1.0.0/16,{brought}" in text
    text = read_by_the_switch(b"".join(map(flow_entries.intercept_errors, (d_sid, _PREFIXES[1]))))
    brought = "cookie:0xd2000000000002 actions=CONTROLLER:65535"
    for kind in (3, 11, 12):
        assert f"priority=320,icmp{marked},nw_dst=203.0.113.10,icmp_type={kind} {brought}" in text
    for kind in (1, 2, 3, 4):
        assert f"priority=320,icmp6{marked},ipv6_dst=fd00:d:1::/64,icmp_type={kind} {brought}" in text
    text = read_by_the_switch(flow_entries.pass_packet(PacketIn(3, b"")))
    assert "in_port=3 actions=set_field:0x1->reg7,resubmit(,0)" in text


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("fields", _FIELDS)
def test_an_own_call_is_served_by_another_instance_or_refused(version: int, fields: tuple[str, ...]) -> None:
    group = spec(version, fields)
    here = ip_address({4: "10.1.0.10", 6: "fd00:d:1::a"}[version])
    there = ip_address(_ADDRESSES[version][1])
    source = f"{'nw_src' if version == 4 else 'ipv6_src'}={here}"
    (served,) = map(read_back, entries(group).own_calls(group, here, there))
    (refused,) = map(read_back, entries(group).own_calls(group, here, None))
    for said in (served, refused):
        assert re.search(rf"table:4 priority=110,.*reg5=0x1.*{source}", said), said
    assert served.rstrip().endswith("resubmit(,4)") and "set_field" in served
    assert refused.rstrip().endswith("actions=resubmit(,10)")
    assert not list(entries(group).own_calls(group, there, here))  # of another site: its calls begin there
