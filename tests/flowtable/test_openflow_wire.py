"""Messages written by hand are what the framework makes of the same, byte for byte but for the order in a match."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_apps.openflow import wire
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.framework import ofproto_v1_3_parser as parser
from testbed.net.addresses import Address
from tests.flowtable.flow_table import DATAPATH

_NO_MATCH_BYTES = len(wire.EVERYTHING)
_PORTS = st.one_of(st.none(), st.integers(0, 65535))
_COOKIES = st.integers(0, (1 << 64) - 1)
_ACTIONS = [parser.OFPActionSetField(ipv4_dst="10.2.0.10"), parser.OFPActionOutput(3, ofp.OFPCML_NO_BUFFER)]
_ACTION_BYTES = wire.set_dst(IPv4Address("10.2.0.10")) + wire.output(3)


def framework_s(message: Any) -> bytes:
    message.set_xid(0)
    message.serialize()
    return bytes(message.buf)


def addresses(version: int) -> st.SearchStrategy[Address | None]:
    return st.one_of(st.none(), st.ip_addresses(v=version))


def comparable(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An address can be written in more than one way."""
    return {name: ip_address(value) if name.startswith("ipv") else value for name, value in fields}


def entry(match: Any, actions: list[Any], **fields: int) -> bytes:
    instructions = [parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions)]
    anywhere = {"out_port": ofp.OFPP_ANY, "out_group": ofp.OFPG_ANY}
    return framework_s(parser.OFPFlowMod(DATAPATH, match=match, instructions=instructions, **anywhere, **fields))


@given(st.sampled_from((4, 6)), st.sampled_from((None, 1, 6, 17, 58, 132)), _PORTS, _PORTS, st.data())
def test_matches(version: int, proto: int | None, src_port: int | None, dst_port: int | None, data: Any) -> None:
    src, dst = data.draw(addresses(version)), data.draw(addresses(version))
    fields: dict[str, Any] = {"eth_type": 0x0800 if version == 4 else 0x86DD}
    fields |= {f"ipv{version}_{end}": str(address) for end, address in (("src", src), ("dst", dst)) if address}
    if proto is not None:
        fields["ip_proto"] = proto
    if proto in (6, 17):
        ends = {"src": src_port, "dst": dst_port}
        name = "tcp" if proto == 6 else "udp"
        fields |= {f"{name}_{end}": port for end, port in ends.items() if port is not None}
    ours = wire.ip_match(version, src, dst, proto, src_port, dst_port)
    read = parser.OFPMatch.parser(ours, 0)
    assert comparable(read.items()) == comparable(fields.items())
    assert len(ours) == len(entry(parser.OFPMatch(**fields), [])) - len(entry(parser.OFPMatch(), [])) + _NO_MATCH_BYTES


@given(_COOKIES, st.integers(0, 65535), st.integers(0, 65535), st.booleans())
def test_entries(cookie: int, priority: int, idle_timeout_s: int, reports_removal: bool) -> None:
    flags = ofp.OFPFF_SEND_FLOW_REM if reports_removal else 0
    ours = wire.add_entry(
        cookie, priority, wire.EVERYTHING, _ACTION_BYTES, idle_timeout_s, reports_removal=reports_removal
    )
    fields = {"cookie": cookie, "priority": priority, "idle_timeout": idle_timeout_s, "flags": flags}
    assert ours == entry(parser.OFPMatch(), _ACTIONS, **fields)


@pytest.mark.parametrize("address", [IPv4Address("10.2.0.10"), IPv6Address("fd00:d:2::a")], ids=str)
def test_rewriting(address: Address) -> None:
    for end, rewriting in (("src", wire.set_src(address)), ("dst", wire.set_dst(address))):
        action = parser.OFPActionSetField(**{f"ipv{address.version}_{end}": str(address)})
        assert wire.add_entry(0, 0, wire.EVERYTHING, rewriting) == entry(parser.OFPMatch(), [action], priority=0)


@given(_COOKIES, _COOKIES)
def test_deletion_and_counters(cookie: int, mask: int) -> None:
    anywhere = {"out_port": ofp.OFPP_ANY, "out_group": ofp.OFPG_ANY}
    deletion = parser.OFPFlowMod(
        DATAPATH, cookie=cookie, cookie_mask=mask, table_id=ofp.OFPTT_ALL, command=ofp.OFPFC_DELETE,
        priority=0, match=parser.OFPMatch(), **anywhere,
    )  # fmt: skip
    assert wire.delete_entries(cookie, mask) == framework_s(deletion)
    everything = (1 << 64) - 1
    request = parser.OFPFlowStatsRequest(
        DATAPATH, 0, ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY, cookie, everything, parser.OFPMatch()
    )
    assert wire.read_entries(cookie) == framework_s(request)


@given(st.integers(1, 0xFFFF_FF00), st.binary(max_size=1600))
def test_packets_sent_out(in_port: int, data: bytes) -> None:
    theirs = parser.OFPPacketOut(
        datapath=DATAPATH, buffer_id=ofp.OFP_NO_BUFFER, in_port=in_port, actions=_ACTIONS, data=data
    )
    assert wire.packet_out(in_port, _ACTION_BYTES, data) == framework_s(theirs)


def test_matches_of_ports_and_what_steers_by_mac_address_are_as_the_framework_reads_them() -> None:
    mac = bytes.fromhex("020005000003")
    assert dict(parser.OFPMatch.parser(wire.port_match(9), 0).items()) == {"in_port": 9}
    both = parser.OFPMatch.parser(wire.port_match(9, mac), 0)
    assert dict(both.items()) == {"in_port": 9, "eth_dst": "02:00:05:00:00:03"}
    for ours, theirs in (
        (wire.set_eth_dst(mac), parser.OFPActionSetField(eth_dst="02:00:05:00:00:03")),
        (wire.set_tunnel_id(7), parser.OFPActionSetField(tunnel_id=7)),
        (wire.decrement_ttl(), parser.OFPActionDecNwTtl()),
    ):
        buffer = bytearray()
        theirs.serialize(buffer, 0)
        assert ours == bytes(buffer)
