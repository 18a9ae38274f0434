"""Cost maps: costs, changes, tags, ranks, filters (RFC 7285, sections 6 and 11.2.3)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.cost_map import Changes, CostMap, Costs
from testbed.alto.maps.cost_row import CostRow
from testbed.alto.version_tags import VersionTag

ROUTING = CostType("routingcost")
COSTS: Costs = {"A": {"A": 1, "B": 5, "C": 10}, "B": {"A": 5, "B": 1}, "C": {"A": 20.5}}


def made(costs: Costs = COSTS, cost_type: CostType = ROUTING) -> CostMap:
    return CostMap(cost_type, costs, [VersionTag("my-map", "1")])


def test_a_cost_is_defined_from_pid_to_pid_and_one_way() -> None:
    costs = made()
    assert (costs.cost("A", "C"), costs.cost("C", "A"), costs.cost("C", "B"), costs.cost("X", "A")) == (
        10,
        20.5,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({("A", "B"): 6}, {**COSTS, "A": {"A": 1, "B": 6, "C": 10}}),
        ({("C", "A"): None}, {"A": COSTS["A"], "B": COSTS["B"]}),
        ({("D", "A"): 1, ("A", "D"): 2}, {**COSTS, "A": {**COSTS["A"], "D": 2}, "D": {"A": 1}}),
        ({("X", "Y"): None}, COSTS),
        ({}, COSTS),
        ({("A", "B"): 5.0}, COSTS),
    ],
)
def test_a_changed_map_is_the_map_that_is_made_whole(changes: Changes, result: Costs) -> None:
    changed, whole = made().with_costs(changes), made(result)
    assert changed.tag == whole.tag and changed.octets == whole.octets
    assert json.loads(changed.octets) == changed.document() == whole.document()


def test_a_map_stays_as_it_was_when_the_next_one_is_made() -> None:
    first = made()
    tag = first.tag
    assert first.with_costs({("A", "B"): 6}).tag != tag
    assert first.cost("A", "B") == 5 and first.tag == tag == made().tag


def test_rows_that_do_not_change_are_shared_and_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made()
    assert first.octets
    encoded: list[str] = []
    octets: Callable[[CostRow], bytes] = CostRow.octets.func  # type: ignore[attr-defined]
    monkeypatch.setattr(CostRow.octets, "func", lambda row: encoded.append(row.source) or octets(row))
    second = first.with_costs({("B", "A"): 7})
    assert second.octets != first.octets and second.tag != first.tag
    assert encoded == ["B"]
    assert second.rows["A"] is first.rows["A"]


def test_the_tag_depends_on_the_type_and_on_the_network_map() -> None:
    maps = [
        made(),
        made(cost_type=CostType("hopcount:mean")),
        CostMap(ROUTING, COSTS),
        CostMap(ROUTING, COSTS, [VersionTag("my-map", "2")]),
    ]
    assert len({costs.tag for costs in maps}) == len(maps)


def test_a_map_that_was_changed_back_has_the_tag_it_had() -> None:
    there = made().with_costs({("A", "B"): 6, ("C", "A"): None})
    back = there.with_costs({("A", "B"): 5, ("C", "A"): 20.5})
    assert there.tag != back.tag == made().tag


def test_what_changed_between_two_maps_makes_one_of_the_other() -> None:
    first = made()
    second = first.with_costs({("A", "B"): 6, ("C", "A"): None, ("D", "B"): 3})
    changes = second.changes_since(first)
    assert changes == {("A", "B"): 6, ("C", "A"): None, ("D", "B"): 3}
    assert first.with_costs(changes) == second and first.changes_since(first) == {}


def test_costs_of_pids_that_are_gone_go_when_the_network_map_changes() -> None:
    left = made().depending_on([VersionTag("my-map", "2")], {"A", "C"})
    assert left.document()["cost-map"] == {"A": {"A": 1, "C": 10}, "C": {"A": 20.5}}
    assert left == CostMap(ROUTING, {"A": {"A": 1, "C": 10}, "C": {"A": 20.5}}, [VersionTag("my-map", "2")])


def test_ranks_are_among_all_costs_of_the_map_and_equal_for_equal_costs() -> None:
    ranks = made().as_ordinal
    assert ranks.cost_type == CostType("routingcost", CostMode.ORDINAL)
    assert ranks.document()["cost-map"] == {"A": {"A": 1, "B": 2, "C": 3}, "B": {"A": 2, "B": 1}, "C": {"A": 4}}
    assert ranks.as_ordinal is ranks


def test_more_bandwidth_has_the_better_rank() -> None:
    ranks = made({"A": {"A": 1e9, "B": 1e6}}, CostType("bw-available")).as_ordinal
    assert ranks.document()["cost-map"] == {"A": {"A": 1, "B": 2}}


def test_a_filter_leaves_pairs_that_it_asks_for() -> None:
    assert made().select(["A", "X", "A"], ["C", "B", "X"]) == {"A": {"C": 10, "B": 5}}
    assert made().select([], ["A"]) == {"A": {"A": 1}, "B": {"A": 5}, "C": {"A": 20.5}}
    assert made().select([], []) == COSTS


@pytest.mark.parametrize(
    ("metric", "mode", "cost"),
    [
        ("routingcost", "numerical", float("nan")),
        ("routingcost", "numerical", float("inf")),
        ("routingcost", "numerical", 10**400),
        ("routingcost", "numerical", True),
        ("routingcost", "numerical", "5"),
        ("routingcost", "ordinal", 1.5),
        ("routingcost", "ordinal", -1),
        ("delay-ow", "numerical", -1),
        ("hopcount", "numerical", 1.5),
        ("lossrate:p95", "numerical", 101),
    ],
)
def test_a_cost_that_the_type_cannot_have_is_refused(metric: str, mode: str, cost: float) -> None:
    cost_type = CostType(metric, CostMode(mode))
    with pytest.raises(AltoDataError):
        CostMap(cost_type, {"A": {"B": cost}})
    with pytest.raises(AltoDataError):
        CostMap(cost_type, {}).with_costs({("A", "B"): cost})


def test_a_private_cost_may_be_negative_and_a_mean_of_hops_a_fraction() -> None:
    assert made({"A": {"B": -2.5}}, CostType("priv:gain")).cost("A", "B") == -2.5
    assert made({"A": {"B": 2.5}}, CostType("hopcount:mean")).cost("A", "B") == 2.5
