"""Dyncast's figures of one run, worked out once for all that show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from testbed.analysis.dyncast.decisions.evaluation import Evaluation, evaluate
from testbed.analysis.dyncast.decisions.steering_costs import D_ROUTER, DISPATCHER
from testbed.analysis.measures.summary import Summary
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import Measure

NAME = "dyncast"

# Regret is that of each decision by the instances' true state. Dispersion is 1 for flows spread at random, more for
# herds. Bindings are those of the whole run, all services together.
MEASURES = (
    Measure("regret_mean_ms", "regret of decisions, mean", "ms", is_headline=True),
    Measure("best_percent", "decisions within 1 ms of the best", "%", is_printed=False),
    Measure("dispersion", "dispersion of flows per instance and second", "variance / mean"),
    Measure("d_router_bindings", "most bindings that a D-Router held", "bindings"),
    Measure("dispatcher_bindings", "most bindings that a Dispatcher held", "bindings"),
)


@dataclass(frozen=True)
class DyncastFigures:
    """The figures of one run."""

    decisions: pd.DataFrame  # d_router, decisions, metrics_age_mean_s
    evaluation: Evaluation


def figures(run: RunData) -> DyncastFigures:
    """Work them out. Raises RunDataError for what was known of candidates, if it cannot be read."""
    groups = run.counting(run.decisions, "time_s").groupby("d_router", observed=True)
    decisions = groups.agg(decisions=("time_s", "size"), metrics_age_mean_s=("metrics_age_s", "mean")).reset_index()
    return DyncastFigures(decisions, evaluate(run))


def of(summary: Summary) -> DyncastFigures:
    """Return Dyncast's figures of a summary."""
    found = summary.of[NAME]
    assert isinstance(found, DyncastFigures)
    return found


def measured(run: RunData, subjects: pd.Index) -> pd.DataFrame:
    """Return a column of each of MEASURES, a row per subject; NaN where a subject was steered by nobody."""
    evaluated = evaluate(run)
    regret, stability = evaluated.regret.set_index("service"), evaluated.stability.set_index("service")
    most_held = evaluated.peak_bindings.groupby("kept_by")["bindings"].max()
    return pd.DataFrame(
        {
            "regret_mean_ms": regret["regret_mean_ms"].reindex(subjects),
            "best_percent": regret["best_percent"].reindex(subjects),
            "dispersion": stability["dispersion"].reindex(subjects),
            "d_router_bindings": float(most_held.get(D_ROUTER, 0)),
            "dispatcher_bindings": float(most_held.get(DISPATCHER, np.nan)),
        },
        index=subjects,
    )
