"""What holds of every placement policy and of predicted times, whatever is known of clusters."""

from __future__ import annotations

import math
from dataclasses import fields
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from testbed.faas.placement.candidates import can_hold, candidates
from testbed.faas.placement.function import Demand
from testbed.faas.placement.prediction import AnswerTime, answer_time
from testbed.faas.placement.transfer import exchange_ms, transfer_ms
from testbed.faas.placement.views import ClusterView, PathView, completed
from tests.placement_samples import DETECT, EVERY_POLICY, policy

_MS = st.floats(0, 1e6)
_COUNT = st.integers(0, 1000)
_POLICIES = st.sampled_from(EVERY_POLICY)
_SEEDS = st.integers(0, 2**32)
_DEMANDS = st.builds(Demand, rate_per_s=st.floats(0, 1e4), horizon_s=st.floats(0.001, 1e5))
_PATHS = st.builds(
    PathView,
    delay_ow_ms=st.none() | _MS,
    delay_rt_ms=st.none() | _MS,
    bandwidth_mbps=st.none() | st.floats(0, 1e6),
    loss_percent=st.none() | st.floats(0, 100),
    hops=st.none() | _COUNT,
    distance=st.none() | st.floats(allow_nan=False),
)


@st.composite
def _views(draw: st.DrawFn, name: str) -> ClusterView:
    return ClusterView(
        name,
        kinds=draw(st.none() | st.sampled_from([frozenset({"python:3"}), frozenset({"blackbox"})])),
        memory_mb=draw(st.none() | st.sampled_from([128, 256, 300, 4096])),
        free_memory_mb=draw(st.none() | st.integers(0, 4096)),
        slots=draw(st.none() | st.integers(0, 64)),
        queue=draw(st.none() | _COUNT),
        running=draw(st.none() | _COUNT),
        waiting=draw(st.none() | _COUNT),
        processors=draw(st.none() | st.floats(0, 64)),
        cpu_used=draw(st.none() | st.floats(0, 1)),
        functions=draw(st.none() | st.sampled_from([frozenset(), frozenset({"detect"})])),
        blobs=draw(st.sampled_from([frozenset(), frozenset({"opencv"}), frozenset(DETECT.blobs)])),
        warm=draw(st.sampled_from([{}, {"detect": 1}])),
        prewarmed=draw(st.sampled_from([{}, {"python:3": 2}])),
        run_ms=draw(st.just({}) | st.builds(lambda run_ms: {"detect": run_ms}, _MS)),
        from_user=draw(_PATHS),
        from_repository=draw(_PATHS),
        assigned=draw(_COUNT),
        known_s=draw(st.none() | st.floats(0, 100)),
    )


@st.composite
def _sets(draw: st.DrawFn) -> list[ClusterView]:
    names = draw(st.lists(st.sampled_from(["cloud", "east", "west", "north", "south"]), min_size=1, unique=True))
    return [draw(_views(name)) for name in names]


@st.composite
def _known_paths(draw: st.DrawFn) -> PathView:
    return PathView(
        draw(_MS), draw(_MS), draw(st.floats(1, 1e4)), draw(st.floats(0, 50)), draw(_COUNT), draw(st.floats(0, 1e6))
    )


@st.composite
def _dominating(draw: st.DrawFn) -> tuple[ClusterView, ClusterView]:
    """A cluster of which all is known, and one that is worse in every figure and holds nothing that it lacks."""
    good = ClusterView(
        "good", kinds=frozenset({"python:3"}), memory_mb=draw(st.integers(257, 4096)),
        free_memory_mb=draw(st.integers(1, 4096)), slots=draw(st.integers(2, 64)), queue=draw(st.integers(1, 1000)),
        running=draw(_COUNT), waiting=draw(_COUNT), processors=draw(st.floats(2, 64)),
        cpu_used=draw(st.floats(0, 0.9)), functions=draw(st.sampled_from([frozenset(), frozenset({"detect"})])),
        blobs=draw(st.sampled_from([frozenset({"opencv"}), frozenset(DETECT.blobs)])),
        warm=draw(st.sampled_from([{}, {"detect": 1}])), prewarmed={"python:3": 1},
        from_user=draw(_known_paths()), from_repository=draw(_known_paths()), assigned=draw(_COUNT), known_s=1.0,
    )  # fmt: skip
    bad = ClusterView(
        "bad", kinds=good.kinds, memory_mb=draw(st.integers(256, good.memory_mb - 1)),
        free_memory_mb=draw(st.integers(0, good.free_memory_mb - 1)), slots=draw(st.integers(1, good.slots - 1)),
        queue=draw(st.integers(0, good.queue - 1)), running=good.running + draw(st.integers(1, 9)),
        waiting=good.waiting + draw(st.integers(1, 9)), processors=good.processors - draw(st.floats(0.1, 1.9)),
        cpu_used=good.cpu_used + 0.05, functions=frozenset(), blobs=frozenset(),
        from_user=_worse(good.from_user, draw(st.floats(1.01, 3))),
        from_repository=_worse(good.from_repository, draw(st.floats(1.01, 3))),
        assigned=good.assigned + 1, known_s=0.0,
    )  # fmt: skip
    return good, bad


def _worse(path: PathView, factor: float) -> PathView:
    assert path.delay_ow_ms is not None and path.delay_rt_ms is not None and path.bandwidth_mbps is not None
    assert path.loss_percent is not None and path.hops is not None and path.distance is not None
    return PathView(
        factor * path.delay_ow_ms + 0.001, factor * path.delay_rt_ms + 0.001, path.bandwidth_mbps / factor,
        path.loss_percent + 1.0, path.hops + 1, path.distance + 1.0,
    )  # fmt: skip


@given(_POLICIES, _sets(), _DEMANDS, _SEEDS, st.randoms(use_true_random=False))
def test_the_order_in_which_clusters_come_says_nothing(
    name: str, views: list[ClusterView], demand: Demand, seed: int, rng: Random
) -> None:
    shuffled = rng.sample(views, len(views))
    assert policy(name).ranking(DETECT, shuffled, demand, Random(seed)) == policy(name).ranking(
        DETECT, views, demand, Random(seed)
    )
    assert candidates(DETECT, shuffled, 50.0, 20.0) == candidates(DETECT, views, 50.0, 20.0)


@given(_POLICIES, _sets(), _DEMANDS, _SEEDS)
def test_the_same_random_numbers_make_the_same_ranking(
    name: str, views: list[ClusterView], demand: Demand, seed: int
) -> None:
    one, other = (policy(name).ranking(DETECT, views, demand, Random(seed)) for _ in range(2))
    assert one == other


@given(_POLICIES, _sets(), _DEMANDS, _SEEDS)
def test_each_candidate_is_ranked_once_but_for_those_that_are_never_chosen(
    name: str, views: list[ClusterView], demand: Demand, seed: int
) -> None:
    ranked = [item.cluster for item in policy(name).ranking(DETECT, views, demand, Random(seed))]
    wanted = {view.name for view in views} & ({"cloud"} if name == "cloud" else {view.name for view in views})
    assert sorted(ranked) == sorted(wanted)


@given(_POLICIES, _sets(), _DEMANDS, _SEEDS)
def test_no_policy_takes_a_cluster_that_cannot_hold_the_function(
    name: str, views: list[ClusterView], demand: Demand, seed: int
) -> None:
    able = candidates(DETECT, views, 50.0, 20.0)
    by_name = {view.name: view for view in views}
    for item in policy(name).ranking(DETECT, able, demand, Random(seed)):
        view = by_name[item.cluster]
        assert can_hold(DETECT, view)
        assert view.memory_mb is None or view.memory_mb >= DETECT.memory_mb


@given(_dominating(), st.lists(_views("other"), max_size=1), _DEMANDS, _SEEDS)
def test_a_cluster_that_is_worse_in_all_is_never_chosen_by_alto(
    pair: tuple[ClusterView, ClusterView], others: list[ClusterView], demand: Demand, seed: int
) -> None:
    ranked = policy("alto").ranking(DETECT, [*pair, *others], demand, Random(seed))
    names = [item.cluster for item in ranked]
    assert names.index("good") < names.index("bad")


@given(_dominating(), _DEMANDS)
def test_no_part_is_shorter_at_a_cluster_that_is_worse_in_all(
    pair: tuple[ClusterView, ClusterView], demand: Demand
) -> None:
    good, bad = (answer_time(DETECT, view, demand) for view in pair)
    for part in fields(AnswerTime):
        assert getattr(good, part.name) <= getattr(bad, part.name) * (1 + 1e-12), part.name


@given(_views("east"), _DEMANDS)
def test_every_part_is_finite_and_not_negative(view: ClusterView, demand: Demand) -> None:
    for shown in (view, completed([view])[0]):
        predicted = answer_time(DETECT, shown, demand)
        assert all(0 <= getattr(predicted, part.name) < math.inf for part in fields(AnswerTime))


@given(_PATHS, st.integers(0, 10**12), st.integers(0, 10**9))
def test_more_octets_never_take_less(path: PathView, size_bytes: int, more_bytes: int) -> None:
    assert transfer_ms(path, size_bytes) <= transfer_ms(path, size_bytes + more_bytes) * (1 + 1e-9)


@given(_known_paths(), st.integers(0, 10**10), st.floats(1, 100))
def test_a_worse_path_never_takes_less(path: PathView, size_bytes: int, factor: float) -> None:
    worse = _worse(path, factor)
    assert transfer_ms(path, size_bytes) <= transfer_ms(worse, size_bytes) * (1 + 1e-9)
    assert exchange_ms(path) <= exchange_ms(worse)


@given(_sets())
def test_no_cluster_gains_by_what_is_not_known_of_it(views: list[ClusterView]) -> None:
    for before, after in zip(views, completed(views), strict=True):
        if before.waiting is None and after.waiting is not None:
            assert after.waiting == max(view.waiting for view in views if view.waiting is not None)
        else:
            assert after.waiting == before.waiting
