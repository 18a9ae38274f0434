"""What Dyncast nodes sent each other while workloads ran, counted where it was sent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from testbed.analysis.run_data.loading import RunData


def signalling(run: RunData) -> pd.DataFrame:
    """Return `kind` of message, `nodes` that sent it, `messages`, `bytes` (of payload) and `bytes_per_s`."""
    # The counters are cumulative.
    sent = run.control[run.control["direction"] == "sent"].sort_values("time_s", kind="stable")
    counter = ["node", "peer", "kind"]
    counts = ["messages", "bytes"]

    def as_of(time_s: float) -> pd.DataFrame:
        past = sent[sent["time_s"] <= time_s]
        return past.groupby(counter, observed=True, dropna=False)[counts].last()

    at_end = as_of(run.end_s)
    during = at_end - as_of(run.start_s).reindex(at_end.index).fillna(0)
    by_kind = during.groupby("kind", observed=True)[counts].sum()
    by_kind.insert(0, "nodes", during.reset_index().groupby("kind", observed=True)["node"].nunique())
    duration_s = run.end_s - run.start_s
    by_kind["bytes_per_s"] = by_kind["bytes"] / duration_s if duration_s > 0 else np.nan
    return by_kind.reset_index()
