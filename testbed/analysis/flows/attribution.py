"""Who served which flow: offered flows matched with the flow keys that instances saw.

Owns the meaning of an affinity violation (draft-li-rtgwg-dyncast-architecture: all packets of a flow
reach one service instance). The `affinity` table is the ground truth; `flows` is what clients believe.
Knows no files and no pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import systems

# The flow key as an instance sees it: the D-SID is already rewritten, so the service stands for it.
FLOW_KEY = ("service", "proto", "src", "src_port", "dst_port")

# Both ends stamp in user space: an instance may run before the client has noted that it began.
_STAMP_SLACK_S = 0.001

# A connection's last packet may reach a distant instance after the first of the next one has reached a near one. A SYN
# that is sent again for want of an answer, and must go where the first one went, comes no sooner than after a second.
_OVERTAKING_S = 0.5


def seen_flows(run: RunData) -> pd.DataFrame:
    """Return the `affinity` rows with `flow`, the row number in `flows` they belong to (below 0: none), and `key`.

    Ports are used again, so a key alone does not name a flow: a row belongs to the flow that was the
    last to start with its key. Traffic that no generator offered (somebody's curl) has no flow; there, a key that
    comes back when its binding may be no more, or after its end, has another number below 0.
    """
    key, flow = flows_of(run.flows, run.affinity, run.affinity["first_s"])
    seen = run.affinity.assign(key=key, flow=flow, is_steered=_steered(run))
    strangers = seen[seen["flow"] < 0].sort_values(["key", "first_s"])
    if len(strangers):
        seen.loc[strangers.index, "flow"] = -1 - _lives(run, strangers)
    return seen


def _steered(run: RunData) -> np.ndarray:
    """Tell which rows of `affinity` no system calls unsteered."""
    steered = np.ones(len(run.affinity), dtype=bool)
    for system in systems().values():
        unsteered = system.unsteered(run)
        if unsteered is not None:
            steered &= ~unsteered.to_numpy(dtype=bool)
    return steered


def _lives(run: RunData, strangers: pd.DataFrame) -> pd.Series:
    """Return how often each row's key was used again before it; rows in the order of time.

    It is when it had been silent for longer than a binding lasts, or when the end of the connection before it was seen:
    a SYN after that is another flow, to the switch's connection tracker as well. Where a run does not know ends, no two
    rows are taken for the same flow: a port that was used again would seem to have moved.
    """
    if not run.knows("affinity.ended"):
        return pd.Series(np.arange(len(strangers)), index=strangers.index)
    timeouts_s = {name: of.affinity_timeout_s for name, of in run.manifest.services.items()}
    last_packet_s = strangers[["first_s", "last_s"]].max(axis=1).groupby(strangers["key"])
    silent_s = strangers["first_s"] - last_packet_s.cummax().groupby(strangers["key"]).shift()
    is_new = silent_s > strangers["service"].astype(object).map(timeouts_s).fillna(np.inf).astype("float64")
    before = strangers[["ended", "last_s"]].groupby(strangers["key"]).shift()
    is_new |= (before["ended"].fillna(0) > 0) & (before["last_s"] <= strangers["first_s"] + _OVERTAKING_S)
    return is_new.groupby(strangers["key"]).cumsum().astype("int64")


def flows_of(flows: pd.DataFrame, rows: pd.DataFrame, times_s: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of `rows`, which have a FLOW_KEY and were so at `times_s`, a number for its key and its flow.

    That is the row number in `flows` of the last to start with that key, -1 if none did.
    """
    key_of_flow, key_of_row = _key_numbers(flows, rows)
    started = pd.DataFrame({"key": key_of_flow, "time_s": flows["started_s"].to_numpy(), "flow": np.arange(len(flows))})
    seen = pd.DataFrame({"key": key_of_row, "time_s": times_s.to_numpy() + _STAMP_SLACK_S, "row": np.arange(len(rows))})
    matched = pd.merge_asof(
        seen.sort_values("time_s", kind="stable"),
        started.dropna(subset="time_s").sort_values("time_s", kind="stable"),
        on="time_s",
        by="key",
    ).sort_values("row")
    return key_of_row, matched["flow"].fillna(-1).astype("int64").to_numpy()


def affinity_violations(run: RunData, seen: pd.DataFrame) -> pd.DataFrame:
    """Return the `moved_flows` that need not have moved: no node of a system had lost the instance that was left."""
    moved = moved_flows(seen)
    lost_s = _lost(run) if len(moved) else {}

    def had_to(left: Sequence[str], arrived_s: Sequence[float]) -> bool:
        return all(lost_s.get(name, inf) <= at_s for name, at_s in zip(left, arrived_s, strict=True))

    had = [had_to(row.instances.split(", ")[:-1], row.arrived_s) for row in moved.itertuples()]
    return moved[~np.array(had, dtype=bool)].drop(columns="arrived_s")


def moved_flows(seen: pd.DataFrame) -> pd.DataFrame:
    """Return one row per steered flow that more than one instance saw; takes `seen_flows`.

    `instances` in the order of their first packets, `arrived_s`: those of all but the first.
    """
    pairs = seen[seen["is_steered"]].drop_duplicates(["key", "flow", "instance"])
    broken = pairs[pairs.duplicated(["key", "flow"], keep=False)]
    columns = [*FLOW_KEY, "instances", "first_s", "arrived_s"]
    if broken.empty:
        return pd.DataFrame(columns=columns)
    rows = [
        {
            **{column: group[column].iloc[0] for column in FLOW_KEY},
            "instances": ", ".join(group["instance"].astype(str)),
            "first_s": group["first_s"].iloc[0],
            "arrived_s": tuple(group["first_s"].iloc[1:]),
        }
        for _, group in broken.sort_values("first_s").groupby(["key", "flow"], sort=False)
    ]
    return pd.DataFrame(rows, columns=columns)


def _lost(run: RunData) -> dict[str, float]:
    """Return when a node of some system first lost an instance, by the instance's name."""
    by_system = [system.lost_instances(run) for system in systems().values()]
    names = [item.name for item in run.manifest.instances]
    return {name: min((lost.get(name, inf) for lost in by_system), default=inf) for name in names}


def directory(run: RunData) -> pd.DataFrame:
    """Return `service`, `site`, `workers` of every instance, by name: those of the manifest and those that acted."""
    columns = ["service", "site", "workers"]
    declared = pd.DataFrame(
        [(item.name, item.service, item.site, item.workers) for item in run.manifest.instances],
        columns=["instance", *columns],
    )
    acted = run.instances.drop_duplicates("instance")[["instance", *columns]]
    answered = run.flows.dropna(subset="instance").drop_duplicates("instance")[["instance", "service", "site"]]
    saw = run.affinity.drop_duplicates("instance")[["instance", "service"]]
    known = [frame.astype(object) for frame in (declared, acted, answered, saw) if not frame.empty]
    if not known:
        return pd.DataFrame(columns=columns, index=pd.Index([], name="instance"))
    merged = pd.concat(known, ignore_index=True).groupby("instance", sort=False)[columns].first()
    merged["workers"] = pd.to_numeric(merged["workers"])
    return merged.sort_index()


def served_flows(run: RunData, seen: pd.DataFrame) -> pd.DataFrame:
    """Return `flows` with `instance` and `site` filled in from what instances saw, where the client cannot know.

    An HTTP answer names its instance, an RTP echo does not. Flows that reached nobody keep neither.
    """
    known = directory(run)
    first_seen = seen[seen["flow"] >= 0].sort_values("first_s").drop_duplicates("flow").set_index("flow")["instance"]
    codes = pd.Series(known.index.get_indexer(first_seen.astype(object)), index=first_seen.index)
    truth = codes.reindex(np.arange(len(run.flows)), fill_value=-1).to_numpy()
    stated = pd.Categorical(run.flows["instance"], categories=known.index).codes
    instance = pd.Categorical.from_codes(np.where(stated >= 0, stated, truth), categories=known.index)
    sites = pd.Categorical(known["site"].dropna().unique()).categories
    site_of_instance = np.append(pd.Categorical(known["site"], categories=sites).codes, -1)
    site = pd.Categorical.from_codes(site_of_instance[instance.codes], categories=sites)
    return run.flows.assign(instance=instance, site=site)


def _key_numbers(*frames: pd.DataFrame) -> list[np.ndarray]:
    """Number the distinct flow keys across frames; the same key has the same number in each."""
    lengths = [len(frame) for frame in frames]
    numbers = np.zeros(sum(lengths), dtype="int64")
    for column in FLOW_KEY:
        parts = [frame[column] for frame in frames]
        if isinstance(parts[0].dtype, pd.CategoricalDtype):
            codes = union_categoricals(parts).codes.astype("int64")
        else:
            codes, _ = pd.factorize(np.concatenate([part.to_numpy("float64", na_value=-1.0) for part in parts]))
        numbers = numbers * (codes.max(initial=0) + 2) + codes + 1
    return np.split(numbers, np.cumsum(lengths)[:-1])
