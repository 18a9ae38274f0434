"""When each session was on its way to an instance, there, and gone: the true load of instances at any moment.

Owns the reconstruction, from what clients and instances logged of each session (a request, a media stream) and never
from samples:

* assigned to the instance: when it was decided; where no decision is recorded, when the client began;
* a request arrived when the instance had read the last of it (`affinity`). A refused one was on its way, and never
  there;
* where the work of requests is stated (`known_demand`), they were done when workers that take one after the other have
  done it, whether clients still waited or not;
* elsewhere, when the client had all of the answer, less the way home, which took as long as the way there; one whose
  client gave up is there until the next one to arrive is done;
* a stream is there from its first packet to its last;
* with an instance that crashes or stops, all that it had is gone.

Knows no policies and no costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapreplace

import numpy as np
import pandas as pd

from testbed.analysis.run_data.flow_kinds import is_request, is_rtp
from testbed.analysis.run_data.known_demand import speeds_where_known
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.run_data.outages import ends_of_instances

_UNKNOWN_S = np.nan


@dataclass(frozen=True)
class Sessions:
    """The sessions of one instance; arrays of seconds on CLOCK_MONOTONIC, each sorted by itself."""

    assigned_s: np.ndarray
    arrived_s: np.ndarray
    left_s: np.ndarray

    def assigned_before(self, times_s: np.ndarray) -> np.ndarray:
        """Return how many were there or on their way just before each time."""
        return np.searchsorted(self.assigned_s, times_s, "left") - np.searchsorted(self.left_s, times_s, "left")

    def present(self, times_s: np.ndarray) -> np.ndarray:
        """Return how many were there at each time."""
        return np.searchsorted(self.arrived_s, times_s, "right") - np.searchsorted(self.left_s, times_s, "right")

    def mean_present(self, edges_s: np.ndarray) -> np.ndarray:
        """Return how many were there on average between one time and the next."""
        session_seconds = _integral(self.arrived_s, edges_s) - _integral(self.left_s, edges_s)
        return np.asarray(np.diff(session_seconds) / np.diff(edges_s))


def _integral(steps_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return, up to each time, the integral of how many steps have been."""
    begin_s = times_s[0] if len(times_s) else 0.0  # near the numbers at hand, for precision
    sums_s = np.concatenate([[0.0], np.cumsum(steps_s - begin_s)])
    count = np.searchsorted(steps_s, times_s, "right")
    return np.asarray(count * (times_s - begin_s) - sums_s[count])


def sessions_by_instance(
    run: RunData, flows: pd.DataFrame, seen: pd.DataFrame, decisions: pd.DataFrame
) -> Mapping[str, Sessions]:
    """Return the sessions of each instance that had any, by its name.

    `flows` are served and classified (`attribution`, `consistency`), `seen` as of `attribution.seen_flows`, `decisions`
    as of `decisions.decided`.
    """
    decided = decisions.drop_duplicates("flow", keep="last").set_index("flow")
    parts = [_requests(flows, seen, decided), _streams(flows, seen, decided)]
    table = pd.concat([part for part in parts if len(part)] or parts[:1]).sort_values("arrived_s", kind="stable")
    ends_s, speeds = ends_of_instances(run), speeds_where_known(run, flows)
    workers = {item.name: item.workers or 0 for item in run.manifest.instances}
    found = {}
    for name, group in table.groupby("instance", sort=True):
        of_it = ends_s.get(str(name), [])
        if name in speeds and workers[name]:
            group = group.assign(left_s=_worked_off(group, workers[name], speeds[name], of_it))
        found[str(name)] = _of_instance(_with_abandoned(group), np.array(of_it))
    return found


def _of_instance(table: pd.DataFrame, ends_s: np.ndarray) -> Sessions:
    """Clocks are read a moment late: nothing arrives before it was assigned, or leaves before it arrived."""
    arrived_s = table["arrived_s"].to_numpy()
    assigned_s = np.minimum(table["assigned_s"].to_numpy(), arrived_s)
    left_s = np.maximum(table["left_s"].to_numpy(), arrived_s)
    if len(ends_s):
        next_end_s = np.append(ends_s, np.inf)[np.searchsorted(ends_s, arrived_s, "left")]
        left_s = np.minimum(left_s, next_end_s)
    return Sessions(np.sort(assigned_s), arrived_s, np.sort(left_s))


def _worked_off(table: pd.DataFrame, workers: int, speed: float, ends_s: Sequence[float]) -> np.ndarray:
    """Return when workers have done the work of requests, first come first served; they restart after each end."""
    left_s = np.array(table["arrived_s"], dtype=float)
    accepted = np.flatnonzero(~table["is_refused"].to_numpy(dtype=bool))
    service_s = table["work_ms"].to_numpy()[accepted] / speed / 1e3
    free_s, next_ends_s, done_s = [-math.inf] * workers, [*ends_s, math.inf], []
    for arrived_s, takes_s in zip(left_s[accepted].tolist(), service_s.tolist(), strict=True):
        while arrived_s > next_ends_s[0]:
            free_s = [next_ends_s.pop(0)] * workers
        finish_s = max(arrived_s, free_s[0]) + takes_s
        heapreplace(free_s, finish_s)
        done_s.append(finish_s)
    left_s[accepted] = done_s
    return left_s


def _requests(flows: pd.DataFrame, seen: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    rows = np.flatnonzero(is_request(flows) & flows["started_s"].notna())
    requests = flows.iloc[rows]
    instance = _known(requests["instance"], decided["instance"].reindex(rows))
    arrived_s = _arrived_s(seen, len(flows))[rows]
    started_s, connected_s, finished_s = (
        requests[key].to_numpy() for key in ("started_s", "connected_s", "finished_s")
    )
    arrived_s = np.where(np.isnan(arrived_s), connected_s + (connected_s - started_s) / 2, arrived_s)
    outcome = requests["outcome_class"].astype(object).to_numpy()
    reverse_s = np.maximum(arrived_s - np.where(np.isnan(connected_s), arrived_s, connected_s), 0.0)
    left_s = np.select(
        [outcome == "ok", outcome == "refused", outcome == "failed"],
        [finished_s - reverse_s, arrived_s, finished_s],
        _UNKNOWN_S,
    )
    table = pd.DataFrame(
        {
            "instance": instance,
            "assigned_s": _assigned_s(decided, rows, instance, started_s),
            "arrived_s": arrived_s,
            "left_s": left_s,
            "finished_s": finished_s,
            "work_ms": requests["work_ms"].to_numpy(),
            "is_refused": outcome == "refused",
        }
    )
    return table.dropna(subset=["instance", "arrived_s"])


def _with_abandoned(table: pd.DataFrame) -> pd.DataFrame:
    """Fill in when those were done whose clients had gone."""
    done_s = np.fmax(table["left_s"].bfill(), table["finished_s"])
    return table.assign(left_s=table["left_s"].fillna(done_s).fillna(np.inf))


def _streams(flows: pd.DataFrame, seen: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    received = seen[(seen["flow"] >= 0) & (seen["proto"] == "udp")]
    received = received[is_rtp(flows).to_numpy()[received["flow"].to_numpy()]].astype({"instance": object})
    table = received.groupby(["flow", "instance"], sort=False).agg(
        arrived_s=("first_s", "min"), left_s=("last_s", "max")
    )
    table = table.reset_index()
    assigned_s = _assigned_s(
        decided, table["flow"].to_numpy(), table["instance"].to_numpy(), table["arrived_s"].to_numpy()
    )
    return table.assign(assigned_s=assigned_s, finished_s=table["left_s"], work_ms=np.nan, is_refused=False)


def _arrived_s(seen: pd.DataFrame, flows: int) -> np.ndarray:
    """Return, for each flow, when the instance that answers it had read what it sent; NaN where none says."""
    received = seen[(seen["flow"] >= 0) & (seen["proto"] == "tcp")]
    arrived_s = np.full(flows, np.nan)
    arrived_s[received["flow"].to_numpy()] = received["last_s"].to_numpy()
    return arrived_s


def _assigned_s(decided: pd.DataFrame, flows: np.ndarray, instance: np.ndarray, otherwise_s: np.ndarray) -> np.ndarray:
    decision = decided.reindex(flows)
    is_it = decision["instance"].to_numpy(dtype=object) == instance
    return np.asarray(np.where(is_it, decision["time_s"].to_numpy(dtype=float), otherwise_s))


def _known(stated: pd.Series, decided: pd.Series) -> np.ndarray:
    stated_names = stated.to_numpy(dtype=object)
    return np.asarray(np.where(pd.isna(stated_names), decided.to_numpy(dtype=object), stated_names))
