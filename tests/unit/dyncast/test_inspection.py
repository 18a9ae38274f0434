"""What is seen of a D-Router from outside: rows of each section, by pages, and without any effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from testbed.dyncast.actions import InstallAffinity, RemoveAffinity, ResetFlows, SendMessage
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.monitoring.port_state import Port
from testbed.dyncast.nodes import inspection
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.inspection import Row
from testbed.net.port_counters import PortCounters, Reading
from tests.dyncast_samples import (
    D_SID,
    D_SID6,
    FAR,
    HERE,
    NEAR,
    PEER,
    THERE,
    d_router,
    flow,
    informed,
    of_kind,
    only,
    report_bytes,
    service,
    told,
)

OTHER_D_SID = ip_address("203.0.113.11")


def rows(router: DRouter, section: str, now_s: float = 0.0) -> list[Row]:
    return [row for page in pages(router, section, now_s) for row in page.rows]


def pages(router: DRouter, section: str, now_s: float = 0.0) -> Iterator[inspection.Page]:
    start: int | None = 0
    while start is not None:
        page = inspection.page(router, section, start, now_s)
        yield page
        start = page.following


def bind(router: DRouter, flows: int, now_s: float = 0.0, first_port: int = 40000) -> None:
    for port in range(first_port, first_port + flows):
        only(router.on_packet(flow(port), now_s), InstallAffinity)


@pytest.mark.parametrize("mode", ["reactive", "datapath"])
def test_every_section_is_json_whatever_is_known(mode: str) -> None:
    for router in (d_router(service(affinity_mode=mode)), informed(d_router(service(affinity_mode=mode)))):
        for section in inspection.SECTIONS:
            json.dumps(rows(router, section, 1.0))


def test_what_is_no_section_is_refused_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="no section 'weather'; there are: services, bindings"):
        inspection.page(d_router(), "weather", 0, 0.0)


def test_a_service_says_what_identifies_its_flows_and_who_binds_them() -> None:
    router = informed(d_router(service(policy="closest", affinity_timeout_s=7)))
    bind(router, 3)
    v4, v6 = rows(router, "services", 1.0)
    assert v4 == {
        "service": "render", "d_sid": str(D_SID), "policy": "closest",
        "flow_fields": ["src", "dst", "proto", "src_port", "dst_port"], "port_block": 1, "timeout_s": 7,
        "mode": "reactive", "steering": "rewrite", "choice": "instance",
        "bound_by": "d_router", "instances": 2, "usable": 2, "flows_bound": 3, "flows_given": None,
    }  # fmt: skip
    assert (v6["d_sid"], v6["flows_bound"]) == (str(D_SID6), 0)
    assert [row["usable"] for row in rows(router, "services", 1000.0)] == [0, 0]


def test_a_service_whose_flows_the_switch_binds_says_how_many_it_gave_until_it_no_longer_does() -> None:
    router = informed(d_router(service(affinity_mode="datapath")))
    router.on_flows_assigned(D_SID, NEAR, 5, 1.0)
    router.on_flows_assigned(D_SID, FAR, 2, 1.0)
    v4 = rows(router, "services", 1.0)[0]
    assert (v4["bound_by"], v4["flows_bound"], v4["flows_given"]) == ("switch", None, 7)
    assert [row["flows_given"] for row in rows(router, "bindings", 1.0) if row["d_sid"] == str(D_SID)] == [5, 2]
    router.on_datapath_mode_refused("render")
    v4 = rows(router, "services", 1.0)[0]
    assert (v4["mode"], v4["bound_by"], v4["flows_bound"], v4["flows_given"]) == ("datapath", "d_router", 0, None)


def test_a_binding_says_its_metrics_and_how_old_they_are() -> None:
    router = d_router()
    raw = RawMetrics(4, busy_workers=3, queue_length=1, queue_limit=10, sessions=5, utilisation=0.75)
    router.on_message(report_bytes(THERE, 1, 10.0, told(FAR, raw)), FAR, 10.25)
    bind(router, 2, 10.5)
    (row,) = rows(router, "bindings", 11.0)
    metrics = row["metrics"]
    assert isinstance(metrics, dict)
    assert [metrics[key] for key in ("workers", "busy_workers", "utilisation")] == [4, 3, 0.75]
    assert (row["service"], row["d_sid"], row["d_bid"], row["egress"]) == ("render", str(D_SID), str(FAR), THERE)
    assert (row["state"], row["usable"], row["flows_bound"]) == ("up", True, 2)
    assert (row["metrics_age_s"], row["heard_ago_s"]) == (1.0, 0.75)
    router.on_message(report_bytes(THERE, 2, 12.0, told(FAR, None)), FAR, 12.0)
    (row,) = rows(router, "bindings", 12.0)
    assert (row["state"], row["usable"], row["score"], row["metrics"]) == ("down", False, 0, None)


def test_weights_are_what_the_next_flows_would_get_and_cost() -> None:
    router = informed(d_router(service(policy="dyncast"), service(name="other", d_sids=(OTHER_D_SID,))), near=40)
    shown = [row for row in rows(router, "weights", 0.5) if row["d_sid"] == str(D_SID)]
    assert {row["d_bid"] for row in shown} == {str(NEAR), str(FAR)}
    assert sum(float(str(row["share"])) for row in shown) == pytest.approx(1)
    cheapest = min(shown, key=lambda row: float(str(row["cost"])))
    assert cheapest["d_bid"] == str(FAR)  # the near one has a queue
    bound = only(router.on_packet(flow(), 0.5), InstallAffinity)
    assert str(bound.entry.d_bid) == cheapest["d_bid"]


def test_a_policy_without_costs_has_weights_all_the_same() -> None:
    router = informed(d_router(service(policy="weighted")))
    shown = [row for row in rows(router, "weights", 0.5) if row["d_sid"] == str(D_SID)]
    assert [(row["share"], row["cost"]) for row in shown] == [(0.5, None), (0.5, None)]


def test_looking_changes_no_decision() -> None:
    watched, alone = (informed(d_router(service(policy="random"), seed=3)) for _ in range(2))
    for port in range(40000, 40100):
        now_s = (port - 40000) * 0.01
        for section in inspection.SECTIONS:
            rows(watched, section, now_s)
        assert watched.on_packet(flow(port), now_s) == alone.on_packet(flow(port), now_s)
    assert watched.counters == alone.counters


def test_flows_come_in_pages_and_each_once() -> None:
    router = informed(d_router())
    bind(router, 1200)
    shown = list(pages(router, "flows", 2.0))
    assert len(shown) > 2
    assert max(len(page.rows) for page in shown) < 1200
    assert [row["src_port"] for page in shown for row in page.rows] == list(range(40000, 41200))
    assert shown[0].rows[0] == {
        "src": "10.1.0.10", "src_port": 40000, "d_sid": str(D_SID), "dst_port": 80, "proto": "tcp",
        "d_bid": str(NEAR), "egress": HERE, "age_s": 2.0, "timeout_s": 30, "held_by": "entry",
    }  # fmt: skip


def test_flows_that_end_while_pages_are_read_hide_no_others() -> None:
    router = informed(d_router())
    bind(router, 1200)
    reading = pages(router, "flows")
    seen = {row["src_port"] for row in next(reading).rows}
    for entry in list(router.affinity)[100:200]:
        router.keeper.on_forward_entry_removed(entry.number, idle=False)
    bind(router, 50, first_port=50000)
    seen |= {row["src_port"] for page in reading for row in page.rows}
    assert seen >= {row["src_port"] for row in rows(router, "flows")} - set(range(50000, 50050))


def test_a_field_that_does_not_identify_a_flow_is_none() -> None:
    router = informed(d_router(service(flow_fields=("src", "dst"))))
    bind(router, 1)
    (row,) = rows(router, "flows")
    assert (row["src"], row["proto"], row["src_port"], row["dst_port"]) == ("10.1.0.10", None, None, None)


def test_a_port_says_how_full_it_is_and_whom_it_leads_to() -> None:
    peer = replace(PEER, port="r2")
    router = d_router(peers=(peer,), ports=(Port("r2", 12e6, 100),))
    (row,) = rows(router, "ports")
    assert (row["port"], row["towards"], row["rate_mbps"]) == ("r2", [THERE], 12.0)
    assert [row[key] for key in ("sent_mbps", "utilisation", "drop_share", "sent_packets")] == [None] * 4
    for second in range(3):
        counters = PortCounters(1_350_000 * second, 900 * second, 100 * second)
        router.on_port_counters({"r2": Reading(counters, float(second))})
    (row,) = rows(router, "ports")
    assert (row["utilisation"], row["drop_share"], row["queueing_ms"]) == (0.9, 0.1, 100.0)
    assert (row["sent_mbps"], row["sent_packets"], row["dropped_packets"]) == (10.8, 1800, 200)
    (neighbour,) = rows(router, "neighbours")
    assert (neighbour["port"], neighbour["port_cost_ms"]) == ("r2", round(100.0 + (20.0 + 200.0) / 9, 3))


def test_a_neighbour_whose_control_process_is_gone_is_silent_and_not_lossy() -> None:
    router = d_router()
    probe = codec.decode(only(router.on_timer(0.0), SendMessage).data)
    assert isinstance(probe, Probe)
    answer = codec.encode(Probe(THERE, probe.sequence, probe.sent_s, is_reply=True))
    router.on_message(answer, PEER.address, 0.01)
    for second in range(1, 9):
        router.on_returned(only(router.on_timer(float(second)), SendMessage).data, PEER.address, second + 0.01)
    (row,) = rows(router, "neighbours", 9.0)
    assert (row["reachable"], row["control_silent"], row["loss_percent"]) == (True, True, 0.0)
    assert (row["probes_answered"], row["probes_returned"], row["rtt_ms"]) == (1, 8, 10.0)


def test_a_neighbour_says_how_far_it_is_and_when_it_was_heard() -> None:
    router = d_router()
    (row,) = rows(router, "neighbours")
    assert (row["site"], row["address"], row["path_cost_ms"]) == (THERE, str(PEER.address), 20.0)
    unknown = ("rtt_ms", "jitter_ms", "loss_percent", "answered_ago_s", "reported_ago_s")
    assert [row[key] for key in unknown] == [None] * len(unknown)
    for second, rtt_s in enumerate((0.010, 0.014, None, 0.012)):
        probe = codec.decode(only(router.on_timer(float(second)), SendMessage).data)
        assert isinstance(probe, Probe)
        if rtt_s is not None:
            answer = codec.encode(Probe(THERE, probe.sequence, probe.sent_s, is_reply=True))
            router.on_message(answer, PEER.address, second + rtt_s)
    router.on_timer(4.0)  # its probe is still under way
    (row,) = rows(router, "neighbours", 4.5)
    assert (row["rtt_ms"], row["jitter_ms"], row["loss_percent"]) == (12.0, 3.0, 25.0)
    assert (row["probes_sent"], row["probes_answered"], row["answered_ago_s"]) == (5, 3, 1.488)
    assert row["reachable"] is True
    for second in range(5, 10):
        router.on_timer(float(second))
    assert rows(router, "neighbours", 10.0)[0]["reachable"] is False


def test_counters_are_those_of_the_d_router() -> None:
    router = informed(d_router())
    bind(router, 3)
    assert {"kind": "decisions", "count": 3} in rows(router, "counters")


# -- reset -------------------------------------------------------------------------------------------


def reset(router: DRouter, slots: int = 100) -> list[object]:
    actions: list[object] = []
    start: int | None = 0
    while start is not None:
        done, start = router.reset_flows(router.config.services, start, slots)
        actions += done
    return actions


def test_a_reset_ends_every_binding_bit_by_bit_and_counts_them() -> None:
    router = informed(d_router())
    bind(router, 250)
    before = {entry.number for entry in router.affinity}
    actions = reset(router)
    assert {action.entry.number for action in actions if isinstance(action, RemoveAffinity)} == before
    assert len(actions) == 250
    assert len(router.affinity) == 0
    assert router.counters["bindings_reset"] == 250
    assert rows(router, "services")[0]["flows_bound"] == 0
    only(router.on_packet(flow(40000), 1.0), InstallAffinity)  # bound anew


def test_a_reset_of_one_service_leaves_the_others_alone() -> None:
    router = informed(d_router(service(), service(name="other", d_sids=(OTHER_D_SID,))))
    router.on_message(report_bytes(HERE, 2, 0.0, told(NEAR, RawMetrics(4), d_sid=OTHER_D_SID)), NEAR, 0.0)
    bind(router, 4)
    only(router.on_packet(flow(50000, dst=OTHER_D_SID), 0.0), InstallAffinity)
    actions, following = router.reset_flows([router.config.services[1]], 0, 100)
    assert following is None
    assert [action.entry.d_sid for action in of_kind(actions, RemoveAffinity)] == [OTHER_D_SID]
    assert [row["flows_bound"] for row in rows(router, "services")] == [4, 0, 0]


def test_what_the_switch_bound_it_is_told_to_end_once_for_each_service() -> None:
    router = informed(d_router(service(affinity_mode="datapath")))
    assert reset(router) == [ResetFlows((D_SID, D_SID6))]
    assert router.counters["bindings_reset"] == 0  # the switch will say
