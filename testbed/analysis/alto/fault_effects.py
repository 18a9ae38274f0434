"""What a cluster client made of each fault: how long it still sent users to clusters in the fault's reach.

From `placements` and the reach of a fault in the manifest (pairs of the users' site and cluster). It counts from the
moment the fault was done, and ends where the fault ended; where users ask clusters themselves, nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from testbed.analysis.flows.fault_effects import done, pairs, time_of
from testbed.analysis.run_data.loading import RunData

_STEERED = "time_to_steer_away_s"
_LEAVING = ("container_killed",)  # a cluster as good as before


def fault_effects(run: RunData) -> pd.DataFrame:
    """Return `number`, `event` and `time_to_steer_away_s` of each begin of a fault."""
    return pd.DataFrame(_steps(run), columns=["number", "event", _STEERED])


def _steps(run: RunData) -> Iterator[tuple[int, str, float]]:
    sent = run.placements[run.placements["outcome"].astype(object) == "redirected"]
    if sent.empty:
        return
    where = pairs(sent.astype({"site": object, "cluster": object}), "site", "cluster")
    for fault, begin_s in done(run, "begin"):
        if fault.kind in _LEAVING:
            continue
        times_s = sent["time_s"][sent["time_s"].between(begin_s, time_of(run, fault, "end"))]
        reached_s = times_s[where[times_s.index].isin(set(fault.reach))]
        yield fault.number, "begin", float(reached_s.max()) - begin_s if len(reached_s) else 0.0
