"""What a cluster adds to a function: milliseconds of a warm activation, and a cold start against the same program bare.

A cluster as `dyncast faas` starts it, asked over one connection that stays open. A function measures its own time; what
a blocking request takes beyond that is the platform's: HTTP twice, the pool, the container's runtime, its logs. The
same program bare is the runtime of `python:3` as a plain process, from its start to the answer of its first run.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from testbed.agents.cluster.child import Child
from testbed.agents.cluster.sandboxes import view
from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped, compare, measure
from testbed.runtime import caller

_ACTIONS = "/api/v1/namespaces/_/actions"
_SOURCE = """
import time
def main(args):
    begun_s = time.perf_counter()
    sum(range(20_000))
    return {"own_ms": 1000 * (time.perf_counter() - begun_s)}
"""
_WARM_GOAL = Goal(3.0, Better.LOWER)
_COLD_GOAL = Goal(3.0, Better.LOWER)
_SANDBOXES = ("crun", "runc", "bwrap")


class _Cluster:
    """A cluster that stands, and a connection to it."""

    def __init__(self, address: str, auth: str) -> None:
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        token = base64.b64encode(auth.encode()).decode()
        self._fields = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def create(self) -> None:
        """Create the function, or a revision of it that no container holds."""
        self._ask("PUT", f"{_ACTIONS}/f?overwrite=true", {"exec": {"kind": "python:3", "code": _SOURCE}})

    def invoke(self) -> Any:
        """Invoke it; return its result."""
        return self._ask("POST", f"{_ACTIONS}/f?blocking=true&result=true", {})

    def added_ms(self) -> float:
        """Return what a blocking request takes beyond the function's own time."""
        begun_s = time.perf_counter()
        own_ms = self.invoke()["own_ms"]
        return 1000 * (time.perf_counter() - begun_s) - float(own_ms)

    def cold_ms(self) -> float:
        """Return how long the first activation of a revision takes."""
        self.create()
        begun_s = time.perf_counter()
        self.invoke()
        return 1000 * (time.perf_counter() - begun_s)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        self._connection.request(method, path, json.dumps(body), self._fields)
        response = self._connection.getresponse()
        document = json.load(response)
        if response.status != 200:
            raise Skipped(f"the cluster answered {response.status}: {document}")
        return document


@contextmanager
def _cluster(sandbox: str) -> Iterator[_Cluster]:
    command = caller.python_module("testbed.cli", "faas", "--port", "0", "--rate", "1000000", "--sandbox", sandbox)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stderr is not None
        words = dict(word.partition("=")[::2] for word in process.stdout.readline().split())
        if "apihost" not in words:
            raise Skipped(f"capability {sandbox} is missing: {process.stderr.read().strip()}")
        yield _Cluster(words["apihost"], words["auth"])
    finally:
        process.terminate()
        process.communicate()


def _bare_ms() -> float:
    """Start the runtime as a plain process, and have it run the function once; return how long that took."""
    with tempfile.TemporaryDirectory(prefix="dyncast-bench-") as folder:
        return asyncio.run(_bare(Path(folder)))


async def _bare(folder: Path) -> float:
    loop = asyncio.get_running_loop()
    ready, ended = loop.create_future(), loop.create_future()
    begun_s = time.perf_counter()
    argv = [str(view.interpreter()), "-S", "-E", "-B", str(view.RUNTIMES / "python_runtime.py")]
    child = Child(argv, folder / "socket", (), lambda: ready.set_result(None), ended.set_result)
    await ready
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(folder / "socket"))
        for path, document in (("/init", {"value": {"name": "f", "main": "main", "code": _SOURCE}}), ("/run", {})):
            body = json.dumps(document).encode()
            asked.sendall(b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
            asked.recv(1 << 16)
    took_ms = 1000 * (time.perf_counter() - begun_s)
    os.kill(child.pid, 9)
    await ended
    return took_ms


def _rows(settings: Settings) -> Iterator[Row]:
    if os.geteuid() != 0:
        raise Skipped("capability root is missing: containers need it here")
    present = [name for name in _SANDBOXES if shutil.which(name)]
    if not present:
        raise Skipped("capability crun is missing: no sandbox is installed")
    for sandbox in present:
        yield from _rows_of(sandbox, settings)


def _rows_of(sandbox: str, settings: Settings) -> Iterator[Row]:
    with _cluster(sandbox) as cluster:
        cluster.create()
        cluster.invoke()
        requests = 200 if settings.quick else 1000
        added = [median(cluster.added_ms() for _ in range(requests)) for _ in range(settings.rounds)]
        yield measure(
            f"warm activation ({sandbox})", "ms", added, note="p50 beyond the function's own time", goal=_WARM_GOAL
        )
        starts = 5 if settings.quick else 15
        yield compare(
            f"cold start ({sandbox})", "ms", lambda: median(cluster.cold_ms() for _ in range(starts)),
            lambda: median(_bare_ms() for _ in range(starts)), settings.rounds,
            note="p50; baseline: the same program bare", goal=_COLD_GOAL,
        )  # fmt: skip


BENCHMARK = Benchmark("faas", "what a cluster adds to a function, warm and cold", _rows)
