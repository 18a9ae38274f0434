"""What Dyncast nodes sent each other while workloads ran, counted where it was sent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from testbed.analysis.run_data.loading import RunData

_COUNTER = ["node", "peer", "kind"]


def sent(control: pd.DataFrame, *counts: str) -> pd.DataFrame:
    """Return the readings of the counters of what was sent, by time; `counts` are what came since the reading before.

    Counters only grow, and begin again from zero with the process that has them.
    """
    readings = control[control["direction"] == "sent"].sort_values("time_s", kind="stable")
    grown = readings.groupby(_COUNTER, observed=True, dropna=False)[list(counts)].diff()
    return readings.assign(**{name: grown[name].where(grown[name] >= 0, readings[name]) for name in counts})


def signalling(run: RunData) -> pd.DataFrame:
    """Return `kind` of message, `nodes` that sent it, `messages`, `bytes` (of payload) and `bytes_per_s`."""
    readings = sent(run.control, "messages", "bytes")
    during = readings[(readings["time_s"] > run.start_s) & (readings["time_s"] <= run.end_s)]
    by_kind = during.groupby("kind", observed=True)[["messages", "bytes"]].sum()
    by_kind.insert(0, "nodes", during.groupby("kind", observed=True)["node"].nunique())
    duration_s = run.end_s - run.start_s
    by_kind["bytes_per_s"] = by_kind["bytes"] / duration_s if duration_s > 0 else np.nan
    return by_kind.reset_index()
