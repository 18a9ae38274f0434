"""Who gets the next flow: how old the figures may be that a choice rests on, shares, what is recorded."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from testbed.dyncast import policies
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.policies import Candidate, Policy
from testbed.dyncast.policies.selectors.cost_order import CostOrder, Priced
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.selection import REFRESH_INTERVAL_S, Choice, Selection
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from tests.dyncast_samples import D_SID, HERE, NEAR, THERE


class Site:
    """Instances NEAR, NEAR + 1, … here, and others that are told of as at `THERE`."""

    def __init__(self, policy: str | Policy, *sessions: int, lifetime_s: float = 10.0) -> None:
        self.bindings = BindingTable(lifetime_s)
        self.paths = {THERE: PathState(THERE, 20.0)}
        self.view = InstanceView(NodeState(HERE, self.bindings, self.paths), "render", D_SID)
        chosen_by = policies.create(policy) if isinstance(policy, str) else policy
        self.selection = Selection(self.view, chosen_by, Random(7))
        self._sequence = 0
        self.report({NEAR + number: count for number, count in enumerate(sessions)}, now_s=0)

    def report(self, sessions: dict[Address, int], now_s: float, site: str = HERE, state: State = State.UP) -> None:
        self._sequence += 1
        raws = {
            d_bid: RawMetrics(4, queue_limit=50, sessions=count, service_time_s=0.1)
            for d_bid, count in sessions.items()
        }
        of = tuple(report_of(D_SID, d_bid, state, raw) for d_bid, raw in raws.items())
        assert self.bindings.apply(Report(site, self._sequence, now_s, of), now_s)
        for d_bid in sessions:
            self.selection.on_reported(d_bid)

    def choose(self, now_s: float, *barred: Address) -> Choice:
        choice = self.selection.choose(now_s, lambda d_bid: d_bid in barred)
        assert choice is not None
        return choice


# -- how old figures may be --------------------------------------------------------------------------


def test_a_report_is_obeyed_at_once() -> None:
    site = Site("least_loaded", 0, 5)
    assert site.choose(0).d_bid == NEAR
    site.report({NEAR: 9}, now_s=0)
    assert site.choose(0).d_bid == NEAR + 1


@pytest.mark.parametrize("state", [State.DOWN, State.DRAINING])
def test_an_instance_that_leaves_gets_nothing_from_then_on_and_one_that_joins_does(state: State) -> None:
    site = Site("round_robin", 0, 0)
    assert [site.choose(0).d_bid for _ in range(2)] == [NEAR, NEAR + 1]
    site.report({NEAR: 0}, now_s=0, state=state)
    site.report({NEAR + 2: 0}, now_s=0)
    choices = [site.choose(0) for _ in range(3)]
    assert [choice.d_bid for choice in choices] == [NEAR + 2, NEAR + 1, NEAR + 2]
    assert {item.candidate.d_bid for item in choices[0].weighed} == {NEAR + 1, NEAR + 2}
    assert NEAR not in site.selection.shares(8, 0)


def test_a_path_that_changed_is_obeyed_within_the_refresh_interval() -> None:
    site = Site("dyncast", 0)
    site.report({NEAR + 1: 0}, now_s=0, site=THERE)
    assert site.choose(0).d_bid == NEAR
    site.selection.on_assigned(NEAR, 10, 0)
    assert site.choose(0).d_bid == NEAR + 1
    site.paths[THERE].on_reply(5.0, now_s=0)
    assert site.choose(REFRESH_INTERVAL_S).d_bid == NEAR


def test_metrics_expire_to_the_moment() -> None:
    site = Site("dyncast", 0, lifetime_s=10)
    site.report({NEAR + 1: 0}, now_s=5)
    assert site.selection.available(9.99) == 2
    assert site.selection.available(10.0) == 2
    assert site.selection.available(10.01) == 1
    assert site.selection.available(15.01) == 0
    assert site.selection.choose(15.01, lambda _: False) is None
    assert site.selection.shares(64, 15.01) == {}


def test_a_choice_says_how_old_its_metrics_are() -> None:
    site = Site("dyncast", 0)
    assert [site.choose(now_s).metrics_age_s for now_s in (1.0, 1.05, 3.0)] == [1.0, 1.05, 3.0]


# -- who is chosen -----------------------------------------------------------------------------------


def test_each_flow_counts_for_the_next_one() -> None:
    site = Site("dyncast", 0, 0, 0)
    assert max(Counter(site.choose(0).d_bid for _ in range(15)).values()) <= 6


def test_ties_are_drawn_evenly() -> None:
    site = Site("random", *[0] * 4)
    drawn = Counter(site.choose(0).d_bid for _ in range(4000))
    assert len(drawn) == 4
    assert all(abs(count - 1000) < 200 for count in drawn.values())  # over 7 standard deviations


@pytest.mark.parametrize("policy", sorted(policies.POLICIES))
def test_one_that_is_barred_is_passed_over(policy: str) -> None:
    site = Site(policy, 0, 0, 0)
    assert {site.choose(0, NEAR, NEAR + 2).d_bid for _ in range(20)} == {NEAR + 1}
    assert site.selection.choose(0, lambda _: True) is None


class ByAddress(Policy):
    """What the author of a policy has to write at least."""

    def weights(self, candidates: list[Candidate], now_s: float) -> dict[Address, float]:  # type: ignore[override]  # noqa: ARG002
        return {item.d_bid: float(int(item.d_bid - int(NEAR)) + 1) for item in candidates if item.unreported < 400}


def test_a_policy_that_gives_weights_alone_is_asked_for_each_flow() -> None:
    site = Site(ByAddress(), 0, 0)
    choices = [site.choose(0) for _ in range(700)]
    drawn = Counter(choice.d_bid for choice in choices)
    assert drawn[NEAR + 1] == 400  # then it wants no more
    assert [(item.candidate.d_bid, item.weight, item.cost) for item in choices[0].weighed] == [
        (NEAR, 1, None),
        (NEAR + 1, 2, None),
    ]


def test_of_two_drawn_the_less_loaded_one_is_taken() -> None:
    site = Site("power_of_two", 5, 1, 3)
    drawn = Counter(site.choose(0).d_bid for _ in range(3000))
    assert drawn[NEAR] == 0  # it loses to either
    assert abs(drawn[NEAR + 1] - 2000) < 150  # over 5 standard deviations
    site.report({NEAR + 1: 9}, now_s=0)
    assert site.choose(0).d_bid != NEAR + 1
    choice = site.choose(0)
    assert [item.cost for item in choice.weighed if item.weight] == [0.75 if choice.d_bid == NEAR + 2 else 1.25]


def test_weights_of_each_alone_are_drawn_from_as_they_change() -> None:
    site = Site("weighted", 0, 0)
    drawn = Counter(site.choose(0).d_bid for _ in range(3000))
    assert abs(drawn[NEAR] - 1500) < 150  # over 5 standard deviations
    site.report({NEAR + 2: 0, NEAR + 3: 0}, now_s=0)
    site.report({NEAR: 0}, now_s=0, state=State.DOWN)
    drawn = Counter(site.choose(0).d_bid for _ in range(3000))
    assert set(drawn) == {NEAR + 1, NEAR + 2, NEAR + 3}
    assert all(abs(count - 1000) < 150 for count in drawn.values())
    assert [(item.weight, item.cost) for item in site.choose(0).weighed] == [(pytest.approx(40), None)] * 3


def test_turns_go_on_where_an_instance_comes_back_and_pass_over_one_that_is_barred() -> None:
    site = Site("round_robin", 0, 0, 0)
    assert [site.choose(0).d_bid for _ in range(3)] == [NEAR, NEAR + 1, NEAR + 2]
    site.report({NEAR + 1: 0}, now_s=0, state=State.DRAINING)
    assert site.choose(0, NEAR).d_bid == NEAR + 2
    site.report({NEAR + 1: 0}, now_s=0)
    assert [site.choose(0).d_bid for _ in range(4)] == [NEAR, NEAR + 1, NEAR + 2, NEAR]
    assert sorted((item.weight, item.cost) for item in site.choose(0).weighed) == [(0, None), (0, None), (1, None)]


# -- shares --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["closest", "random", "weighted", "power_of_two", "least_loaded"])
def test_where_load_given_here_does_not_count_those_that_tie_share_evenly(policy: str) -> None:
    assert Site(policy, 0, 0, 0, 0).selection.shares(64, 0) == {NEAR + number: 16 for number in range(4)}


@pytest.mark.parametrize("policy", sorted({*policies.POLICIES} - {"static"}))
def test_nobody_is_left_out_for_being_one_of_many_alike(policy: str) -> None:
    shares = Site(policy, *[0] * 100).selection.shares(64, 0)
    assert len(shares) == 100
    assert max(shares.values()) == 1


def test_turns_are_shared_alike_whoever_is_next() -> None:
    site = Site("round_robin", 0, 0, 0)
    for _ in range(4):
        assert site.selection.shares(64, 0) == {NEAR: 1, NEAR + 1: 1, NEAR + 2: 1}
        site.choose(0)


def test_weights_become_whole_numbers_of_which_none_is_nothing() -> None:
    site = Site(ByAddress(), 0, 0, 0)
    assert site.selection.shares(60, 0) == {NEAR: 10, NEAR + 1: 20, NEAR + 2: 30}
    assert site.selection.shares(2, 0) == {NEAR: 1, NEAR + 1: 1, NEAR + 2: 1}


def test_shares_reckon_with_what_the_switch_gave_and_change_nothing() -> None:
    site = Site("dyncast", 0, 0)
    shares = site.selection.shares(8, 0)
    assert shares == {NEAR: 4, NEAR + 1: 4} == site.selection.shares(8, 0)
    site.selection.on_assigned(NEAR, 20, 0)
    assert site.selection.shares(8, 0) == {NEAR + 1: 8}


# -- what is recorded ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("instances", "refreshed_after_s"), [(200, 0.1), (1000, 0.5)])
def test_many_instances_are_all_looked_at_the_more_seldom(instances: int, refreshed_after_s: float) -> None:
    site = Site("closest", *[0] * instances)
    site.report({NEAR + instances: 0}, now_s=0, site=THERE)
    site.paths[THERE] = PathState(THERE, 20.0)
    site.choose(0)
    site.paths[THERE].path_cost_ms = -1.0  # nothing tells of a path that changes
    assert site.choose(refreshed_after_s - 0.001).site == HERE
    assert site.choose(refreshed_after_s + 0.001).site == THERE


def test_a_few_are_recorded_whole_of_many_the_chosen_and_the_cheapest() -> None:
    few, many = Site("least_loaded", *range(8)), Site("least_loaded", *range(100))
    assert len(few.choose(0).weighed) == few.choose(0).considered == 8
    choice = many.choose(0, NEAR)
    assert choice.considered == 100
    assert [item.candidate.d_bid for item in choice.weighed] == [NEAR + number for number in range(8)]
    assert [item.weight for item in choice.weighed] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert [item.cost for item in choice.weighed] == [number / 4 for number in range(8)]
    beyond = many.choose(0, *(NEAR + number for number in range(50)))
    assert beyond.weighed[0].candidate.d_bid == beyond.d_bid == NEAR + 50
    assert len(beyond.weighed) == 9


# -- the order of costs --------------------------------------------------------------------------------


def priced(cost: float) -> Priced:
    item = Priced()
    item.cost = cost
    return item


def test_the_cheapest_is_found_whatever_moves() -> None:
    rng = Random(3)
    order: CostOrder[Priced] = CostOrder()
    items = [priced(rng.randrange(5)) for _ in range(8)]
    order.replace_all(items[:4])
    for item in items[4:]:
        order.add(item)
    for _ in range(500):
        kind, item = rng.random(), rng.choice(items)
        if kind < 0.1 and len(items) > 2:
            items.remove(item)
            order.remove(item)
        elif kind < 0.2:
            items.append(priced(rng.randrange(5)))
            order.add(items[-1])
        else:
            order.move(item, rng.randrange(5))
        assert order.cheapest(rng).cost == min(item.cost for item in items)
