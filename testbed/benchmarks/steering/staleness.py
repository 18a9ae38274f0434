"""How long requests take under each policy when metrics are fresh and when they are old, and whether flows herd.

Four sites of 2 to 8 workers, three ingresses, 80 % load, in virtual time (`steered_queues`). Policies face the same
requests, seed by seed; a difference comes with the half-width of its 95 % confidence interval. `oracle` knows the
queues as they are, whatever reports say: no policy should do better, and what is between it and a policy is the price
of what that does not know. `dns_ttl` is the state of the art without D-Routers: a name server chooses for each client
(the least loaded instance, by the same reports) and 30 s later again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from statistics import mean, median, quantiles
from typing import NamedTuple

from testbed.analysis.dyncast.decisions import stability
from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings
from testbed.benchmarks.steering.confidence import difference
from testbed.dyncast import policies
from testbed.dyncast.nodes.dns_steering import DNS_TTL, DnsTtl
from testbed.simulation.dns_queues import DnsQueues
from testbed.simulation.network import FOUR_SITES, Served
from testbed.simulation.steered_queues import SteeredQueues

_AGES_S = (0.1, 1.0, 5.0, 15.0)  # between reports
_QUICK_AGES_S, _QUICK_POLICIES = (15.0,), ("dyncast", "weighted", "least_loaded", policies.ORACLE)
_MEASURED_S, _QUICK_MEASURED_S = 60.0, 30.0
_WARM_UP_S = 30.0
_WARM_UP_INTERVALS = 6
_GOAL = Goal(1.0, Better.HIGHER)


class _Figures(NamedTuple):
    mean_ms: float
    p95_ms: float
    dispersion: float


def _run(settings: Settings) -> Iterator[Row]:
    seeds = range(1, settings.rounds + 1)
    ages_s, measured_s = (_QUICK_AGES_S, _QUICK_MEASURED_S) if settings.quick else (_AGES_S, _MEASURED_S)
    compared = _QUICK_POLICIES if settings.quick else (*policies.POLICIES, DNS_TTL)
    # Side by side: time in them is virtual.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:

        def begin(policy: str, age_s: float) -> list[Future[_Figures]]:
            return [processes.submit(measure, policy, age_s, seed, measured_s) for seed in seeds]

        begun = {(policy, age_s): begin(policy, age_s) for age_s in ages_s for policy in compared}
        try:
            figures = {case: [future.result() for future in futures] for case, futures in begun.items()}
        except BaseException:
            processes.shutdown(cancel_futures=True)
            raise
    for policy, age_s in figures:
        if policy != "dyncast":
            goal = None if policy == policies.ORACLE else _GOAL  # a bound to see, not a rival to beat
            theirs, ours, bound = (figures[name, age_s] for name in (policy, "dyncast", policies.ORACLE))
            yield _row(f"staleness/{policy}/{age_s:g}", theirs, ours, bound, goal)


def measure(policy: str, interval_s: float, seed: int, measured_s: float = _MEASURED_S) -> _Figures:
    """Run one policy with metrics reported every `interval_s`."""
    from_s = max(_WARM_UP_S, _WARM_UP_INTERVALS * interval_s)
    until_s = from_s + measured_s
    queues = (
        DnsQueues(FOUR_SITES, DnsTtl(), interval_s, seed)
        if policy == DNS_TTL
        else SteeredQueues(FOUR_SITES, policy, interval_s, seed)
    )
    queues.run(until_s + 1.0)  # by then the last requests have come to an instance, whose answer time is known
    took_ms = [flow.took_s * 1e3 for flow in queues.served if from_s <= flow.arrived_s < until_s]
    return _Figures(mean(took_ms), quantiles(took_ms, n=20)[-1], dispersion(queues.served, from_s, until_s))


def dispersion(served: list[Served], from_s: float, until_s: float, window_s: float = 1.0) -> float:
    """Return the index of dispersion of the flows an instance gets per window, averaged over the instances.

    Variance over mean: 1 for a random split of Poisson arrivals, less for turns, far more where flows herd.
    """
    times_s, d_bids = [flow.arrived_s for flow in served], [flow.d_bid for flow in served]
    return stability.dispersion(times_s, d_bids, from_s, until_s, window_s)


def _row(name: str, theirs: list[_Figures], ours: list[_Figures], bound: list[_Figures], goal: Goal | None) -> Row:
    p95_ms, our_p95_ms = (mean(figures.p95_ms for figures in of) for of in (theirs, ours))
    index, our_index = (mean(figures.dispersion for figures in of) for of in (theirs, ours))
    means_ms = [figures.mean_ms for figures in theirs]
    return Row(
        name,
        "ms",
        mean(means_ms),
        mean(figures.mean_ms for figures in ours),
        median(their.mean_ms / our.mean_ms for their, our in zip(theirs, ours, strict=True)),
        len(theirs),
        (max(means_ms) - min(means_ms)) / mean(means_ms),
        "mean completion, refused ones as 10 s; baseline: dyncast; difference "
        f"{difference([their.mean_ms - our.mean_ms for their, our in zip(theirs, ours, strict=True)])}, of p95 "
        f"{difference([their.p95_ms - our.p95_ms for their, our in zip(theirs, ours, strict=True)])}; "
        f"p95 {p95_ms:.0f} against {our_p95_ms:.0f}; dispersion {index:.1f} against {our_index:.1f}; "
        f"oracle {mean(figures.mean_ms for figures in bound):.0f}",
        goal,
    )


BENCHMARK = Benchmark("staleness", "completion times under each policy with metrics 0.1 to 15 s old", _run)
