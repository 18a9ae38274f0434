"""Bindings, affinity, paths, flow keys: what a D-Router remembers."""

from __future__ import annotations

import pytest

from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityTable
from testbed.dyncast.messages.reports import BindingReport, Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.monitoring.path_state import PathState
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE, UDP, FlowKey
from tests.dyncast_samples import CLIENT, D_SID, D_SID6, FAR, NEAR, NEAR6, flow, told

_RAW = RawMetrics(4)
_LAST_SEQUENCE = 2**32 - 1


def report(sequence: int, *bindings: BindingReport, site: str = "east", sent_s: float = 0.0) -> Report:
    return Report(site, sequence, sent_s, bindings or (told(NEAR, _RAW),))


# -- bindings --------------------------------------------------------------------------------------


def test_a_binding_is_usable_until_its_lifetime_has_passed_without_news() -> None:
    table = BindingTable(lifetime_s=10)
    table.apply(report(1), now_s=100)
    assert [item.d_bid for item in table.usable(D_SID, 110)] == [NEAR]
    assert table.usable(D_SID, 110.1) == []
    table.apply(report(2), now_s=111)
    assert [item.d_bid for item in table.usable(D_SID, 112)] == [NEAR]


def test_a_binding_says_when_it_was_measured_and_when_heard() -> None:
    table = BindingTable(lifetime_s=10)
    table.apply(report(1, sent_s=99.0), now_s=99.2)
    binding = table.get(D_SID, NEAR)
    assert binding is not None
    assert (binding.measured_s, binding.received_s, binding.site) == (99.0, 99.2, "east")


@pytest.mark.parametrize("state", [State.DOWN, State.DRAINING])
def test_only_instances_that_are_up_take_new_flows(state: State) -> None:
    table = BindingTable(lifetime_s=10)
    table.apply(report(1), now_s=0)
    table.apply(report(2, report_of(D_SID, NEAR, state, _RAW)), now_s=1)
    assert table.usable(D_SID, 1) == []
    assert [item.state for item in table.all()] == [state]


def test_services_and_families_do_not_mix() -> None:
    table = BindingTable(lifetime_s=10)
    table.apply(report(1, told(NEAR, _RAW), told(NEAR6, _RAW)), now_s=0)
    assert [item.d_bid for item in table.usable(D_SID, 0)] == [NEAR]
    assert [item.d_bid for item in table.usable(D_SID6, 0)] == [NEAR6]


@pytest.mark.parametrize("late", [5, 4, 1])
def test_replayed_and_overtaken_reports_change_nothing(late: int) -> None:
    table = BindingTable(lifetime_s=10)
    table.apply(report(5), now_s=0)
    assert not table.apply(report(late, told(NEAR, None)), now_s=1)
    assert [item.d_bid for item in table.usable(D_SID, 1)] == [NEAR]


def test_sequences_are_counted_per_site() -> None:
    table = BindingTable(lifetime_s=10)
    assert table.apply(report(5), now_s=0)
    assert table.apply(report(1, told(FAR, _RAW), site="west"), now_s=0)


def test_sequence_numbers_wrap() -> None:
    table = BindingTable(lifetime_s=10)
    assert table.apply(report(_LAST_SEQUENCE), now_s=0)
    assert table.apply(report(0), now_s=1)
    assert table.apply(report(1), now_s=2)
    assert not table.apply(report(_LAST_SEQUENCE), now_s=3)


def test_a_restarted_agent_is_believed_once_its_site_was_silent_for_a_lifetime() -> None:
    table = BindingTable(lifetime_s=10)
    table.apply(report(1000), now_s=0)
    assert [table.apply(report(number), now_s=number) for number in range(1, 12)] == [False] * 10 + [True]
    assert table.apply(report(12), now_s=12)
    assert not table.apply(report(11), now_s=12)


# -- affinity --------------------------------------------------------------------------------------


def test_a_bound_flow_is_found_by_key_and_by_number_until_it_ends() -> None:
    table = AffinityTable()
    entry = table.bind(flow(), NEAR, "east", 30, now_s=1)
    other = table.bind(flow(40001), FAR, "west", 30, now_s=2)
    assert entry.number != other.number
    assert (table.find(flow()), table.numbered(other.number), len(table)) == (entry, other, 2)
    assert list(table) == [entry, other]
    assert entry.d_sid == D_SID
    with pytest.raises(ValueError, match="is bound already"):
        table.bind(flow(), FAR, "west", 30, now_s=3)
    table.end(entry)
    table.end(entry)  # once more is no error: the switch may tell twice
    assert (table.find(flow()), table.numbered(entry.number), len(table)) == (None, None, 1)


def test_numbers_are_never_used_again() -> None:
    table = AffinityTable()
    first = table.bind(flow(), NEAR, "east", 30, now_s=1)
    table.end(first)
    assert table.bind(flow(), NEAR, "east", 30, now_s=2).number > first.number


def test_what_is_renewed_is_remembered_until_the_binding_ends() -> None:
    table = AffinityTable()
    entry = table.bind(flow(), NEAR, "east", 30, now_s=1)
    renewed = table.renew(entry, installed_s=5)
    assert (renewed.created_s, renewed.installed_s, renewed.return_packets) == (1, 5, 0)
    counted = table.renew(renewed, installed_s=7, return_packets=2**40)
    assert (
        table.find(flow())
        == table.numbered(entry.number)
        == counted
        == entry._replace(installed_s=7, return_packets=2**40)
    )
    table.end(counted)
    table.renew(counted, installed_s=9)
    assert len(table) == 0
    after = table.bind(flow(), FAR, "west", 30, now_s=10)
    table.renew(counted, installed_s=11)  # of a binding that is no more, whatever took its place
    assert table.find(flow()) == after


def test_two_services_of_one_instance_cannot_share_a_way_home() -> None:
    table = AffinityTable()
    second_service = flow(dst=FAR)
    entry = table.bind(flow(), NEAR, "east", 30, now_s=1)
    assert table.reverse_key_taken(second_service, NEAR)
    assert not table.reverse_key_taken(second_service, FAR)
    assert not table.reverse_key_taken(flow(40001, dst=FAR), NEAR)
    table.end(entry)
    assert not table.reverse_key_taken(second_service, NEAR)


# -- paths -----------------------------------------------------------------------------------------


def test_a_path_costs_what_routing_says_until_it_is_measured() -> None:
    path = PathState("west", path_cost_ms=20)
    assert (path.rtt_s, path.cost_s) == (None, 0.02)
    path.on_reply(0.05, now_s=1)
    assert (path.cost_s, path.answered_s, path.replies) == (0.05, 1, 1)


def test_one_late_probe_moves_nothing_and_congestion_is_seen() -> None:
    path = PathState("west", path_cost_ms=20)
    for now_s in range(5):
        path.on_reply(0.02, now_s)
    path.on_reply(0.5, now_s=5)
    assert path.cost_s == pytest.approx(0.02)
    for now_s in range(6, 12):
        path.on_reply(0.1, now_s)
    assert path.cost_s == pytest.approx(0.1)


# -- flows and services ----------------------------------------------------------------------------


def test_masking_keeps_the_identifying_fields_and_always_the_d_sid() -> None:
    assert flow().masked(FIVE_TUPLE) == flow()
    assert flow().masked(THREE_TUPLE) == FlowKey(CLIENT, D_SID, 6, None, None)
    assert flow().masked(("src",)) == FlowKey(CLIENT, D_SID, None, None, None)


def test_ports_of_one_block_belong_to_one_flow() -> None:
    service = Service("call", (D_SID,), port_block=4)
    ports = [(40000, 5004), (40003, 5007), (40004, 5004), (40000, 5008)]
    found = [service.identifier(FlowKey(CLIENT, D_SID, UDP, *pair)) for pair in ports]
    assert found[0] == found[1] == FlowKey(CLIENT, D_SID, UDP, 40000, 5004)
    assert len(set(found)) == 3
    assert service.is_identified_by(found[0])
    assert not service.is_identified_by(FlowKey(CLIENT, D_SID, UDP, 40001, 5004))
    without = Service("ping", (D_SID,), port_block=4).identifier(FlowKey(CLIENT, D_SID, 1, None, None))
    assert without == FlowKey(CLIENT, D_SID, 1, None, None)


def test_a_later_fragment_lacks_the_ports_and_ping_never_had_any() -> None:
    assert flow(None, proto=UDP).lacks_ports
    assert not flow(0, proto=UDP).lacks_ports
    assert not flow(None, proto=1).lacks_ports


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"flow_fields": ("src", "dscp")}, r"service render: unknown flow fields \['dscp'\]; known"),
        ({"port_block": 3}, "service render: port_block must be a power of two up to 4096"),
        ({"port_block": 4, "flow_fields": THREE_TUPLE}, "service render: a port_block needs src_port or dst_port"),
        ({"flow_fields": ("src", "dst_port")}, "service render: ports identify a flow only together with proto"),
        ({"affinity_timeout_s": 0}, r"service render: affinity_timeout_s must be 1\.\.65535, not 0"),
        ({"affinity_timeout_s": 65536}, r"must be 1\.\.65535, not 65536"),
    ],
)
def test_a_service_that_cannot_be_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Service("render", (D_SID,), **keys)  # type: ignore[arg-type]
