"""Where functions go: predicted times on worked examples, what may be chosen, and each policy."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from testbed.faas.placement import policies
from testbed.faas.placement.candidates import candidates
from testbed.faas.placement.function import Demand, Function
from testbed.faas.placement.policies import Margin
from testbed.faas.placement.transfer import exchange_ms, transfer_ms
from testbed.faas.placement.views import ClusterView, PathView, completed
from tests.placement_samples import DETECT, EVERY_POLICY, OFTEN, ONCE, cluster, holding, order, path, ranking, time

# -- transfers -------------------------------------------------------------------------------------


def test_a_few_octets_take_no_longer_than_they_take_to_send() -> None:
    assert transfer_ms(path(rtt_ms=100, mbps=8), 1000) == pytest.approx(1.0)


def test_slow_start_takes_a_round_trip_for_each_doubling_of_the_window() -> None:
    # 14.6 kB, 29.2 kB, 58.4 kB: two whole windows and what is left of the third, on a path that could carry far more
    assert transfer_ms(path(rtt_ms=100, mbps=10_000), 60_000) == pytest.approx(200, abs=0.1)


def test_a_large_transfer_takes_what_the_bandwidth_left_takes() -> None:
    sixty_megabytes_ms = 60e6 * 8 / 20e6 * 1e3
    assert transfer_ms(path(rtt_ms=20, mbps=20), 60_000_000) == pytest.approx(sixty_megabytes_ms, rel=0.01)


def test_loss_limits_what_tcp_gets_out_of_a_path() -> None:
    lossy = path(rtt_ms=100, mbps=1000, loss_percent=1.0)
    bytes_per_s = 1460 / 0.1 * math.sqrt(1.5 / 0.01)
    assert transfer_ms(lossy, 10_000_000) == pytest.approx(10e6 / bytes_per_s * 1e3, rel=0.05)
    assert exchange_ms(lossy) == pytest.approx(100 + 1000 / 99)


def test_the_delay_of_one_way_stands_for_half_a_round_trip() -> None:
    assert PathView(delay_ow_ms=7.0).round_trip_ms == 14.0
    assert PathView(delay_ow_ms=7.0, delay_rt_ms=20.0).round_trip_ms == 20.0
    assert PathView().round_trip_ms is None


# -- predictions -----------------------------------------------------------------------------------


def test_the_first_answer_waits_for_delivery_and_start_and_those_after_it_do_not() -> None:
    predicted = time(cluster("east", from_repository=path(rtt_ms=20, mbps=20)))
    assert predicted.delivery_ms == pytest.approx(40 + 60.02e6 * 8 / 20e3, rel=0.01)
    assert predicted.start_ms == 200.0
    assert predicted.next_ms == predicted.path_ms + predicted.wait_ms + predicted.run_ms
    assert predicted.first_ms == predicted.delivery_ms + predicted.start_ms + predicted.next_ms


def test_only_what_is_missing_is_delivered() -> None:
    with_layer = time(cluster("east", blobs=frozenset({"opencv"})))
    assert with_layer.delivery_ms < time(cluster("east")).delivery_ms / 50
    assert time(cluster("east", blobs=frozenset(DETECT.blobs))).delivery_ms == 0
    assert time(holding(cluster("east"))).delivery_ms == 0


def test_a_start_is_cold_prewarmed_or_none() -> None:
    assert time(cluster("east")).start_ms == 200.0
    assert time(cluster("east", prewarmed={"python:3": 1})).start_ms == 120.0
    assert time(cluster("east", prewarmed={"nodejs:default": 1})).start_ms == 200.0
    assert time(holding(cluster("east"), warm=1)).start_ms == 0.0


def test_a_path_costs_two_round_trips_and_what_is_sent() -> None:
    assert time(cluster("east", from_user=path(rtt_ms=30, mbps=1e6))).path_ms == pytest.approx(
        90, abs=1
    )  # and one more, for slow start
    assert time(cluster("east", from_user=path(rtt_ms=0, mbps=8))).path_ms == pytest.approx(31)


def test_whatever_is_ahead_takes_a_share_of_a_run_each() -> None:
    busy = cluster("east", running=4, waiting=3)
    assert time(busy).wait_ms == pytest.approx(4 * 50 / 4)
    assert time(replace(busy, assigned=2)).wait_ms == pytest.approx(6 * 50 / 4)
    assert time(cluster("east", running=3)).wait_ms == 0


def test_memory_that_runs_hold_makes_a_request_wait_as_slots_do() -> None:
    assert time(cluster("east", running=1, free_memory_mb=100)).wait_ms == pytest.approx(50 / 4)


def test_a_function_that_is_wanted_more_often_than_a_cluster_can_run_it_waits_for_itself() -> None:
    one_slot = cluster("east", slots=1)
    assert time(one_slot, Demand(10, 60)).wait_ms == pytest.approx(50)  # half used, M/M/1: as long as a run
    assert time(one_slot, Demand(19, 60)).wait_ms > 500
    assert time(one_slot, Demand(40, 60)).wait_ms == 60_000 * 2
    assert time(cluster("east", slots=8), Demand(10, 60)).wait_ms < 1


def test_a_full_queue_refuses() -> None:
    assert not time(cluster("east", running=4, waiting=99)).is_refused
    assert time(cluster("east", running=4, waiting=100)).is_refused


def test_busy_processors_stretch_a_run_until_the_cluster_has_measured_it() -> None:
    busy = cluster("east", processors=1.0, cpu_used=0.5)
    assert time(busy).run_ms == pytest.approx(100)
    assert time(replace(busy, run_ms={"detect": 70.0})).run_ms == 70.0


def test_a_function_that_needs_no_memory_is_none() -> None:
    with pytest.raises(ValueError, match="function 'f': memory_mb and replicas must be at least 1"):
        Function("f", "python:3", 0, {}, 1, 1, 1)


# -- what is not known -----------------------------------------------------------------------------


def test_what_is_not_known_of_a_cluster_is_as_bad_as_the_worst_that_is_known_of_any() -> None:
    slow, fast = cluster("slow", waiting=9, from_user=path(80)), cluster("fast", waiting=1)
    unknown = ClusterView("unknown", from_user=PathView(delay_ow_ms=1.0))
    filled = completed([slow, unknown, fast])[1]
    assert (filled.waiting, filled.slots, filled.from_repository.bandwidth_mbps) == (9, 4, 100.0)
    assert filled.from_user.round_trip_ms == 2.0
    assert order("load_only", [slow, unknown, fast])[0] == "fast"


def test_where_nothing_is_known_nothing_makes_a_difference() -> None:
    items = ranking("alto", [ClusterView("a"), ClusterView("b")])
    assert {item.cost for item in items} == {50.0 + 200.0}


def test_what_cannot_hold_a_function_is_no_candidate() -> None:
    views = [
        cluster("able"), cluster("small", memory_mb=128), cluster("none", slots=0),
        cluster("other", kinds=frozenset({"nodejs:default"})), ClusterView("unknown"),
    ]  # fmt: skip
    assert [view.name for view in candidates(DETECT, views, 0.0, 10.0)] == ["able", "unknown"]


def test_a_silent_cluster_is_no_candidate_unless_all_are_silent() -> None:
    old, new, never = cluster("old"), cluster("new", known_s=15.0), ClusterView("never")
    assert [view.name for view in candidates(DETECT, [old, new, never], 20.0, 10.0)] == ["never", "new"]
    assert [view.name for view in candidates(DETECT, [old, new], 30.0, 10.0)] == ["new", "old"]


# -- policies --------------------------------------------------------------------------------------


def test_a_policy_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown policy 'closest'; there are: alto, alto_network, cloud, .*random"):
        policies.create("closest")
    with pytest.raises(ValueError, match=r"nearest.site: there is no such parameter; there are: by"):
        policies.create("nearest", site="west")
    with pytest.raises(ValueError, match=r"nearest: by must be one of hops, distance, not 'feet'"):
        policies.create("nearest", by="feet")
    with pytest.raises(ValueError, match=r"cloud: .*cluster"):
        policies.create("cloud")
    with pytest.raises(ValueError, match=r"alto: refusal_penalty_ms must be >= 0 and finite, not -1"):
        policies.create("alto", refusal_penalty_ms=-1)


@pytest.mark.parametrize("name", EVERY_POLICY)
def test_every_policy_takes_a_lone_cluster_and_one_of_which_nothing_is_known(name: str) -> None:
    assert order(name, [cluster("cloud")]) == ["cloud"]
    assert order(name, [ClusterView("cloud")]) == ["cloud"]
    assert order(name, []) == []


def test_alto_takes_a_short_delivery_for_one_request_and_a_short_path_for_many() -> None:
    at_repository = cluster("west", from_user=path(60), from_repository=path(1, mbps=1000))
    at_user = cluster("east", from_user=path(2), from_repository=path(60, mbps=50))
    assert order("alto", [at_repository, at_user], ONCE) == ["west", "east"]
    assert order("alto", [at_repository, at_user], OFTEN) == ["east", "west"]


def test_alto_goes_past_a_near_cluster_that_is_full() -> None:
    near = cluster("near", running=4, waiting=100, from_user=path(2))
    assert order("alto", [near, cluster("far", from_user=path(40))], OFTEN)[0] == "far"


def test_alto_network_does_not_see_the_queue() -> None:
    near = cluster("near", running=4, waiting=100, from_user=path(2))
    assert order("alto_network", [near, cluster("far", from_user=path(40))], OFTEN)[0] == "near"


def test_load_only_does_not_see_the_path() -> None:
    near = cluster("near", running=4, waiting=2, from_user=path(2))
    assert order("load_only", [near, cluster("far", from_user=path(4000))], OFTEN)[0] == "far"


def test_nearest_sees_hops_or_distance_and_nothing_else() -> None:
    near = cluster("near", running=4, waiting=100, from_user=path(4000, mbps=0.01, hops=1, distance=9.0))
    far = cluster("far", from_user=path(1, hops=2, distance=3.0))
    assert order("nearest", [near, far]) == ["near", "far"]
    by_distance = policies.create("nearest", by="distance")
    assert by_distance.ranking(DETECT, [near, far], ONCE, Random(7))[0].cluster == "far"


def test_random_draws_all_alike() -> None:
    views = [cluster("a"), cluster("b", from_user=path(4000)), cluster("c", waiting=50)]
    drawn = Counter(ranking("random", views, seed=seed)[0].cluster for seed in range(3000))
    assert set(drawn) == {"a", "b", "c"}
    assert all(abs(count - 1000) < 200 for count in drawn.values())  # over 7 standard deviations


def test_clusters_that_cost_the_same_are_drawn_alike() -> None:
    drawn = Counter(ranking("alto", [cluster("a"), cluster("b")], seed=seed)[0].cluster for seed in range(1000))
    assert abs(drawn["a"] - 500) < 120


def test_cloud_takes_the_named_cluster_or_none() -> None:
    assert order("cloud", [cluster("east"), cluster("cloud", from_user=path(4000))]) == ["cloud"]
    assert order("cloud", [cluster("east")]) == []


def test_everywhere_is_everywhere_and_sends_users_where_answers_are_soonest() -> None:
    assert policies.create("everywhere").is_everywhere
    assert order("everywhere", [cluster("far", from_user=path(90)), cluster("near")]) == ["near", "far"]


def test_the_oracle_costs_what_alto_costs() -> None:
    views = [cluster("a", waiting=9), cluster("b", from_user=path(70)), cluster("c", from_repository=path(mbps=1))]
    assert ranking("oracle", views, OFTEN) == ranking("alto", views, OFTEN)


def worth(name: str, present: ClusterView, other: ClusterView, demand: Demand = OFTEN) -> bool:
    """Whether a function that is at one cluster should move to the other."""
    by_name = {item.cluster: item for item in ranking(name, [present, other], demand)}
    return policies.create(name).is_worth_moving(by_name[present.name], by_name[other.name], demand, Margin())


def test_a_move_pays_if_the_requests_of_the_horizon_save_more_than_it_costs() -> None:
    here, there = holding(cluster("here", from_user=path(60)), warm=1), cluster("there", from_user=path(2))
    assert worth("alto", here, there, OFTEN)
    assert not worth("alto", here, there, ONCE)
    assert worth("alto", here, holding(there, warm=1), ONCE)  # it is there already


def test_what_is_hardly_better_is_no_reason_to_move_even_if_a_move_is_free() -> None:
    here, there = holding(cluster("here", from_user=path(20)), warm=1), holding(cluster("there", from_user=path(18)), 1)
    assert not worth("alto", here, there)


def test_policies_that_do_not_go_by_time_move_to_what_is_nearer_or_not_at_all() -> None:
    here, there = holding(cluster("here", from_user=path(900, hops=2))), cluster("there", from_user=path(1, hops=2))
    assert not worth("nearest", here, there)
    assert worth("nearest", here, cluster("there", from_user=path(1, hops=1)))
    assert not worth("random", here, there)
