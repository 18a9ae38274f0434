"""Evaluate the decisions of a run: an oracle's choice, how even and stable the load was, the cost.

For each decision, the expected time of the flow at each instance that was open to it, in the terms of the policy
`oracle` but by the load as it really was (`sessions`): regret is how much longer the chosen one was expected to take
than the best. docs/dyncast/evaluation.md says what that leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from testbed.analysis.dyncast.decisions.decisions import decided
from testbed.analysis.dyncast.decisions.expected_time import ExpectedTime, expected_times
from testbed.analysis.dyncast.decisions.round_trips import RoundTrips
from testbed.analysis.dyncast.decisions.sessions import Sessions, sessions_by_instance
from testbed.analysis.dyncast.decisions.stability import WINDOW_S, dispersion, imbalance, oscillation
from testbed.analysis.dyncast.decisions.steering_costs import costs, peak_bindings
from testbed.analysis.flows.attribution import seen_flows, served_flows
from testbed.analysis.flows.consistency import classified
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.run_data.outages import Outage, outages

AS_GOOD_MS = 1.0
_NOBODY = Sessions(np.array([]), np.array([]), np.array([]))
_REGRET = ["service", "decisions", "best_percent", "regret_mean_ms", "regret_p50_ms", "regret_p95_ms", "regret_p99_ms"]


@dataclass(frozen=True)
class Evaluation:
    """The figures; every frame is tidy. Times in seconds on CLOCK_MONOTONIC, instances by name."""

    decisions: pd.DataFrame  # time_s, d_router, service, chosen, best, expected_ms, best_expected_ms, regret_ms
    regret: pd.DataFrame  # service, decisions, best_percent (within 1 ms of the best), regret_{mean,p50,p95,p99}_ms
    balance: pd.DataFrame  # time_s (begin of a second), service, imbalance
    stability: pd.DataFrame  # service, imbalance_mean, dispersion, swing (sessions per worker)
    costs: pd.DataFrame  # what, unit, value
    peak_bindings: pd.DataFrame  # place, kept_by (D-Router or Dispatcher), mode, bindings (the most at a time)


@lru_cache(maxsize=1)  # the summary of a run and its pictures ask for the same
def evaluate(run: RunData) -> Evaluation:
    """Evaluate a run. Raises RunDataError for what was known of candidates, if it cannot be read."""
    seen = seen_flows(run)
    flows = classified(served_flows(run, seen))
    decided_flows = decided(run, flows)
    instances = expected_times(run, flows)
    sessions = sessions_by_instance(run, flows, seen, decided_flows)
    outages_of = outages(run)
    evaluated = run.counting(_evaluated(decided_flows, instances, sessions, outages_of, RoundTrips(run)), "time_s")
    balance, stability = _evenness(run, instances, sessions, outages_of)
    peaks = peak_bindings(run, flows, decided_flows)
    return Evaluation(evaluated, _regret(evaluated), balance, stability, costs(run, flows, decided_flows, peaks), peaks)


# -- regret ----------------------------------------------------------------------------------------


def _evaluated(
    decided_flows: pd.DataFrame,
    instances: Mapping[str, ExpectedTime],
    sessions: Mapping[str, Sessions],
    outages_of: Mapping[str, Sequence[Outage]],
    round_trips: RoundTrips,
) -> pd.DataFrame:
    """Return `Evaluation.decisions`."""
    parts = []
    for (service, d_router), group in decided_flows.groupby(["service", "d_router"], sort=False):
        candidates = {name: item for name, item in instances.items() if item.service == service}
        weighed = _Weighed(group["time_s"].to_numpy(), pd.Index(candidates).get_indexer(group["instance"]))
        for name, item in candidates.items():
            is_shut = np.zeros(len(group), dtype=bool)
            for outage in outages_of.get(name, ()):
                is_shut |= outage.hits(weighed.times_s, d_router)
            found = sessions.get(name, _NOBODY).assigned_before(weighed.times_s)
            weighed.add(item, round_trips.at(weighed.times_s, d_router, item.site), found, is_shut)
        parts.append(weighed.table(group, [*candidates]))
    columns = ["time_s", "d_router", "service", "chosen", "best", "expected_ms", "best_expected_ms", "regret_ms"]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    by_name = pd.CategoricalDtype(sorted(instances))  # of both, so that they can be compared
    names = {"d_router": "category", "service": "category", "chosen": by_name, "best": by_name}
    return table.sort_index().astype({column: names.get(column, "float64") for column in columns})[columns]


class _Weighed:
    """Decisions of one ingress for one service, against one candidate after the other."""

    def __init__(self, times_s: np.ndarray, chosen: np.ndarray) -> None:
        self.times_s = times_s
        self._chosen = chosen
        self._expected_ms = np.full(len(times_s), np.nan)
        self._best_ms = np.full(len(times_s), np.inf)
        self._best = np.full(len(times_s), -1)
        self._number = 0

    def add(self, item: ExpectedTime, round_trip_ms: np.ndarray, sessions: np.ndarray, is_shut: np.ndarray) -> None:
        """Weigh the next candidate; one that is shut costs its choosers a refusal, and is no choice of the oracle's."""
        there_ms = np.where(is_shut, item.refusal_ms, item.at_instance_ms(sessions))
        time_ms = item.round_trips * round_trip_ms + there_ms
        is_open = ~is_shut & ~np.isnan(round_trip_ms)
        is_chosen = self._chosen == self._number
        self._expected_ms[is_chosen] = time_ms[is_chosen]
        # Of those alike the chosen one is as good as any.
        is_better = is_open & ((time_ms < self._best_ms) | is_chosen & (time_ms == self._best_ms))
        self._best_ms[is_better], self._best[is_better] = time_ms[is_better], self._number
        self._number += 1

    def table(self, group: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        """Return the columns of `Evaluation.decisions`; where nobody was open there is no regret (NaN)."""
        name_of = np.array([*names, None], dtype=object)
        best_ms = np.where(np.isinf(self._best_ms), np.nan, self._best_ms)
        return pd.DataFrame(
            {
                "time_s": self.times_s,
                "d_router": group["d_router"],
                "service": group["service"],
                "chosen": name_of[self._chosen],
                "best": name_of[self._best],
                "expected_ms": self._expected_ms,
                "best_expected_ms": best_ms,
                "regret_ms": np.maximum(0.0, self._expected_ms - best_ms),
            },
            index=group.index,
        )


def _regret(evaluated: pd.DataFrame) -> pd.DataFrame:
    by_service = evaluated.dropna(subset="regret_ms").groupby("service", observed=True)["regret_ms"]
    table = pd.DataFrame(
        {
            "decisions": by_service.size(),
            "best_percent": 100 * by_service.agg(lambda regret_ms: (regret_ms <= AS_GOOD_MS).mean()),
            "regret_mean_ms": by_service.mean(),
            **{f"regret_p{percent}_ms": by_service.quantile(percent / 100) for percent in (50, 95, 99)},
        }
    )
    return table.rename_axis("service").reset_index()[_REGRET].astype({"service": object})


# -- evenness --------------------------------------------------------------------------------------


def _evenness(
    run: RunData,
    instances: Mapping[str, ExpectedTime],
    sessions: Mapping[str, Sessions],
    outages_of: Mapping[str, Sequence[Outage]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `Evaluation.balance` and `Evaluation.stability`."""
    edges_s = run.start_s + WINDOW_S * np.arange(int((run.end_s - run.start_s) / WINDOW_S) + 1)
    balance, stability = [], []
    for service in sorted({item.service for item in instances.values()}):
        of_it = {name: item for name, item in instances.items() if item.service == service}
        workers = np.array([item.workers for item in of_it.values()], dtype=float)
        loads = np.array([_loads(sessions.get(name, _NOBODY), edges_s, outages_of.get(name, ())) for name in of_it])
        loads /= workers[:, None]
        uneven = imbalance(loads)
        balance.append(pd.DataFrame({"time_s": edges_s[:-1], "service": service, "imbalance": uneven}))
        counts = edges_s[:-1] >= run.counts_from_s
        known = uneven[counts & ~np.isnan(uneven)]
        assigned = {name: sessions[name].assigned_s for name in of_it if name in sessions}
        began_s = np.concatenate([*assigned.values(), []])
        assigned_to = np.repeat(np.array([*assigned], dtype=object), [len(times_s) for times_s in assigned.values()])
        stability.append(
            {
                "service": service,
                "imbalance_mean": known.mean() if len(known) else np.nan,
                "dispersion": dispersion(began_s, assigned_to, run.counts_from_s, run.end_s),
                "swing": oscillation(loads[:, counts], workers) if len(known) else np.nan,
            }
        )
    columns = ["time_s", "service", "imbalance"]
    table = pd.concat(balance, ignore_index=True) if balance else pd.DataFrame(columns=columns)
    return table, pd.DataFrame(stability, columns=["service", "imbalance_mean", "dispersion", "swing"])


def _loads(sessions: Sessions, edges_s: np.ndarray, outages: Sequence[Outage]) -> np.ndarray:
    """Return how many sessions were there on average in each window; NaN while the instance took no flows."""
    present = sessions.mean_present(edges_s)
    for outage in outages:
        if outage.ingress is None:
            present[(edges_s[:-1] < outage.until_s) & (edges_s[1:] > outage.from_s)] = np.nan
    return present
