"""When instances took no new flows, or could not be reached: what the faults of a run did, as they were done.

Owns the meaning of each kind of fault for who chooses an instance. An omniscient one knows at once, whenever D-Routers
came to know. Of halted agents and control processes it knows nothing: the instances are as good as before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from testbed.analysis.run_data.loading import RunData
from testbed.records.manifest import FaultEntry

_CLOSING = ("instance_crash", "instance_stop", "instance_drain")
_CUTTING = ("link_down", "partition", "egress_unreachable")


class Outage(NamedTuple):
    """From then until then; for flows of one ingress only, if it is named."""

    from_s: float
    until_s: float
    ingress: str | None = None

    def hits(self, times_s: np.ndarray, d_router: str) -> np.ndarray:
        """Return which moments of an ingress it hits."""
        concerned = self.ingress in (None, d_router)
        return concerned & (times_s >= self.from_s) & (times_s < self.until_s)


def outages(run: RunData) -> dict[str, list[Outage]]:
    """Return the outages of each instance that had any, by its name."""
    turns: defaultdict[tuple[str, str | None], list[tuple[float, bool]]] = defaultdict(list)
    for time_s, instance, ingress, opens in _turns(run):
        turns[instance, ingress].append((time_s, opens))
    found: defaultdict[str, list[Outage]] = defaultdict(list)
    for (instance, ingress), of_it in turns.items():
        from_s = -np.inf if of_it[0][1] else None  # what has to be started first did not run
        for time_s, opens in of_it:
            if opens and from_s is not None:
                found[instance].append(Outage(from_s, time_s, ingress))
            from_s = None if opens else time_s if from_s is None else from_s
        if from_s is not None:
            found[instance].append(Outage(from_s, np.inf, ingress))
    return dict(found)


def ends_of_instances(run: RunData) -> dict[str, list[float]]:
    """Return when instances crashed or stopped, and all that they had was gone."""
    ends: defaultdict[str, list[float]] = defaultdict(list)
    for time_s, fault, event, _ in _steps(run):
        if (fault.kind, event) in (("instance_crash", "begin"), ("instance_stop", "begin")):
            ends[fault.instance].append(time_s)
    return dict(ends)


def _turns(run: RunData) -> Iterator[tuple[float, str, str | None, bool]]:
    """Yield (time, instance, ingress, whether it takes flows from now on) in the order of time."""
    for time_s, fault, event, is_undone in _steps(run):
        kind, instance, begins = fault.kind, fault.instance, event == "begin"
        if event in ("begin", "end"):
            if kind in _CLOSING:
                yield time_s, instance, None, not begins
            elif kind == "instance_start":
                yield time_s, instance, None, begins
            elif kind == "migrate":
                yield time_s, fault.to if begins else instance, None, True
            elif kind in _CUTTING:
                for ingress, reached in fault.reach:
                    yield time_s, reached, ingress, not begins
        elif kind == "migrate" and event == "draining":
            yield time_s, fault.to if is_undone else instance, None, False


def _steps(run: RunData) -> Iterator[tuple[float, FaultEntry, str, bool]]:
    """Yield (time, fault of the manifest, event, whether it has been undone already)."""
    planned = {fault.number: fault for fault in run.manifest.faults}
    undone: set[int] = set()
    for row in run.faults.dropna(subset=["number", "event"]).sort_values("time_s", kind="stable").itertuples():
        if row.number in planned:
            if row.event == "end":
                undone.add(row.number)
            yield float(row.time_s), planned[row.number], str(row.event), row.number in undone
