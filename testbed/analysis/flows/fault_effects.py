"""What each fault did to the flows, and what else the systems' tables have of it.

Owns how the effects get into `faults.csv`, and which flows a fault broke: those of a pair in its reach (ingress and
instance, in the manifest) that had begun and not ended when it was done, and did not end well; of a migration, at any
time until the old instance stopped. An RTP call is broken that received no echo in the last second of its life. Times
count from the moment the fault was done, and end where the fault ended.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from testbed.analysis.flows.attribution import seen_flows, served_flows
from testbed.analysis.run_data.loading import RunData, load
from testbed.analysis.system import systems
from testbed.records import result_files
from testbed.records.manifest import FaultEntry
from testbed.records.tables import columns_of

_RTP_SILENT_S = 1.0
_BROKEN = "flows_broken"
_STEP = {"number": "int64", "event": object}  # the columns by which effects are put together


def complete(run_dir: Path) -> None:
    """Fill in the effects of faults in a run's `faults.csv`. Raises RunDataError if its files cannot be read."""
    path = run_dir / "faults.csv"
    with result_files.open_file(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return
    found = _effects_of_steps(load(run_dir))
    of_step = {(str(row.pop("number")), row.pop("event")): row for row in found.to_dict("records")}
    with result_files.replacing(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns_of("faults"))
        writer.writeheader()
        for row in rows:
            added = of_step.get((row["number"], row["event"]), {})
            writer.writerow(row | {key: _text(value) for key, value in added.items()})


def effects(run: RunData) -> pd.DataFrame:
    """Return `number` of each fault that was done, and the columns of `faults` that it has; None: not known."""
    found = _effects_of_steps(run)
    begun = found[found["event"] == "begin"].drop(columns="event")
    return begun.astype(object).where(begun.notna(), None)


def _effects_of_steps(run: RunData) -> pd.DataFrame:
    """Return the same of each step, with its `event`: begin or end."""
    found = pd.DataFrame(_broken(run), columns=[*_STEP, _BROKEN]).astype({**_STEP, _BROKEN: "Int64"})
    for system in systems().values():
        of_system = system.fault_effects(run)
        if of_system is not None:
            found = _joined(found, of_system.astype(_STEP))
    return found


def _joined(found: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Put what two know of steps side by side; of a time that both know, the later one: then the last was done."""
    both = [column for column in more.columns if column in found.columns and column not in _STEP]
    merged = found.merge(more, on=list(_STEP), how="outer", suffixes=("", "_more"))
    for column in both:
        merged[column] = merged[[column, f"{column}_more"]].astype("float64").max(axis=1)
    return merged.drop(columns=[f"{column}_more" for column in both])


def done(run: RunData, event: str) -> list[tuple[FaultEntry, float]]:
    """Return each planned fault of which a step was done, and when."""
    planned = {fault.number: fault for fault in run.manifest.faults}
    steps = run.faults[(run.faults["event"] == event) & run.faults["number"].isin(list(planned))]
    return [(planned[step.number], float(step.time_s)) for step in steps.itertuples()]


def time_of(run: RunData, fault: FaultEntry, event: str) -> float:
    """Return when a step of a fault was done; infinity if it never was."""
    steps = run.faults[(run.faults["number"] == fault.number) & (run.faults["event"] == event)]["time_s"]
    return float(steps.iloc[0]) if len(steps) else float("inf")


def _broken(run: RunData) -> Iterator[tuple[int, str, int]]:
    """Yield the begin of each fault with the number of flows that it broke."""
    begun = done(run, "begin")
    flows = _bound_flows(run) if begun else pd.DataFrame()
    for fault, begin_s in begun:
        if fault.kind == "instance_start":
            yield fault.number, "begin", 0
            continue
        last_s = min(time_of(run, fault, "stopped"), time_of(run, fault, "end")) if fault.kind == "migrate" else begin_s
        under_way = (flows["started_s"] <= last_s) & ~(flows["finished_s"] <= begin_s)
        in_reach = pairs(flows, "ingress", "instance").isin(set(fault.reach))
        yield fault.number, "begin", int((under_way & flows["is_broken"] & in_reach).sum())


def _bound_flows(run: RunData) -> pd.DataFrame:
    """Return flows with `is_broken`, and the instance each was sent to also where no instance lived to record it."""
    flows = served_flows(run, seen_flows(run))
    flows = flows.assign(**{column: flows[column].astype(object) for column in ("instance", "ingress", "src", "d_sid")})
    echoes = run.rtp[run.rtp["direction"] == "echo"].dropna(subset="flow_id")
    last_echo_s = flows["flow_id"].map(echoes.drop_duplicates("flow_id").set_index("flow_id")["last_s"])
    is_rtp = flows["kind"].astype(str).str.startswith("rtp")
    silent = is_rtp & ~(flows["finished_s"] - last_echo_s <= _RTP_SILENT_S)
    instance = flows["instance"]
    for system in systems().values():
        chosen = system.chosen_instances(run, flows)
        instance = instance if chosen is None else instance.fillna(chosen)
    return flows.assign(is_broken=(flows["outcome"].astype(object) != "ok") | silent, instance=instance)


def pairs(frame: pd.DataFrame, first: str, second: str) -> pd.Series:
    """Return the pairs of two columns, in one."""
    return pd.Series(list(zip(frame[first], frame[second], strict=True)), index=frame.index, dtype=object)


def _text(value: object) -> object:
    if pd.isna(value):
        return ""
    return f"{value:.6f}" if isinstance(value, float) else value
