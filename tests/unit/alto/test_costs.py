"""Cost types, metrics, constraints and statistics (RFC 7285, 10.5 to 10.7 and 11.3.2.3; RFC 8189; RFC 9439)."""

from __future__ import annotations

import pytest

from testbed.alto.costs import constraints, metrics
from testbed.alto.costs.constraints import Constraints
from testbed.alto.costs.cost_type import CostContext, CostMode, CostType, announced
from testbed.alto.costs.sample_statistics import statistic
from testbed.alto.errors import AltoDataError

SAMPLES = [30.0, 10.0, 20.0, 40.0]


def test_metric_and_mode_tell_cost_types_apart_and_the_source_does_not() -> None:
    assert CostType("delay-ow", context=CostContext("sla"), description="mine") == CostType("delay-ow")
    assert CostType("delay-ow") != CostType("delay-ow", CostMode.ORDINAL)


def test_a_cost_type_is_read_as_it_is_written() -> None:
    cost_type = CostType("delay-ow:p95", CostMode.NUMERICAL, CostContext("sla", {"link": "https://x.example"}), "95 %")
    document = cost_type.document(with_description=True)
    assert document == {
        "cost-mode": "numerical",
        "cost-metric": "delay-ow:p95",
        "cost-context": {"cost-source": "sla", "parameters": {"link": "https://x.example"}},
        "description": "95 %",
    }
    read = CostType.of(document)
    assert (read.key, read.context, read.description) == (cost_type.key, cost_type.context, "95 %")
    assert "description" not in cost_type.document()


@pytest.mark.parametrize(
    "document",
    [
        {"cost-mode": "foo", "cost-metric": "routingcost"},
        {"cost-mode": "numerical", "cost-metric": "routing cost"},
        {"cost-mode": "numerical", "cost-metric": "priv:"},
        {"cost-mode": "numerical", "cost-metric": "delay-ow", "cost-context": {}},
        {"cost-mode": "numerical", "cost-metric": "delay-ow", "cost-context": {"cost-source": "a guess"}},
        {"cost-mode": "numerical", "cost-metric": "delay-ow", "cost-context": 5},
    ],
)
def test_what_is_no_cost_type_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(AltoDataError):
        CostType.of(document)


@pytest.mark.parametrize("name", ["delay-ow", "delay-rt:min", "lossrate:p99.9", "tput:mean", "bw-residual", "priv:own"])
def test_a_registered_or_private_metric_may_be_announced(name: str) -> None:
    assert announced(CostType(name)).metric == name


@pytest.mark.parametrize(
    ("cost_type", "reason"),
    [
        (CostType("air-miles"), "'air-miles' is not registered"),
        (CostType("bw-utilized"), "not registered"),
        (CostType("delay-ow:p101"), "'p101' is no statistic"),
        (CostType("delay-ow:"), "'' is no statistic"),
        (CostType("delay-ow:avg"), "'avg' is no statistic"),
        (CostType("routingcost:mean"), "is no statistic of routingcost"),
        (CostType("delay-ow", context=CostContext("rumour")), "'rumour' is no cost source"),
        (CostType("routingcost", context=CostContext("sla")), "the cost source of routingcost is `estimation`"),
        (CostType("tput", context=CostContext("nominal")), "throughput is measured: its cost source is not `nominal`"),
        (CostType("tput:p5", context=CostContext("sla")), "throughput is measured: its cost source is not `sla`"),
    ],
)
def test_others_may_not(cost_type: CostType, reason: str) -> None:
    with pytest.raises(AltoDataError, match=reason):
        announced(cost_type)


@pytest.mark.parametrize(
    ("name", "unit", "is_of"),
    [
        ("delay-ow", "microseconds", "median"),
        ("delay-rt", "microseconds", "median"),
        ("delay-variation:p95", "microseconds", "p95"),
        ("lossrate", "percent", "median"),
        ("hopcount", "hops", "median"),
        ("tput", "bytes per second", "median"),
        ("bw-residual", "bytes per second", "cur"),
        ("bw-available:min", "bytes per second", "min"),
        ("routingcost", "", None),
    ],
)
def test_a_metric_has_its_unit_and_a_statistic_where_none_is_said(name: str, unit: str, is_of: str | None) -> None:
    metric = metrics.registered(name)
    assert metric is not None and metric.unit == unit and metrics.statistic_of(name) == is_of


def test_what_says_no_source_is_estimated() -> None:
    assert CostType("delay-ow").source == "estimation" and CostType("tput", context=CostContext("sla")).source == "sla"


def test_a_spread_of_bandwidth_is_better_if_it_is_small() -> None:
    assert metrics.higher_is_better("tput:p5") and not metrics.higher_is_better("tput:stddev")
    assert not metrics.higher_is_better("delay-ow") and not metrics.higher_is_better("priv:x")


@pytest.mark.parametrize(
    ("operator", "figure"),
    [
        ("cur", 40), ("min", 10), ("max", 40), ("median", 25), ("mean", 25), ("stdvar", 125), ("stddev", 125**0.5),
        ("p0", 10), ("p25", 10), ("p26", 20), ("p50", 20), ("p99.9", 40), ("p100", 40),
    ],
)  # fmt: skip
def test_a_statistic_of_samples(operator: str, figure: float) -> None:
    assert statistic(SAMPLES, operator) == pytest.approx(figure)


@pytest.mark.parametrize(("samples", "operator"), [([], "min"), ([1.0], "p101"), ([1.0], "average"), ([1.0], "p01")])
def test_no_statistic_without_samples_or_of_an_unknown_name(samples: list[float], operator: str) -> None:
    with pytest.raises(AltoDataError):
        statistic(samples, operator)


@pytest.mark.parametrize(
    ("text", "holding"),
    [
        ("gt 10", [11]),
        ("lt 10", [9]),
        ("ge 10", [10, 11]),
        ("le 1e1", [9, 10]),
        ("eq 10.0", [10]),
        ("  ge   .1e2 ", [10, 11]),
        ("[0] gt 10", [11]),
    ],
)
def test_a_constraint_holds_for_costs_on_its_side(text: str, holding: list[float]) -> None:
    constraint = constraints.parse(text)
    assert constraint is not None
    assert [cost for cost in (9, 10, 11) if constraint.holds([cost])] == holding
    assert not constraint.holds([None])


@pytest.mark.parametrize(
    "text", ["", "gt", "10", "gt10", "ne 5", "gt 10 11", "gt ten", "gt 1e999", "gt inf", "[-1] gt 1", "GT 1"]
)
def test_other_texts_are_no_constraints(text: str) -> None:
    assert constraints.parse(text) is None


def test_all_of_one_alternative_are_to_hold() -> None:
    """Hop count 0, or a routing cost from 5 to 10."""
    texts = [["[1] eq 0"], ["[0] ge 5", "[0] le 10"]]
    parsed = [tuple(filter(None, map(constraints.parse, together))) for together in texts]
    alternatives = Constraints(tuple(parsed))
    costs = [(4, 0), (7, 3), (11, 0), (11, 1), (7, None)]
    assert [alternatives.hold(pair) for pair in costs] == [True, True, True, False, True]
    assert Constraints().hold([None])
