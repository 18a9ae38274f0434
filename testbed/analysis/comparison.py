"""Several runs of one scenario under different policies, measure by measure.

Owns which figures are compared and how a relative change is worded. Computes; prints and draws nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from testbed.analysis.load import RunData
from testbed.analysis.summary import MEDIA_KIND_PREFIXES, Summary, summarise


@dataclass(frozen=True)
class Measure:
    """One figure across runs, NaN where a run has none. `unit` is "ms" or "%"; `subject` what it is of."""

    subject: str
    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def change(self) -> tuple[float, str] | None:
        """How the last run differs from the first: percentages in points, the rest in percent of the first."""
        first, last = self.values[0], self.values[-1]
        if len(self.values) < 2 or not (math.isfinite(first) and math.isfinite(last)):
            return None
        if self.unit == "%":
            return last - first, "points"
        return (100 * (last - first) / first, "%") if first else None


def labels(runs: Sequence[RunData]) -> list[str]:
    """Return a name for each run: its policy, with the run's id where a policy occurs twice."""
    times = Counter(run.policy for run in runs)
    names = [run.policy if times[run.policy] == 1 else f"{run.policy} {run.run_id}" for run in runs]
    again = Counter(names)
    return [name if again[name] == 1 else f"{name} ({index + 1})" for index, name in enumerate(names)]


def measures(runs: Sequence[RunData]) -> list[Measure]:
    """Work out completion, refusals, RTP quality and the share of flows per site, in that order."""
    summaries = [summarise(run) for run in runs]
    return [*_requests(summaries), *_streams(summaries), *_sites(summaries)]


def _requests(summaries: Sequence[Summary]) -> list[Measure]:
    found: list[Measure] = []
    for service, kind in _keys(summaries, "services", ("service", "kind")):
        rows = [_row(item.services, service=service, kind=kind) for item in summaries]
        if not kind.startswith(MEDIA_KIND_PREFIXES):
            for column, name in (
                ("completion_mean_ms", "completion, mean"),
                ("completion_p95_ms", "completion, p95"),
            ):
                found.append(Measure(service, name, "ms", tuple(row.get(column, math.nan) for row in rows)))
        for name, outcomes in (("refused", ("refused",)), ("timed out or failed", ("timeout", "failed"))):
            values = tuple(
                100 * sum(row[outcome] for outcome in outcomes) / row["offered"] if row else math.nan for row in rows
            )
            if any(value > 0 for value in values):
                found.append(Measure(service, name, "%", values))
    return found


def _streams(summaries: Sequence[Summary]) -> list[Measure]:
    columns = (
        ("loss_percent", "RTP loss", "%"),
        ("jitter_mean_ms", "RTP jitter, mean", "ms"),
        ("jitter_p95_ms", "RTP jitter, p95", "ms"),
        ("delay_mean_ms", "RTP round trip, mean", "ms"),
    )
    return [
        Measure(
            service,
            name,
            unit,
            tuple(_row(item.rtp, service=service, direction="echo").get(column, math.nan) for item in summaries),
        )
        for (service,) in _keys(summaries, "rtp", ("service",))
        for column, name, unit in columns
    ]


def _sites(summaries: Sequence[Summary]) -> list[Measure]:
    found = []
    for (site,) in _keys(summaries, "sites", ("site",)):
        shares = (_row(item.sites, site=site).get("share", 0.0) for item in summaries)
        found.append(Measure("share of flows", site, "%", tuple(100 * share for share in shares)))
    return found


def _keys(summaries: Sequence[Summary], table: str, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    rows = (row for item in summaries for row in getattr(item, table)[list(columns)].itertuples(index=False, name=None))
    return sorted({tuple(str(value) for value in row) for row in rows})


def _row(table: pd.DataFrame, **key: str) -> dict[str, float]:
    for column, value in key.items():
        table = table[table[column] == value]
    return {} if table.empty else dict(table.iloc[0])
