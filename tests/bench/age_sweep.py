"""`age_sweep`: completion times with metrics 0.1 to 15 s old, in real runs of docs/examples/age-sweep.yaml.

What `staleness` finds in virtual time, with real processes, links and agents. Takes an hour (`--quick`: seven minutes),
so it runs only when it is named. Policies face the same requests, seed by seed; those that are blind to metrics face
those of a short warm-up only. Requests of the warm-up do not count, and those that were refused or not answered count
as their time-out. `dispersion` is the index of oscillation: of the flows that an instance gets per second, variance
over mean.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from statistics import mean, median, quantiles
from typing import NamedTuple

from testbed.analysis.confidence import half_width
from testbed.checkout import ROOT
from testbed.dyncast import policies
from testbed.dyncast.name_steering import DNS_TTL
from testbed.emulation.capabilities import probe
from testbed.experiment import plan, runner, scenario_file
from testbed.experiment.progress import Silent
from tests.bench.confidence import difference
from tests.bench.harness import Benchmark, Better, Goal, Row, Settings, Skipped
from tests.bench.steered_queues import Served, dispersion

_SCENARIO = ROOT / "docs" / "examples" / "age-sweep.yaml"
_AGES_S, _QUICK_AGES_S = (0.1, 1.0, 5.0, 15.0), (5.0,)
_OURS = "dyncast"
# Metrics mean nothing to these, or little beside answers that clients keep for 30 s: one run of each serves all ages.
_BLIND = ("static", "closest", "random", "round_robin", DNS_TTL, policies.ORACLE)
_RIVALS = tuple(name for name in (*policies.POLICIES, DNS_TTL) if name != _OURS)
_QUICK_RIVALS = ("weighted", "least_loaded")
_SEEDS = range(1, 4)
_WARM_UP_S, _WARM_UP_INTERVALS = 10.0, 3  # from a cold start, no ingress knows of the others before the second report
_MEASURED_S = 20.0
_LIFETIMES = 4  # metrics live as many intervals
_NAMED = {"dns.server": "Chicago", "policy_parameters.dns_ttl.answers": "least_loaded"}
_GOAL = Goal(1.0, Better.HIGHER)


class Figures(NamedTuple):
    """What the measured stretch of a run came to."""

    mean_ms: float
    p95_ms: float
    dispersion: float
    verdict: str


def _run(settings: Settings) -> Iterator[Row]:
    capabilities = probe()
    if not capabilities.has("root"):
        raise Skipped(f"capability root is missing: {capabilities.row('root').remedy}")
    rivals = _QUICK_RIVALS if settings.quick else _RIVALS
    of_blind = {policy: _measured(policy, 1.0) for policy in rivals if policy in _BLIND}
    for age_s in _QUICK_AGES_S if settings.quick else _AGES_S:
        ours = _measured(_OURS, age_s)
        yield _row(f"age_sweep/{_OURS}/{age_s:g}", ours)
        for policy in rivals:
            theirs = of_blind.get(policy) or _measured(policy, age_s)
            yield _row(f"age_sweep/{policy}/{age_s:g}", theirs, ours, None if policy == policies.ORACLE else _GOAL)


def _measured(policy: str, interval_s: float) -> list[Figures]:
    """Run a policy with metrics told at an interval; return its figures, seed by seed."""
    from_s = max(_WARM_UP_S, _WARM_UP_INTERVALS * interval_s)
    until_s = from_s + _MEASURED_S
    changes = {
        "policy": policy,
        "metrics.interval_s": interval_s,
        "metrics.lifetime_s": max(10.0, _LIFETIMES * interval_s),
        "duration_s": until_s,
        **(_NAMED if policy == DNS_TTL else {}),
    }
    found = []
    for seed in _SEEDS:
        with tempfile.TemporaryDirectory(prefix="dyncast-bench-") as folder:
            planned = plan.make_plan(scenario_file.load(_SCENARIO, {**changes, "seed": seed}), _SCENARIO)
            timeout_s = max(workload.timeout_s for workload in planned.scenario.workloads)
            done = runner.run(planned, _SCENARIO, Path(folder), Silent())
            found.append(figures(done, from_s, until_s, timeout_s))
    return found


def figures(done: runner.RunResult, from_s: float, until_s: float, timeout_s: float) -> Figures:
    """Return what the flows that were due from then to then came to; the verdict is of the whole run."""
    d_bids = {item["name"]: ip_address(item["d_bid"]) for item in done.manifest["instances"]}
    start_s = done.manifest["start_s"]
    with (done.run_dir / "flows.csv").open(newline="", encoding="utf-8") as stream:
        flows = [row for row in csv.DictReader(stream) if from_s <= float(row["due_s"]) - start_s < until_s]
    took_s = [float(row["completion_ms"]) / 1e3 if row["outcome"] == "ok" else timeout_s for row in flows]
    served = [
        Served(float(row["due_s"]) - start_s, d_bids[row["instance"]], took)
        for row, took in zip(flows, took_s, strict=True)
        if row["instance"]
    ]
    return Figures(
        1e3 * mean(took_s),
        1e3 * quantiles(took_s, n=20)[-1],
        dispersion(served, from_s, until_s),
        ": ".join([done.manifest["fidelity"]["verdict"], *done.manifest["fidelity"]["reasons"]]),
    )


def _row(name: str, theirs: Sequence[Figures], ours: Sequence[Figures] = (), goal: Goal | None = None) -> Row:
    means_ms, p95s_ms = [run.mean_ms for run in theirs], [run.p95_ms for run in theirs]
    note = (
        f"mean ± {half_width(means_ms):.0f}, p95 {mean(p95s_ms):.0f} ± {half_width(p95s_ms):.0f}, dispersion "
        f"{mean(run.dispersion for run in theirs):.1f}; runs: {'; '.join(run.verdict for run in theirs)}"
    )
    baseline = ratio = None
    if ours:
        pairs = list(zip(theirs, ours, strict=True))
        baseline = mean(run.mean_ms for run in ours)
        ratio = median(their.mean_ms / our.mean_ms for their, our in pairs)
        note = (
            f"baseline: dyncast; difference {difference([their.mean_ms - our.mean_ms for their, our in pairs])}, "
            f"of p95 {difference([their.p95_ms - our.p95_ms for their, our in pairs])}; {note}"
        )
    spread = (max(means_ms) - min(means_ms)) / mean(means_ms)
    return Row(name, "ms", mean(means_ms), baseline, ratio, len(theirs), spread, note, goal)


BENCHMARK = Benchmark(
    "age_sweep", "completion times with metrics 0.1 to 15 s old, in real runs (an hour)", _run, on_request=True
)
