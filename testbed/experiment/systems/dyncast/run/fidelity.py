"""What Dyncast's processes say of the emulation itself: paths at rest, control channels, troubles with switches.

Reads what D-Routers measured anyway (their probes) and processes wrote down (`*.control_delay.csv`, the table
`control`); sends nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from testbed.emulation.inspection.client import InspectionError
from testbed.experiment.fidelity.link_fidelity import IdlePath
from testbed.experiment.fidelity.process_gaps import Windows, is_planned
from testbed.experiment.fidelity.troubles import KINDS, Trouble
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.parts import whole_rows
from testbed.runtime.message_errors import UNHANDLED
from testbed.runtime.polling import wait_until
from topologies import routing

Inspect = Callable[[str, str], list[dict[str, Any]]]  # a D-Router and a section

_NOT_OFF_MS = 0.5  # so little beyond what crossing the links takes needs no second look


def idle_paths(plan: DyncastPlan, inspect: Inspect, until_s: float) -> list[IdlePath]:
    """Return the least round trips between D-Routers that their probes found; call it before there is traffic.

    Not the latest, for all processes of a run have just started. A D-Router whose paths seem off is asked again until
    `until_s`: a probe that waited for a busy processor says nothing of a path, one that did not says all. Of D-Routers
    that cannot be asked before then there are none.
    """
    paths: dict[str, list[IdlePath]] = {}

    def all_as_configured() -> bool:
        for site in [site for site in plan.sites if not _are_as_configured(paths.get(site))]:
            if time.monotonic() > until_s:
                break
            with suppress(InspectionError):  # one that is busy has measured nothing in peace
                paths[site] = _paths_from(site, plan, inspect)
        return all(_are_as_configured(paths.get(site)) for site in plan.sites)

    with suppress(TimeoutError):
        wait_until(all_as_configured, until_s - time.monotonic())
    return [path for site in plan.sites for path in paths.get(site, ())]


def _paths_from(site: str, plan: DyncastPlan, inspect: Inspect) -> list[IdlePath]:
    links = {frozenset((link.a, link.b)): link.spec for link in plan.topology.links}
    paths = []
    for row in inspect(site, "neighbours"):
        nodes = routing.path(plan.topology, site, row["site"])
        specs = tuple(links[frozenset(ends)] for ends in pairwise(nodes))
        paths.append(IdlePath(site, row["site"], row["least_rtt_ms"], specs))
    return paths


def _are_as_configured(paths: Sequence[IdlePath] | None) -> bool:
    return paths is not None and all(path.error_ms is not None and path.error_ms <= _NOT_OFF_MS for path in paths)


def control_delays_ms(folder: Path, since_s: float) -> dict[str, list[float]]:
    """Return how long echo requests that were due after `since_s` waited, by control process."""
    delays: dict[str, list[float]] = {}
    for path in sorted(folder.glob("*.control_delay.csv")):
        delays[path.name.removesuffix(".control_delay.csv")] = [
            float(row["delay_ms"]) for row in whole_rows(path) if float(row["due_s"]) >= since_s
        ]
    return delays


def troubles(folder: Path, plan: DyncastPlan, start_s: float, planned: Windows) -> list[Trouble]:
    """Return what processes counted that is no result, outside the windows of planned faults."""
    counted: dict[tuple[str, str], list[_Increase]] = {}
    for path in sorted(folder.glob("control.*.part.csv")):
        for node, increase in _increases(path):
            counted.setdefault((node, increase.kind), []).append(increase)
    found = []
    for (node, kind), increases in counted.items():
        process, who = _names(node, plan)
        unplanned = [
            item for item in increases
            if kind in KINDS and not is_planned(item.time_s, planned.get(process, ()))
            and (KINDS[kind].always or item.time_s >= start_s)
        ]  # fmt: skip
        if unplanned:
            total = sum(item.more for item in unplanned)
            connected = counted.get((node, "switch_connected"), [])
            is_back = kind != "switch_lost" or any(item.time_s > unplanned[-1].time_s for item in connected)
            sequel = "" if is_back else " and did not come back"
            found.append(Trouble(who, kind, total, unplanned[0].time_s - start_s, sequel))
    return found


class _Increase(NamedTuple):
    kind: str
    time_s: float
    more: int


def _increases(path: Path) -> Iterator[tuple[str, _Increase]]:
    """Yield the steps of the counters that a process keeps of itself, with its node."""
    former: Counter[str] = Counter()
    for row in whole_rows(path):
        counter, count = row["kind"], int(row["messages"])
        kind = "unhandled" if counter.startswith(UNHANDLED) else counter
        if row["direction"] != "local" or (kind not in KINDS and kind != "switch_connected"):
            continue
        if count > former[counter]:
            yield row["node"], _Increase(kind, float(row["time_s"]), count - former[counter])
            former[counter] = count


def _names(node: str, plan: DyncastPlan) -> tuple[str, str]:
    """Return the process of a node, and what a reader calls it."""
    if node in plan.sites:
        return f"control@{node}", f"D-Router {node}"
    if node in plan.dispatchers:
        return f"control@{node}", f"CFN Dispatcher {node}"
    return node, node
