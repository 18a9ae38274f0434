"""What D-Routers say of the emulation itself: paths at rest before the traffic, and control channels during it.

Reads what D-Routers measured anyway (their probes) and wrote down (`*.control_delay.csv`); sends nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from testbed.emulation.inspection.client import InspectionError
from testbed.experiment.fidelity.link_fidelity import IdlePath
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.parts import whole_rows
from topologies import routing

Inspect = Callable[[str, str], list[dict[str, Any]]]  # a D-Router and a section


def idle_paths(plan: DyncastPlan, inspect: Inspect, until_s: float) -> list[IdlePath]:
    """Return the least round trips between D-Routers that their probes found; call it before there is traffic.

    Not the latest, for all processes of a run have just started. Of D-Routers that cannot be asked before `until_s`
    there are none.
    """
    links = {frozenset((link.a, link.b)): link.spec for link in plan.topology.links}
    paths: list[IdlePath] = []
    for site in plan.sites:
        if time.monotonic() > until_s:
            break
        with suppress(InspectionError):  # one that is busy has measured nothing in peace
            for row in inspect(site, "neighbours"):
                nodes = routing.path(plan.topology, site, row["site"])
                specs = tuple(links[frozenset(ends)] for ends in pairwise(nodes))
                paths.append(IdlePath(site, row["site"], row["least_rtt_ms"], specs))
    return paths


def control_delays_ms(folder: Path, since_s: float) -> dict[str, list[float]]:
    """Return how long what switches said after `since_s` waited for their control processes, by process."""
    delays: dict[str, list[float]] = {}
    for path in sorted(folder.glob("*.control_delay.csv")):
        delays[path.name.removesuffix(".control_delay.csv")] = [
            float(row["delay_ms"]) for row in whole_rows(path) if float(row["sent_s"]) >= since_s
        ]
    return delays
