"""Binding tables as Open vSwitch prints them: whoever bound a flow, the same row comes out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from types import MappingProxyType

import pytest

from testbed.emulation.inspection import bound_flows
from testbed.emulation.inspection.bound_flows import BoundFlow
from testbed.linux.ovs_conntrack import Connection

_GROUP = " cookie=0xd3a90000000000, duration=9.9s, table="
_OF_D_ROUTER = (
    " cookie=0xd1000000000001, duration=0.046s, table=0, n_packets=4, n_bytes=288, priority=205,tcp,"
    "nw_src=10.2.0.10,nw_dst=10.1.0.10,tp_src=80,tp_dst=40000 actions=set_field:203.0.113.12->ip_src,NORMAL",
    " cookie=0xd1000000000001, duration=0.046s, table=0, n_packets=5, n_bytes=332, idle_timeout=600, send_flow_rem "
    "priority=205,tcp,nw_src=10.1.0.10,nw_dst=203.0.113.12,tp_src=40000,tp_dst=80 "
    "actions=set_field:10.2.0.10->ip_dst,output:1",
)
_TUNNELLED = (
    " cookie=0xd1000000000002, duration=1.5s, table=0, n_packets=4, n_bytes=288, priority=210,ipv6,udp6,"
    "ipv6_src=fd00:5::11,ipv6_dst=fd00:d:1::a,tp_src=5004,tp_dst=40000 actions=set_field:0x20001000002->tun_id,NORMAL",
    " cookie=0xd1000000000002, duration=1.5s, table=0, n_packets=5, n_bytes=332, idle_timeout=30, send_flow_rem "
    "priority=210,udp6,ipv6_src=fd00:d:1::a,ipv6_dst=fd00:5::11,tp_src=40000,tp_dst=5004 "
    "actions=dec_ttl,set_field:02:00:01:00:00:02->eth_dst,output:9",
)
_LEARNING = (
    f"{_GROUP}0, n_packets=0, n_bytes=0, priority=100,ipv6,ipv6_dst=fd00:5::12 actions=set_field:0x6->reg5,"
    "ct(table=1,zone=39150,nat)",
    f"{_GROUP}8, n_packets=7, n_bytes=590, priority=50,ipv6,reg5=0x6 actions=learn(table=2)",
    " cookie=0xd6000000000006, duration=0.038s, table=2, n_packets=0, n_bytes=0, hard_timeout=600, priority=100,tcp6,"
    "reg5=0x6,ipv6_src=fd00:d:1::a actions=load:0xa->NXM_NX_XXREG0[0..63],"
    "load:0xfd00000d00020000->NXM_NX_XXREG0[64..127]",
)
_TRACKING = (
    f"{_GROUP}0, n_packets=0, n_bytes=0, priority=100,ip,nw_dst=203.0.113.10 actions=set_field:0x1->reg5,"
    "ct(table=1,zone=39148,nat)",
)


class Tracked:
    """A connection tracker with one connection per zone."""

    def connections(self, zone: int) -> Iterator[Connection]:
        client, d_sid, d_bid = map(ip_address, ("10.1.0.10", "203.0.113.10", "10.3.0.10"))
        assert zone == 39148, "the connections of a group that learns are only parts of flows"
        yield Connection("udp", client, d_sid, 5000, 5004, d_bid, 29, 90)


def read(
    monkeypatch: pytest.MonkeyPatch, *lines: str, stations: bound_flows.Stations = MappingProxyType({})
) -> list[BoundFlow]:
    monkeypatch.setattr(bound_flows, "dump_flows", lambda _: ["OFPST_FLOW reply (OF1.3):", *lines])
    return list(bound_flows.bound_flows("br0", Tracked(), 100.0, stations))  # type: ignore[arg-type]


def test_a_flow_that_the_d_router_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    client, d_sid, d_bid = map(ip_address, ("10.1.0.10", "203.0.113.12", "10.2.0.10"))
    assert read(monkeypatch, *_OF_D_ROUTER) == [
        BoundFlow(client, 40000, d_sid, 80, "tcp", d_bid, 0.046, 600, "entry"),
    ]


@pytest.mark.parametrize("bound_to", [("10.2.0.10", "fd00:d:2::a"), ("10.2.0.1",)], ids=["instance", "site"])
def test_a_flow_that_goes_by_tunnel(monkeypatch: pytest.MonkeyPatch, bound_to: tuple[str, ...]) -> None:
    addresses = tuple(map(ip_address, bound_to))
    client, d_sid = map(ip_address, ("fd00:d:1::a", "fd00:5::11"))
    assert read(monkeypatch, *_TUNNELLED, stations={"02:00:01:00:00:02": addresses}) == [
        BoundFlow(client, 40000, d_sid, 5004, "udp", addresses[-1], 1.5, 30, "entry"),
    ]
    assert read(monkeypatch, *_TUNNELLED) == []  # nobody knows whose MAC address that is


def test_a_flow_that_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    client, d_sid, d_bid = map(ip_address, ("fd00:d:1::a", "fd00:5::12", "fd00:d:2::a"))
    assert read(monkeypatch, *_LEARNING) == [
        BoundFlow(client, None, d_sid, None, "tcp", d_bid, 0.038, 600, "learnt"),
    ]


def test_a_flow_that_is_tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    (flow,) = read(monkeypatch, *_TRACKING)
    assert (flow.proto, flow.src_port, flow.age_s, flow.timeout_s, flow.held_by) == ("udp", 5000, 10.0, 29, "conntrack")


def test_other_entries_are_no_bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, " cookie=0x0, duration=3s, table=0, priority=0 actions=NORMAL", "", "nonsense") == []
