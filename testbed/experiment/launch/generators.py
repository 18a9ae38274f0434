"""Generators of load, whichever system has them: arrivals drawn and shared among clients, and how they kept to them.

Two runs under one seed face identical arrivals: each workload has a random stream of its own, and nothing is drawn
while the run goes on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from testbed.experiment.plan.plan import Plan, PlannedClient
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.records.file_names import file_name
from traffic.arrivals import processes as arrivals
from traffic.arrivals.file import Arrival
from traffic.arrivals.processes import ArrivalsError


def stream_of(plan: Plan, workload: WorkloadKeys) -> random.Random:
    """Return the random stream of a workload, from its beginning."""
    return random.Random(f"{plan.scenario.seed}/{workload.name}")


def offsets_s(plan: Plan, number: int, rng: random.Random, base: Path) -> list[float]:
    """Draw when the flows of a workload begin; `base`: what paths of traces are relative to.

    Raises ArrivalsError naming workload and key.
    """
    config = plan.scenario.workloads[number].arrivals.process_config()
    if "path" in config:
        config["path"] = str(base / config["path"])
    try:
        return arrivals.offsets(config, plan.scenario.duration_s, rng)
    except ArrivalsError as error:
        raise ArrivalsError(f"workloads[{number}].arrivals.{error}") from error


def shared_out(
    clients: Sequence[PlannedClient], rows: Iterable[Arrival], rng: random.Random
) -> dict[str, list[Arrival]]:
    """Give each arrival to a client at random; return them by client."""
    shares: dict[str, list[Arrival]] = {client.name: [] for client in clients}
    for row in rows:
        shares[rng.choice(clients).name].append(row)
    return shares


def sending(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield how generators that have ended kept to their schedules, by generator and workload."""
    for name in names:
        document = json.loads((folder / f"{file_name(name)}.generator.json").read_text(encoding="utf-8"))
        for workload, summary in document["workloads"].items():
            yield f"{name}/{workload}", summary["sending"]
