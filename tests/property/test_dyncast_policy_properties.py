"""What holds of every policy's weights and of the Dyncast cost, for any reports."""

from __future__ import annotations

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast import policies
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.policies import Candidate
from testbed.dyncast.policies.dyncast import DyncastPolicy
from tests.dyncast_samples import NEAR, candidate

_COUNT = st.one_of(st.integers(0, 100), st.integers(0, 2**32 - 1))
_POSITIVE = st.one_of(st.floats(0, 10), st.floats(0, width=32, allow_nan=False, allow_infinity=False))
_RAW = st.builds(
    RawMetrics,
    workers=st.integers(1, 2**32 - 1) | st.integers(1, 16),
    busy_workers=_COUNT,
    queue_length=_COUNT,
    queue_limit=_COUNT,
    sessions=_COUNT,
    utilisation=st.floats(0, 1),
    service_time_s=_POSITIVE,
)


@st.composite
def _candidates(draw: st.DrawFn) -> Candidate:
    return candidate(
        NEAR + draw(st.integers(0, 50)),
        draw(st.none() | _RAW),
        path_cost_ms=draw(st.floats(0, 1000)),
        rtt_s=draw(st.floats(0, 1000)),
        metrics_age_s=draw(st.floats(0, 100)),
        expected_sessions=draw(st.floats(0, 1e10)),
        load_per_session=draw(st.floats(0, 1)),
        sessions_variance=draw(st.just(0.0) | st.floats(0, 1e10)),
        learnt_service_time_s=draw(st.just(0.0) | _POSITIVE),
        herding_gain=draw(st.just(0.0) | st.floats(0, 1e4)),
    )


_SETS = st.lists(_candidates(), min_size=1, max_size=6, unique_by=lambda item: item.d_bid)


def cost_ms(item: Candidate) -> float:
    return DyncastPolicy().cost(item)


@given(st.sampled_from(sorted(policies.POLICIES)), _SETS)
def test_weights_are_finite_and_somebody_gets_the_flow(name: str, candidates: list[Candidate]) -> None:
    weights = policies.create(name).weights(candidates, now_s=0)
    assert set(weights) <= {item.d_bid for item in candidates}
    assert all(weight >= 0 and math.isfinite(weight) for weight in weights.values())
    assert sum(weights.values()) > 0


@given(st.sampled_from(sorted(policies.POLICIES)), _SETS, st.randoms(use_true_random=False))
def test_the_order_in_which_candidates_come_says_nothing(name: str, candidates: list[Candidate], rng: Random) -> None:
    shuffled = rng.sample(candidates, len(candidates))
    assert policies.create(name).weights(shuffled, 0) == policies.create(name).weights(candidates, 0)


@given(_candidates())
def test_the_dyncast_cost_is_finite_and_at_least_the_round_trip(item: Candidate) -> None:
    cost = cost_ms(item)
    assert math.isfinite(cost)
    assert cost >= item.rtt_s * 1e3


@given(_candidates(), st.floats(0, 1e6))
def test_the_dyncast_cost_never_falls_with_more_load(item: Candidate, more: float) -> None:
    heavier = item._replace(expected_sessions=item.expected_sessions + more)
    assert cost_ms(heavier) >= cost_ms(item) * (1 - 1e-12)


@given(_candidates(), st.floats(0, 1e3))
def test_the_dyncast_cost_never_falls_with_a_longer_path(item: Candidate, more_s: float) -> None:
    assert cost_ms(item._replace(rtt_s=item.rtt_s + more_s)) >= cost_ms(item)


@given(_SETS)
def test_the_dyncast_policy_takes_the_least_cost(candidates: list[Candidate]) -> None:
    costs = {item.d_bid: cost_ms(item) for item in candidates}
    chosen = policies.create("dyncast").weights(candidates, now_s=0)
    assert {costs[d_bid] for d_bid in chosen} == {min(costs.values())}
