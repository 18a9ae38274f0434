"""Draw every arrival and build every packet before the run, from the seed alone.

Two policies under one seed face identical arrivals: each workload has a random stream of its own, and
nothing is drawn while the run goes on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from testbed.experiment.launch import generators
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.launch.process_configs import distribution
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival
from traffic.config import (
    PORTS_PER_CALL,
    CallWorkloadConfig,
    HttpWorkloadConfig,
    RtpWorkloadConfig,
    WorkloadConfig,
)
from traffic.content import packets


def write(plan: DyncastPlan, folder: Path, base: Path) -> dict[str, list[WorkloadConfig]]:
    """Write arrival and stream files to `folder`; return the workload configurations by client host.

    `base` is what relative trace paths are relative to. Raises ValueError naming workload and key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configured: dict[str, list[WorkloadConfig]] = {client.name: [] for client in plan.clients}
    for number, workload in enumerate(plan.scenario.workloads):
        if not isinstance(workload, FlowKeys) or workload.command is not None:
            continue
        rng = generators.stream_of(plan, workload)
        rows = _amounts(plan, workload, rng, generators.offsets_s(plan, number, rng, base))
        shares = generators.shared_out(plan.clients_of(workload), rows, rng)
        shared = _configuration(plan, workload, folder, rows)
        is_http = isinstance(shared, HttpWorkloadConfig)
        column = arrivals_file.WORK_COLUMN if is_http else arrivals_file.DURATION_COLUMN
        for of_client, (client, share) in enumerate(shares.items()):
            path = folder / f"{workload.name}.{of_client}.arrivals.csv"
            arrivals_file.write(path, column, share)
            configured[client].append(replace(shared, arrivals_file=path))
    return configured


def _amounts(plan: DyncastPlan, workload: FlowKeys, rng: random.Random, offsets_s: Sequence[float]) -> list[Arrival]:
    """Draw how much each flow asks for."""
    if plan.scenario.services[workload.service].kind == "rtp":
        durations = distribution(workload.call_duration).distribution
        return [Arrival(offset_s, durations.draw_s(rng)) for offset_s in offsets_s]
    if workload.work is None:
        return [Arrival(offset_s, None) for offset_s in offsets_s]
    work = distribution(workload.work).distribution
    return [Arrival(offset_s, work.draw_s(rng) * 1e3) for offset_s in offsets_s]


def _configuration(plan: DyncastPlan, workload: FlowKeys, folder: Path, rows: list[Arrival]) -> WorkloadConfig:
    """Return what all clients of a workload have in common; the arrivals are yet to be shared out."""
    service = plan.scenario.services[workload.service]
    shared: dict[str, Any] = {
        "name": workload.name,
        "service": workload.service,
        "d_sid": service.d_sid,
        "port": service.service_port,
        "timeout_s": workload.timeout_s,
        "arrivals_file": folder,
        "host_name": plan.name_server.host_name(workload.service) if plan.name_server else None,
    }
    if service.kind != "rtp":
        return HttpWorkloadConfig(
            **shared, request_bytes=workload.request_bytes, response_bytes=workload.response_bytes
        )
    longest_s = max((row.amount for row in rows if row.amount), default=1.0)
    if workload.media != "call":
        path = _write_stream(workload, workload.media, longest_s, folder / f"{workload.name}.stream")
        return RtpWorkloadConfig(**shared, media=workload.media, stream_file=path)
    return CallWorkloadConfig(
        **shared,
        port_block=max(PORTS_PER_CALL, service.affinity.port_block),
        audio_file=_write_stream(workload, "audio", longest_s, folder / f"{workload.name}.audio.stream"),
        video_file=_write_stream(workload, "video", longest_s, folder / f"{workload.name}.video.stream"),
    )


def _write_stream(workload: FlowKeys, medium: str, longest_s: float, path: Path) -> Path:
    parameters = {"bitrate_kbps": workload.video_kbps} if medium == "video" else {}
    path.write_bytes(packets.build_stream(medium, longest_s, **parameters))
    return path
