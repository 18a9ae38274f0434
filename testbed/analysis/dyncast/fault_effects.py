"""What D-Routers made of each fault: how soon they knew of it, how soon they sent new flows elsewhere.

Owns the definitions, all from Dyncast's tables and the reach of a fault in the manifest (pairs of ingress and
instance). Times count from the moment the fault was done, and end where the fault ended.

* Detected: of a fault of an instance, when the first D-Router knew that it is down or draining (of one that starts
  it: up); of any other, when the first ingress in reach lost the path to the pair's site, noticed that its control
  process is silent, or that its metrics expired.
* Received by all, of a fault of an instance: when the last D-Router knew what became of it (of a migration: of both);
  of its end, when the last one knew that it is undone.
* Steered away: the last decision of an ingress for an instance in its reach; where the switch binds flows, when the
  last weight there became zero (none: it never did). A D-Router whose control process was killed does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from testbed.analysis.dyncast.decisions.two_step_decisions import as_one
from testbed.analysis.flows.fault_effects import done, pairs, time_of
from testbed.analysis.run_data.loading import RunData
from testbed.records.manifest import FaultEntry

_BOUND_WITHIN_S = 1.0  # of the start of a flow; its first packet may have to be sent again
_NOT_UP = ("down", "draining")
_RECEIVED = ("received", "told")  # by a report, or by a message of the controller
_EVENTS = ("received", "expired", "path_lost", "control_silent")
_EFFECTS = ("time_to_detect_s", "time_to_tell_all_s", "time_to_steer_away_s")

Pair = tuple[str, str]


def fault_effects(run: RunData) -> pd.DataFrame:
    """Return `number`, `event` and the columns of _EFFECTS of each begin and end of a fault."""
    return pd.DataFrame(_steps(run), columns=["number", "event", *_EFFECTS])


def chosen_instances(run: RunData, flows: pd.DataFrame) -> pd.Series:
    """Return the instance that an ingress chose for each flow; only where a flow is identified by its ports."""
    return _chosen_d_bids(run, flows).map({item.d_bid: item.name for item in run.manifest.instances})


def _steps(run: RunData) -> Iterator[dict[str, object]]:
    known = _Known(run)
    for fault, begin_s in done(run, "begin"):
        yield {"number": fault.number, "event": "begin", **known.effect(fault, begin_s, time_of(run, fault, "end"))}
    for fault, end_s in done(run, "end"):
        received_by_all_s = _received_by_all_s(run, fault, end_s, float("inf"), begins=False)
        yield {"number": fault.number, "event": "end", "time_to_tell_all_s": received_by_all_s}


def _received_by_all_s(run: RunData, fault: FaultEntry, from_s: float, until_s: float, *, begins: bool) -> float | None:
    """Return how long until the last D-Router knew what became of an instance; None if one never did."""
    if not fault.instance:
        return None
    d_bids = {item.name: item.d_bid for item in run.manifest.instances}
    gets_up = {fault.instance: (fault.kind == "instance_start") == begins}
    if fault.to:
        gets_up[fault.to] = begins
    metrics = run.metrics[run.metrics["time_s"].between(from_s, until_s)]
    received_s = [0.0]
    for instance, is_up in gets_up.items():
        of_it = metrics[metrics["d_bid"] == d_bids.get(instance)]
        says = of_it["event"].isin(_RECEIVED) & (of_it["reason"].isna() if is_up else of_it["reason"].isin(_NOT_UP))
        knows = says if is_up else says | (of_it["event"] == "expired")
        by_node = of_it[knows].groupby("node", observed=True)["time_s"].min()
        for ingress in {ingress for ingress, _ in fault.reach}:
            if ingress not in by_node:
                return None
            received_s.append(float(by_node[ingress]) - from_s)
    return max(received_s)


class _Known:
    """The tables of a run, made ready for one fault after the other."""

    def __init__(self, run: RunData) -> None:
        self._run = run
        self._d_bids = {item.name: item.d_bid for item in run.manifest.instances}
        self._sites = {item.name: item.site for item in run.manifest.instances}

    def effect(self, fault: FaultEntry, begin_s: float, until_s: float) -> dict[str, object]:
        reach = set(fault.reach)
        detected_s = self._detected_s(fault, reach, begin_s, until_s)
        starts_only = fault.kind == "instance_start"
        mute = fault.site if fault.kind == "control_killed" else None
        steering = {pair for pair in reach if pair[0] != mute}
        return {
            "time_to_detect_s": None if detected_s is None else detected_s - begin_s,
            "time_to_tell_all_s": _received_by_all_s(self._run, fault, begin_s, until_s, begins=True),
            "time_to_steer_away_s": None if starts_only else self._steered_after_s(steering, begin_s, until_s),
        }

    def _detected_s(self, fault: FaultEntry, reach: Collection[Pair], begin_s: float, until_s: float) -> float | None:
        metrics = self._run.metrics
        metrics = metrics[metrics["time_s"].between(begin_s, until_s) & metrics["event"].isin(_EVENTS)]
        if fault.instance:
            of_it = (metrics["event"] == "received") & (metrics["d_bid"] == self._d_bids.get(fault.instance))
            starts = fault.kind == "instance_start"
            knows = of_it & (metrics["reason"].isna() if starts else metrics["reason"].isin(_NOT_UP))
        else:
            paths = {(ingress, self._sites.get(instance)) for ingress, instance in reach}
            expired = (metrics["event"] == "expired") & pairs(metrics, "node", "d_bid").isin(self._addressed(reach))
            gone = metrics["event"].isin(("path_lost", "control_silent"))
            knows = expired | gone & pairs(metrics, "node", "source").isin(paths)
        times_s = metrics.loc[knows, "time_s"]
        return float(times_s.min()) if len(times_s) else None

    def _addressed(self, reach: Collection[Pair]) -> set[tuple[str, str | None]]:
        return {(ingress, self._d_bids.get(instance)) for ingress, instance in reach}

    def _steered_after_s(self, reach: Collection[Pair], begin_s: float, until_s: float) -> float | None:
        """Return how long new flows still went to what is in reach; 0 if none did."""
        addressed = self._addressed(reach)
        decisions = as_one(self._run.decisions)
        decisions = decisions[decisions["time_s"].between(begin_s, until_s)]
        sites = {(ingress, self._sites.get(instance)) for ingress, instance in reach}
        lost = decisions["d_bid"].isna() & pairs(decisions, "d_router", "egress").isin(sites)
        decided_s = decisions.loc[pairs(decisions, "d_router", "d_bid").isin(addressed) | lost, "time_s"]
        last_s = max([begin_s, *decided_s.nlargest(1), *self._weighed_until_s(addressed, begin_s, until_s)])
        return None if last_s == float("inf") else float(last_s) - begin_s

    def _weighed_until_s(
        self, addressed: Collection[tuple[str, str | None]], begin_s: float, until_s: float
    ) -> list[float]:
        """Return, for each pair that had a weight in the switch at the begin, when it had none; inf: never."""
        weights = self._run.weights[self._run.weights["time_s"] <= until_s]
        found = []
        for (d_router, _), rows in weights.groupby(["d_router", "d_sid"], observed=True):
            d_bids = {d_bid for ingress, d_bid in addressed if ingress == d_router}
            total = rows["weight"].where(rows["d_bid"].isin(d_bids), 0.0).groupby(rows["time_s"]).sum()
            if not total[total.index <= begin_s].tail(1).any():
                continue
            after = total[total.index > begin_s]
            zero_s = after.index[after == 0]
            found.append(float(zero_s[0]) if len(zero_s) else float("inf"))
        return found


def _chosen_d_bids(run: RunData, flows: pd.DataFrame) -> pd.Series:
    key = ["src", "src_port", "d_sid"]
    decisions = run.decisions.dropna(subset=["src", "src_port", "d_sid"]).sort_values("time_s", kind="stable")
    decisions = decisions[["time_s", *key, "d_bid"]].astype({"src": object, "d_sid": object, "d_bid": object})
    begun = flows[["started_s", *key]].dropna().sort_values("started_s", kind="stable")
    begun = begun.assign(latest_s=begun["started_s"] + _BOUND_WITHIN_S)
    matched = pd.merge_asof(
        begun.reset_index(), decisions, left_on="latest_s", right_on="time_s", by=key, direction="backward"
    ).set_index("index")
    return matched["d_bid"].reindex(flows.index)
