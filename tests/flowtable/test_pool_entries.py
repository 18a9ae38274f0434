"""Entries of datapath mode: Open vSwitch itself reads each of them back, and finds what was meant."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.datapath_mode import pools
from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.dyncast.entries.pool_entries import SLOTS, PoolEntries, PoolSpec, is_of_pools
from ryu_apps.openflow.framework import ofproto_v1_3, ofproto_v1_3_parser
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


def spec(version: int, fields: tuple[str, ...], number: int = 1) -> PoolSpec:
    d_sid = ip_address(_ADDRESSES[version][0])
    return PoolSpec(
        number, Service("render", (d_sid,), flow_fields=fields, affinity_timeout_s=20), d_sid, 4710 + number
    )


def entries(*specs: PoolSpec) -> PoolEntries:
    datapath = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
    return PoolEntries(datapath, specs, _PREFIXES, uplink_port=1, generation=7)


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
        assert is_of_pools(message.cookie) or "DEL_STRICT" in text


def test_a_new_connection_is_committed_to_its_instance_with_the_time() -> None:
    of, pool = entries(spec(4, FIVE_TUPLE)), spec(4, FIVE_TUPLE)
    (bind,) = of.member(pool, ip_address("10.2.0.10"), 9)
    assert "actions=ct(commit,zone=4711,nat(dst=10.2.0.10),exec(move:NXM_NX_REG6[]->NXM_NX_CT_MARK[])),output:1" in (
        read_back(bind)
    )
    assert "set_field:0x5->reg6,group:1" in read_back(of.new_flows(pool, takes_flows=True, now_s=5.9))


def test_what_is_learnt_is_the_flow_identifier_from_either_end() -> None:
    of, pool = entries(spec(4, _ONE_PORT)), spec(4, _ONE_PORT)
    learns = [text for message in of.service(pool) if "learn(" in (text := read_back(message)) and "udp" in text]
    forward, reverse = sorted(learns, key=lambda text: "table:9" in text)
    assert "hard_timeout=20" in forward and "NXM_OF_IP_SRC[],nw_proto=17,NXM_OF_UDP_DST[]" in forward
    assert "NXM_OF_IP_SRC[]=NXM_OF_IP_DST[],nw_proto=17,NXM_OF_UDP_DST[]=NXM_OF_UDP_SRC[]" in reverse


def test_ports_of_a_block_are_learnt_as_one() -> None:
    d_sid = ip_address(_ADDRESSES[4][0])
    pool = PoolSpec(1, Service("call", (d_sid,), port_block=4), d_sid, 4711)
    assert pool.learns
    learns = [text for message in entries(pool).service(pool) if "learn(" in (text := read_back(message))]
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
    even = pools.hand_out({address(1): 32, address(2): 32}, [])
    assert [even.count(address(number)) for number in (1, 2)] == [32, 32]
    moved = pools.hand_out({address(1): 16, address(2): 48}, even)
    assert [moved.count(address(number)) for number in (1, 2)] == [16, 48]
    assert sum(before != after for before, after in zip(even, moved, strict=True)) == 16
    thirds = pools.hand_out({address(number): 1 for number in (1, 2, 3)}, moved)
    assert sorted(thirds.count(address(number)) for number in (1, 2, 3)) == [21, 21, 22]
    assert len(thirds) == SLOTS
    assert pools.hand_out({}, thirds) == []


def test_answers_are_looked_at_flow_by_flow() -> None:
    messages = flow_entries.track_reverse_flows(ip_address("10.2.0.10"), _PREFIXES)
    command = ["ovs-ofctl", "ofp-print", messages.hex()]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    assert "priority=50,ip,nw_src=10.2.0.10,nw_dst=10.1.0.0/16 " in text
    assert "actions=multipath(symmetric_l3l4+udp,0,modulo_n,1,0,NXM_NX_REG4[]),NORMAL" in text
