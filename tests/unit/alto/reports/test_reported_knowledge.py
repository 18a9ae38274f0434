"""What a server knows by reports: which entries each touches, and that what is not reported is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from testbed.alto.client import answers
from testbed.alto.costs.cost_type import CostType
from testbed.alto.maps.entities import entity
from testbed.alto.network.static_knowledge import HOPS, ROUTING
from testbed.alto.reports.measured_clusters import entity_of
from testbed.alto.reports.messages import ClusterReport, HeldBlob, HeldFunction, LinkReport, PathReport, Runtime
from testbed.alto.reports.reported_knowledge import ReportedKnowledge
from testbed.alto.service.exchange import Request
from testbed.alto.service.service import Service
from tests.alto_reports import (
    CLUSTER,
    DIGEST,
    EAST,
    LIFETIME_S,
    MID,
    NOW_S,
    RESOURCES,
    WEST,
    arrived,
    cluster_report,
    knowing,
    network_report,
    origin,
    path,
)

R = "R_1"
CLUSTER_ENTITY = ".ane:cluster@east"
ENDPOINT = ("priv:cluster", "priv:slots-free", "priv:waiting")


def costs(known: ReportedKnowledge, metric: str) -> dict[tuple[str, str], float]:
    """Return the costs of a metric that are defined, by PIDs."""
    net = known.knowledge.network_maps["net"]
    rows = known.knowledge.cost_map(net, CostType(metric)).rows
    return {(source, target): cost for source, row in rows.items() for target, cost in row.costs.items()}


def properties(known: ReportedKnowledge) -> dict[str, Any]:
    mappings = next(entry.capabilities.mappings for entry in known.directory.entries if entry.resource_id == "clusters")
    return known.knowledge.property_maps["clusters"].defined(mappings).get(CLUSTER_ENTITY, {})


def test_before_any_report_costs_are_those_that_nobody_measures() -> None:
    known = knowing()
    assert costs(known, HOPS.metric)[EAST, WEST] == 2 and costs(known, ROUTING.metric)[EAST, WEST] == 3.002
    assert costs(known, "bw-residual")[EAST, WEST] == 1e6  # bytes per second, of the narrower link
    assert (MID, R) not in costs(known, "bw-residual")  # it has no limit
    for metric in ("delay-ow", "delay-rt", "delay-variation", "lossrate", "bw-available", "priv:bw-utilized"):
        assert costs(known, metric) == {}


def test_a_report_about_one_path_touches_the_entries_of_this_path_alone() -> None:
    known = knowing()
    before = known.knowledge
    assert arrived(known, network_report(path(WEST, rtt_ms=6.0, one_way_ms=3.5, answered=8))).changed
    assert costs(known, "delay-rt") == {(EAST, WEST): 6000}
    assert costs(known, "delay-ow") == {(WEST, EAST): 3500}  # it came from there
    assert costs(known, "delay-variation") == {(WEST, EAST): 500}  # beyond the least
    assert costs(known, "lossrate") == {(EAST, WEST): 10.56}  # one way, of a round trip that loses two in ten
    untouched = [key for key in before.cost_maps if key[1] in ("routingcost", "hopcount", "bw-residual")]
    assert untouched and all(known.knowledge.cost_maps[key] is before.cost_maps[key] for key in untouched)


def test_a_second_path_leaves_the_rows_of_others_as_they_are() -> None:
    known = knowing()
    arrived(known, network_report(path(WEST), path(MID)))
    net = known.knowledge.network_maps["net"]
    before = known.knowledge.cost_map(net, CostType("delay-ow"))
    arrived(known, network_report(path(WEST), path(MID, one_way_ms=20.0), sequence=2))
    after = known.knowledge.cost_map(net, CostType("delay-ow"))
    assert after.changes_since(before) == {(MID, EAST): 20000}
    assert after.rows[WEST] is before.rows[WEST]


def test_a_change_too_small_to_matter_is_none() -> None:
    known = knowing(least_change=0.05)
    arrived(known, network_report(path(rtt_ms=100.0)))
    assert not arrived(known, network_report(path(rtt_ms=104.9), sequence=2)).changed
    assert costs(known, "delay-rt") == {(EAST, WEST): 100_000}
    assert arrived(known, network_report(path(rtt_ms=105.1), sequence=3)).changed


def test_a_path_that_no_probe_comes_back_from_loses_all_and_has_no_delay() -> None:
    known = knowing()
    arrived(known, network_report(path()))
    arrived(known, network_report(PathReport(WEST, 10, 0), sequence=2))
    assert costs(known, "lossrate") == {(EAST, WEST): 100}
    assert costs(known, "delay-rt") == costs(known, "delay-ow") == {}


def test_what_is_not_reported_for_a_lifetime_is_left_out_and_not_frozen() -> None:
    known = knowing()
    arrived(known, network_report(path(), links=(LinkReport("R/1", 500_000, 1.0),)))
    arrived(known, cluster_report())
    assert known.next_timer_s() == NOW_S + LIFETIME_S
    assert not known.on_timer(NOW_S + LIFETIME_S - 0.1)
    assert costs(known, "delay-rt") and costs(known, "bw-available")
    assert known.on_timer(NOW_S + LIFETIME_S)
    for metric in ("delay-ow", "delay-rt", "delay-variation", "lossrate", "bw-available", "priv:bw-utilized"):
        assert costs(known, metric) == {}
    assert costs(known, "bw-residual") == costs(knowing(), "bw-residual")
    assert properties(known) == properties(knowing()) == {".priv:addresses": ["10.1.0.12"]}
    assert known.next_timer_s() is None


def test_each_path_has_its_own_lifetime_from_when_it_was_measured() -> None:
    known = knowing()
    arrived(known, network_report(path(WEST), path(MID)))
    late_s = NOW_S + 3
    arrived(known, network_report(path(WEST), sequence=2, sent_s=NOW_S + 2), late_s)
    known.on_timer(NOW_S + LIFETIME_S)
    assert costs(known, "delay-rt") == {(EAST, WEST): 6000}
    assert known.next_timer_s() == NOW_S + 2 + LIFETIME_S


def test_a_clock_that_is_ahead_makes_nothing_last_longer() -> None:
    known = knowing()
    arrived(known, network_report(path(), sent_s=NOW_S + 0.9))
    assert known.next_timer_s() == NOW_S + LIFETIME_S


def test_a_link_counts_for_every_path_over_it() -> None:
    known = knowing()
    arrived(known, network_report(links=(LinkReport("R/1", 2_000_000, 1.0),)))
    assert costs(known, "bw-available") == {(EAST, R): 8_000_000, (EAST, MID): 8_000_000, (EAST, WEST): 1_000_000}
    assert costs(known, "priv:bw-utilized") == dict.fromkeys(((EAST, R), (EAST, MID), (EAST, WEST)), 2_000_000)
    arrived(known, network_report(links=(LinkReport("R/1", 600_000, 1.0),), of=WEST))
    assert costs(known, "bw-available")[WEST, EAST] == 400_000


def test_a_link_that_carries_more_than_its_rate_has_nothing_left() -> None:
    known = knowing()
    arrived(known, network_report(links=(LinkReport("R/1", 99_000_000, 1.0),)))
    assert costs(known, "bw-available")[EAST, WEST] == 0


def test_the_rate_that_a_link_is_reported_to_have_counts_before_the_configured_one() -> None:
    known = knowing()
    arrived(known, network_report(links=(LinkReport("R/1", 0, 1.0, 4e6),)))
    assert costs(known, "bw-residual")[EAST, MID] == costs(known, "bw-available")[EAST, WEST] == 500_000


def test_traffic_that_hardly_changes_changes_no_bandwidth() -> None:
    known = knowing()
    arrived(known, network_report(links=(LinkReport("R/1", 2_000_000, 1.0),)))
    assert not arrived(known, network_report(links=(LinkReport("R/1", 2_100_000, 1.0),), sequence=2)).changed
    assert arrived(known, network_report(links=(LinkReport("R/1", 2_300_000, 1.0),), sequence=3)).changed
    assert arrived(known, network_report(links=(LinkReport("R/1", 0, 1.0),), sequence=4)).changed


def test_what_is_about_nothing_that_the_server_knows_is_counted() -> None:
    known = knowing()
    links = (LinkReport(WEST, 9, 1.0), LinkReport("x", 9, 1.0))
    assert not arrived(known, network_report(path("nowhere"), path(EAST), links=links)).changed
    assert known.counters == {"paths_unknown": 2, "links_unknown": 2}


def test_a_cluster_is_an_entity_with_its_resources_and_functions() -> None:
    known = knowing()
    arrived(
        known, cluster_report(RESOURCES, HeldFunction(DIGEST, 2, 0.01234), HeldBlob(DIGEST), Runtime("python:3", 1))
    )
    assert properties(known) == {
        ".priv:addresses": ["10.1.0.12"],
        ".priv:cpus": 4.0,
        ".priv:cpus-free": 2.5,
        ".priv:memory-mb": 2048,
        ".priv:memory-free-mb": 1536,
        ".priv:slots": 8,
        ".priv:slots-free": 6,
        ".priv:queue": 100,
        ".priv:waiting": 0,
        ".priv:runtimes": {"python:3": 1},
        ".priv:functions": {f"sha256:{DIGEST.hex()}": {"warm": 2, "run-ms": 12}},
        ".priv:blobs": [f"sha256:{DIGEST.hex()}"],
    }
    of = {name: known.knowledge.endpoint_properties[name].of("ipv4", "10.1.0.12") for name in ENDPOINT}
    assert of == {"priv:cluster": CLUSTER, "priv:slots-free": "6", "priv:waiting": "0"}


def test_a_cluster_as_busy_as_before_changes_nothing() -> None:
    known = knowing()
    arrived(known, cluster_report())
    assert not arrived(known, cluster_report(replace(RESOURCES, cpus_used=1.55), sequence=2)).changed
    assert arrived(known, cluster_report(replace(RESOURCES, slots_used=3), sequence=3)).changed
    assert properties(known)[".priv:slots-free"] == 5


def test_functions_count_when_all_parts_of_a_report_came() -> None:
    known = knowing()
    arrived(known, cluster_report(RESOURCES, HeldFunction(DIGEST)))
    for sequence, part in ((2, 0), (4, 2)):  # the one between is lost
        held = (HeldFunction(bytes([part]) * 32),)
        arrived(known, ClusterReport(origin(CLUSTER, sequence), RESOURCES, held, part, 3))
    assert properties(known)[".priv:functions"] == {f"sha256:{DIGEST.hex()}": {"warm": 0}}
    for sequence, part in ((5, 0), (6, 1)):
        arrived(
            known, ClusterReport(origin(CLUSTER, sequence), RESOURCES, (HeldFunction(bytes([part]) * 32),), part, 2)
        )
    assert list(properties(known)[".priv:functions"]) == [f"sha256:{octet * 32}" for octet in ("00", "01")]


def test_a_server_of_it_answers_with_what_is_known_and_says_how_it_was_measured() -> None:
    known = knowing()
    service = Service(known.knowledge, {"/directory": known.directory})
    arrived(known, network_report(path()))
    arrived(known, cluster_report())
    service.update(known.knowledge)
    answer = service.answer(Request("GET", "/costs/delay-ow-numerical"))
    assert b'"cost-map":{"west":{"east":3500}}' in answer.body
    assert b'"cost-source":"estimation","parameters":{"measured":"in band","kept-s":5' in answer.body
    assert b'".priv:slots-free":6' in service.answer(Request("GET", "/clusters")).body
    for entry in known.directory.entries:
        if not entry.accepts and entry.media_type != "text/event-stream":
            assert service.answer(Request("GET", entry.uri)).status == 200


def test_a_client_reads_what_a_cluster_has() -> None:
    known = knowing()
    arrived(known, cluster_report(RESOURCES, HeldFunction(DIGEST, 2)))
    answer = Service(known.knowledge, {"/directory": known.directory}).answer(Request("GET", "/clusters"))
    found = answers.property_map("/clusters", answer).values[CLUSTER_ENTITY]
    assert found == properties(known) and found[".priv:slots-free"] == 6


@pytest.mark.parametrize("name", ["cluster@New York", "Zürich", "a/b"])
def test_a_cluster_may_be_called_anything(name: str) -> None:
    assert entity(entity_of(name)) is not None
