"""Each policy on worked examples."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest

from testbed.dyncast import policies
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.policies import Candidate, Policy
from testbed.dyncast.policies.dyncast import DyncastPolicy
from testbed.net.addresses import Address
from tests.dyncast_samples import FAR, NEAR, candidate, shares


def raw(sessions: int = 0, workers: int = 4, **changes: float) -> RawMetrics:
    return RawMetrics(workers, **{"queue_limit": 50, "sessions": sessions, "service_time_s": 0.1, **changes})  # type: ignore[arg-type]


def pair(near: RawMetrics | None, far: RawMetrics | None, rtt_ms: float = 20, **changes: float) -> list[Candidate]:
    """An instance beside the ingress, and one `rtt_ms` away."""
    away = {"site": "west", "path_cost_ms": 20.0, "rtt_s": rtt_ms / 1e3}
    return [candidate(NEAR, near, **changes), candidate(FAR, far, **{**away, **changes})]


def best(policy: str, candidates: list[Candidate], **parameters: float) -> set[Address]:
    weights = policies.create(policy, **parameters).weights(candidates, now_s=0)
    return {d_bid for d_bid, weight in weights.items() if weight > 0}


def test_a_policy_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown policy 'nearest'; there are: closest, dyncast, .*round_robin"):
        policies.create("nearest")
    with pytest.raises(ValueError, match=r"dyncast.penalty: there is no such parameter; there are: refusal_penalty_ms"):
        policies.create("dyncast", penalty=3)
    with pytest.raises(ValueError, match=r"closest.site: there is no such parameter; it takes none"):
        policies.create("closest", site="west")
    with pytest.raises(ValueError, match=r"dyncast.refusal_penalty_ms: must be a number, not 'west'"):
        policies.create("dyncast", refusal_penalty_ms="west")
    for penalty in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"refusal_penalty_ms must be >= 0 and finite, not {penalty}"):
            policies.create("dyncast", refusal_penalty_ms=penalty)


@pytest.mark.parametrize("name", sorted(policies.POLICIES))
def test_every_policy_takes_a_lone_candidate_and_one_without_metrics(name: str) -> None:
    assert best(name, [candidate(NEAR, None)]) == {NEAR}


# -- baselines -------------------------------------------------------------------------------------


def test_closest_goes_by_the_static_path_cost_whatever_the_load_or_the_measured_delay() -> None:
    near = candidate(NEAR, raw(500), path_cost_ms=10, rtt_s=9.0)
    far = candidate(FAR, raw(0), path_cost_ms=20, rtt_s=0.001)
    assert best("closest", [near, far]) == {NEAR}


def test_closest_shares_evenly_at_the_same_distance() -> None:
    candidates = [candidate(NEAR, raw(), path_cost_ms=10), candidate(FAR, raw(), path_cost_ms=10)]
    assert policies.create("closest").weights(candidates, 0) == {NEAR: 1, FAR: 1}


def test_random_draws_all_alike() -> None:
    weights = policies.create("random").weights(pair(raw(500), raw(0)), 0)
    drawn = Counter(Random(3).choices(list(weights), list(weights.values()), k=4000))
    assert set(drawn) == {NEAR, FAR}
    assert abs(drawn[NEAR] - 2000) < 200  # over 6 standard deviations


def serve(policy: Policy, candidates: list[Candidate], flows: int) -> list[Address]:
    chosen = []
    for _ in range(flows):
        (d_bid,) = policy.weights(candidates, 0)
        policy.on_chosen(d_bid)
        chosen.append(d_bid)
    return chosen


def test_round_robin_gives_each_its_turn() -> None:
    candidates = [candidate(NEAR + number, raw()) for number in range(3)]
    assert serve(policies.create("round_robin"), candidates, 6) == [item.d_bid for item in candidates] * 2


def test_round_robin_stays_fair_when_candidates_come_and_go() -> None:
    a, b, c = (candidate(NEAR + number, raw()) for number in range(3))
    policy = policies.create("round_robin")
    assert serve(policy, [a, b], 3) == [a.d_bid, b.d_bid, a.d_bid]
    assert serve(policy, [a, b, c], 3) == [c.d_bid, b.d_bid, a.d_bid]  # the newcomer first, then who waited longest
    assert serve(policy, [a, c], 2) == [c.d_bid, a.d_bid]


def test_least_loaded_goes_by_reported_sessions_per_worker_wherever() -> None:
    assert best("least_loaded", pair(raw(3, workers=4), raw(5, workers=8))) == {FAR}
    assert best("least_loaded", pair(raw(2, workers=4), raw(5, workers=8))) == {NEAR}
    assert best("least_loaded", pair(raw(2, workers=4), raw(4, workers=8))) == {NEAR, FAR}


def test_static_takes_the_lowest_address_whatever_happens_to_it() -> None:
    assert best("static", pair(raw(500), raw(0))) == {NEAR}
    assert best("static", list(reversed(pair(raw(500), raw(0))))) == {NEAR}


def test_static_can_be_told_a_site_and_goes_elsewhere_only_if_nobody_is_there() -> None:
    here, west = pair(raw(0), raw(500))
    assert best("static", [here, west, candidate(FAR + 1, raw(0), site="west")], site="west") == {FAR}
    assert best("static", [here, west], site="north") == {NEAR}


def test_weighted_shares_in_proportion_to_capacity() -> None:
    slow, fast = raw(500, workers=4, service_time_s=0.2), raw(0, workers=8, service_time_s=0.1)
    weights = policies.create("weighted").weights(pair(slow, fast), 0)
    assert weights == {NEAR: pytest.approx(20), FAR: pytest.approx(80)}


def test_weighted_believes_many_reports_rather_than_the_last() -> None:
    candidates = pair(raw(service_time_s=0.2), raw(service_time_s=0.1), learnt_service_time_s=0.1)
    weights = policies.create("weighted").weights(candidates, 0)
    assert weights[NEAR] == weights[FAR]


def test_power_of_two_gives_each_the_pairs_that_it_wins() -> None:
    loads = (raw(1), raw(2), raw(2), raw(5))
    weights = policies.create("power_of_two").weights([candidate(NEAR + n, load) for n, load in enumerate(loads)], 0)
    assert weights == {NEAR: 3, NEAR + 1: 1.5, NEAR + 2: 1.5, NEAR + 3: 0}


# -- dyncast ---------------------------------------------------------------------------------------


def test_dyncast_prefers_an_idle_instance_far_away_to_an_overloaded_one_here() -> None:
    assert best("dyncast", pair(near=raw(12), far=raw(0))) == {FAR}


def test_dyncast_stays_near_when_loads_are_equal() -> None:
    for sessions in (0, 3, 20):
        assert best("dyncast", pair(raw(sessions), raw(sessions))) == {NEAR}


def test_dyncast_does_not_leave_for_a_gain_that_the_path_eats_up() -> None:
    # One request ahead waits 100 ms / 4 workers = 25 ms; a request takes two round trips.
    assert best("dyncast", pair(raw(4), raw(0), rtt_ms=12)) == {FAR}
    assert best("dyncast", pair(raw(4), raw(0), rtt_ms=13)) == {NEAR}


def test_two_clouds_at_the_same_distance_the_less_used_one_serves() -> None:
    """Use cases of computing-aware traffic steering: equal network, 50 % against 20 % load."""
    half = raw(sessions=10, workers=20, utilisation=0.5)
    fifth = raw(sessions=4, workers=20, utilisation=0.2)
    for load_per_session in (0.9, 0.3):  # streams; requests below one per worker wait nowhere
        candidates = pair(half, fifth, rtt_ms=0, load_per_session=load_per_session)
        assert best("dyncast", candidates) == {FAR}
    assert best("least_loaded", pair(half, fifth)) == {FAR}


def test_two_clouds_a_congested_path_reverses_the_choice() -> None:
    half, fifth = raw(sessions=10, workers=20, utilisation=0.5), raw(sessions=4, workers=20, utilisation=0.2)
    assert best("dyncast", pair(half, fifth, rtt_ms=200, load_per_session=0.9)) == {NEAR}


def test_dyncast_avoids_where_it_would_be_refused() -> None:
    full = raw(sessions=54)  # 4 in service, 50 waiting
    assert best("dyncast", pair(full, raw(53), rtt_ms=900)) == {FAR}
    assert best("dyncast", pair(full, raw(53), rtt_ms=900), refusal_penalty_ms=0) == {NEAR}


def test_dyncast_reckons_with_what_it_expects_not_with_what_was_reported() -> None:
    near, far = candidate(NEAR, raw(0), expected_sessions=10.0), candidate(FAR, raw(10), expected_sessions=0.0)
    assert best("dyncast", [near, far]) == {FAR}


def test_dyncast_shuns_an_instance_that_may_have_a_queue_for_one_that_has_none() -> None:
    known, unknown = pair(raw(3), raw(3), rtt_ms=0)
    assert best("dyncast", [known, unknown._replace(sessions_variance=4.0)]) == {NEAR}


def test_dyncast_counts_each_flow_with_what_others_add_to_it() -> None:
    near, far = pair(raw(0), raw(0), rtt_ms=1)
    assert shares(DyncastPolicy(), (near, far), 8) == {NEAR: 4, FAR: 4}
    near = near._replace(herding_gain=3.0)
    assert near.with_more(2)[6:9] == (8.0, 1.0, 2)
    assert shares(DyncastPolicy(), (near, far), 8)[NEAR] < 3


def test_dyncast_sends_a_request_to_the_faster_of_two_idle_instances() -> None:
    assert best("dyncast", pair(raw(service_time_s=0.2), raw(service_time_s=0.1))) == {FAR}


def test_dyncast_predicts_the_time_until_done() -> None:
    near, far = (DyncastPolicy().cost(item) for item in pair(raw(7), raw(1)))
    assert near == pytest.approx(4 * 100 / 4 + 100)
    assert far == pytest.approx(2 * 20 + 100)
