"""Entries for ranges of D-SIDs, executed: who is brought to the D-Router, and what a service given up leaves."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from ryu_apps.dyncast.entries import flow_entries
from testbed.net.addresses import Address
from tests.dyncast_samples import CLIENT, CLIENT6, D_SID, D_SID6, NEAR
from tests.flowtable.flow_table import CONTROLLER, NORMAL, Output
from tests.flowtable.test_flow_entries import bound, install, new_table, packet

_RANGES = [ip_network("203.0.113.0/24"), ip_network("fd00:5::/64")]


@pytest.mark.parametrize(
    ("client", "d_sid", "port"),
    [
        (CLIENT, ip_address("203.0.113.0"), CONTROLLER),
        (CLIENT, ip_address("203.0.113.99"), CONTROLLER),
        (CLIENT, ip_address("203.0.114.1"), NORMAL),
        (CLIENT6, ip_address("fd00:5::99"), CONTROLLER),
        (CLIENT6, ip_address("fd00:5:0:1::1"), NORMAL),
        (CLIENT, D_SID, CONTROLLER),
        (CLIENT6, D_SID6, CONTROLLER),
    ],
)
def test_members_of_a_range_come_to_the_d_router_and_nobody_else(client: Address, d_sid: Address, port: int) -> None:
    table = new_table()
    for network in _RANGES:
        table.execute(flow_entries.intercept_range(network))
    sent = packet(client, d_sid)
    assert table.send(sent) == [Output(port, sent)]


def test_a_flow_bound_in_a_range_is_steered_also_when_its_service_was_given_up() -> None:
    table = new_table()
    table.execute(flow_entries.intercept_range(_RANGES[0]))
    first = packet(CLIENT, D_SID)
    install(table, bound(first, NEAR))
    before = len(table.entries)
    table.execute(flow_entries.release_service(D_SID))
    assert len(table.entries) == before - 1
    assert table.send(first)[0].packet["ipv4_dst"] == str(NEAR)
    another = packet(CLIENT, D_SID, ports=(40001, 80))
    assert table.send(another) == [Output(CONTROLLER, another)]  # by the range


def test_without_a_range_a_service_that_was_given_up_is_an_address_like_any() -> None:
    table = new_table()
    table.execute(flow_entries.release_service(D_SID))
    for sent, port in ((packet(CLIENT, D_SID), NORMAL), (packet(CLIENT6, D_SID6), CONTROLLER)):
        assert table.send(sent) == [Output(port, sent)]
