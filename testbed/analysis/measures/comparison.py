"""Several runs of one scenario under different policies, measure by measure.

Owns which figures are compared and how a relative change is worded. Computes; prints and draws nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.analysis.measures import run_measures
from testbed.analysis.measures.summary import Summary, summarise
from testbed.analysis.run_data.loading import RunData

_SHOWN = (
    *("completion_mean_ms", "completion_p95_ms", "refused_percent", "failed_percent"),
    *("rtp_loss_percent", "rtp_jitter_mean_ms", "rtp_jitter_p95_ms", "rtp_delay_mean_ms"),
)


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
    """Work out completion, refusals and RTP quality of each service, then the share of flows per site."""
    return [*_services(runs), *_sites([summarise(run) for run in runs])]


def _services(runs: Sequence[RunData]) -> list[Measure]:
    tables = [run_measures.of_services(run) for run in runs]
    found = []
    for service in sorted({service for table in tables for service in table.index}):
        for key in _SHOWN:
            known = run_measures.measures()[key]
            values = tuple(float(table[key].get(service, math.nan)) for table in tables)
            is_known = any(map(math.isfinite, values)) if key.startswith("rtp_") else any(value > 0 for value in values)
            if is_known:
                found.append(Measure(service, known.title, known.unit, values))
    return found


def _sites(summaries: Sequence[Summary]) -> list[Measure]:
    found = []
    tables = [summary.sites.set_index("site")["share"] for summary in summaries]
    for site in sorted({site for shares in tables for site in shares.index}):
        found.append(Measure("share of flows", site, "%", tuple(100 * shares.get(site, 0.0) for shares in tables)))
    return found
