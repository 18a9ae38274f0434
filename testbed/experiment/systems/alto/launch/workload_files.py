"""Draw every arrival and write every payload before the run, from the seed alone."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path

from testbed.experiment.launch import generators
from testbed.experiment.systems.alto.keys.workload import InvokeKeys, PayloadKeys
from testbed.experiment.systems.alto.launch import arrivals
from testbed.experiment.systems.alto.launch.arrivals import Traced
from testbed.experiment.systems.alto.plan.plan import CLUSTER_PORT, AltoPlan
from testbed.faas.limits import ClusterLimits
from traffic.arrivals import file as arrivals_file
from traffic.config import InvokeWorkloadConfig

_MOST_FILES = 1000


def write(
    plan: AltoPlan, folder: Path, base: Path, auth: str, traced: Traced = lambda _workload, _drawn: None
) -> dict[str, list[InvokeWorkloadConfig]]:
    """Write arrivals and payloads to `folder`; return the workload configurations by client host.

    `base` is what relative paths are relative to; `traced` takes what was found in traces. Raises ValueError naming
    workload and key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configured: dict[str, list[InvokeWorkloadConfig]] = {}
    names = {str(item.address): item.name for item in plan.clusters}
    names |= {str(item.address): item.name for item in plan.servers.values()}
    for number, workload in plan.scenario.invocations:
        rng = generators.stream_of(plan, workload)
        clients = plan.clients_of(workload)
        shares = generators.shared_out(clients, arrivals.drawn(plan, number, workload, rng, base, traced), rng)
        bodies = tuple(_bodies(f"workloads[{number}]", workload, folder, base, rng))
        for of_client, client in enumerate(clients):
            if not shares[client.name]:
                continue
            path = folder / f"{workload.name}.{of_client}.invocations.csv"
            arrivals_file.write(path, arrivals_file.WORK_COLUMN, shares[client.name])
            asked, d_sid = plan.asked(workload, client), plan.d_sid(workload)
            is_redirected = asked is plan.cluster_client
            invoked = InvokeWorkloadConfig(
                name=workload.name,
                service=workload.function,
                d_sid=asked.address if d_sid is None else d_sid,
                port=asked.port if d_sid is None else CLUSTER_PORT,
                arrivals_file=path,
                auth=auth,
                body_files=bodies,
                timeout_s=workload.timeout_s,
                names=names,
                first_answer="redirect" if is_redirected else "activation",
                asked_first=(asked.address, asked.port) if is_redirected and d_sid is not None else None,
                amount_parameter=workload.arrivals.duration_parameter,
            )
            configured.setdefault(client.name, []).append(invoked)
    return configured


def _bodies(key: str, workload: InvokeKeys, folder: Path, base: Path, rng: random.Random) -> Iterator[Path]:
    """Write what invocations carry; yield the files."""
    most_bytes = ClusterLimits().payload_bytes
    payloads = [None] if workload.payload is None else _payloads(key, workload.payload, base, rng)
    for number, octets in enumerate(payloads):
        document = dict(workload.parameters)
        if workload.payload is not None and octets is not None:
            document[workload.payload.parameter] = base64.b64encode(octets).decode()
        body = json.dumps(document).encode()
        if len(body) > most_bytes:
            what = f"payload {number + 1} of {workload.name!r}, with parameters and in base64, has {len(body)} bytes"
            raise ValueError(f"{key}.payload: {what}, and a cluster takes {most_bytes}")
        path = folder / f"{workload.name}.{number}.body.json"
        path.write_bytes(body)
        yield path


def _payloads(key: str, keys: PayloadKeys, base: Path, rng: random.Random) -> Iterator[bytes]:
    if keys.bytes is not None:
        yield rng.randbytes(keys.bytes)
        return
    assert keys.folder is not None
    place = base / keys.folder
    try:
        files = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
        if not files or len(files) > _MOST_FILES:
            raise ValueError(f"{key}.payload.folder: {place} has {len(files)} files; take 1 to {_MOST_FILES}")
        for path in files:
            yield path.read_bytes()
    except OSError as error:
        where = error.filename or place
        raise ValueError(f"{key}.payload.folder: cannot read {where}: {error.strerror}; is the path right?") from error
