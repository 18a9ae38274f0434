"""Draw every arrival and build every packet before the run, from the seed alone.

Two policies under one seed face identical arrivals: each workload has a random stream of its own, and
nothing is drawn while the run goes on.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from testbed.agents.instance.service_time_config import service_time
from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.schema_parts import DistributionKeys
from testbed.queueing.service_times import ServiceTime
from testbed.runtime.config import parse
from traffic.arrivals import file as arrivals_file
from traffic.arrivals import processes as arrivals
from traffic.arrivals.file import Arrival
from traffic.config import CALL_MEDIA, PORTS_PER_CALL
from traffic.content import packets


def write(plan: Plan, folder: Path, base: Path) -> dict[str, list[dict[str, Any]]]:
    """Write arrival and stream files to `folder`; return the workload configurations by client host.

    `base` is what relative trace paths are relative to. Raises ValueError naming workload and key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configured: dict[str, list[dict[str, Any]]] = {client.name: [] for client in plan.clients}
    for workload in plan.scenario.workloads:
        if workload.command is not None:
            continue
        rng = random.Random(f"{plan.scenario.seed}/{workload.name}")
        rows = _draw(plan, workload, rng, base)
        clients = plan.clients_of(workload)
        shares: dict[str, list[Arrival]] = {client.name: [] for client in clients}
        for row in rows:
            shares[rng.choice(clients).name].append(row)
        shared = _configuration(plan, workload, folder, rows)
        column = arrivals_file.WORK_COLUMN if shared["kind"] == "http" else arrivals_file.DURATION_COLUMN
        for number, (client, share) in enumerate(shares.items()):
            path = folder / f"{workload.name}.{number}.arrivals.csv"
            arrivals_file.write(path, column, share)
            configured[client].append({**shared, "arrivals_file": str(path)})
    return configured


def _draw(plan: Plan, workload: WorkloadKeys, rng: random.Random, base: Path) -> list[Arrival]:
    config = workload.arrivals.process_config()
    if "path" in config:
        config["path"] = str(base / config["path"])
    offsets_s = arrivals.offsets(config, plan.scenario.duration_s, rng)
    if plan.scenario.services[workload.service].kind == "rtp":
        durations = _distribution(workload.call_duration)
        return [Arrival(offset_s, durations.draw_s(rng)) for offset_s in offsets_s]
    if workload.work is None:
        return [Arrival(offset_s, None) for offset_s in offsets_s]
    work = _distribution(workload.work)
    return [Arrival(offset_s, work.draw_s(rng) * 1e3) for offset_s in offsets_s]


def _distribution(keys: DistributionKeys) -> ServiceTime:
    return parse(keys.model_dump(exclude_none=True), service_time)


def _configuration(plan: Plan, workload: WorkloadKeys, folder: Path, rows: list[Arrival]) -> dict[str, Any]:
    service = plan.scenario.services[workload.service]
    shared: dict[str, Any] = {
        "kind": "rtp" if service.kind == "rtp" else "http",
        "name": workload.name,
        "service": workload.service,
        "d_sid": str(service.d_sid),
        "port": service.service_port,
        "timeout_s": workload.timeout_s,
    }
    if plan.name_server is not None:
        shared["host_name"] = plan.name_server.host_name(workload.service)
    if service.kind != "rtp":
        return {**shared, "request_bytes": workload.request_bytes, "response_bytes": workload.response_bytes}
    longest_s = max((row.amount for row in rows if row.amount), default=1.0)
    if workload.media != "call":
        path = _write_stream(workload, workload.media, longest_s, folder / f"{workload.name}.stream")
        return {**shared, "media": workload.media, "stream_file": path}
    streams = {
        f"{medium}_file": _write_stream(workload, medium, longest_s, folder / f"{workload.name}.{medium}.stream")
        for medium in CALL_MEDIA
    }
    block = max(PORTS_PER_CALL, service.affinity.port_block)
    return {**shared, "media": "call", "port_block": block, **streams}


def _write_stream(workload: WorkloadKeys, medium: str, longest_s: float, path: Path) -> str:
    parameters = {"bitrate_kbps": workload.video_kbps} if medium == "video" else {}
    path.write_bytes(packets.build_stream(medium, longest_s, **parameters))
    return str(path)
