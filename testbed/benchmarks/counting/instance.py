"""A service instance that counts what reaches it and reports what load it likes.

`python -m testbed.benchmarks.counting.instance CONFIG` starts it. For benchmarks and tests that ask which
instance saw which packet, or how soon metrics are obeyed. It keeps the contract of a service instance
(docs/processes.md) with D-MA and runner; in place of serving it counts datagrams to UDP_PORT and what comes on
connections to its HTTP port, in `<name>.<life>.ledger`. As metrics it reports other figures at each poll, until
`PUT /load/<sessions>` at the admin port fixes them; the answer is the time since when.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

from testbed.agents.host.addresses import bound_socket
from testbed.agents.host.state_socket import StateSocket
from testbed.agents.http.admin import AdminService
from testbed.agents.http.protocol import Request
from testbed.agents.http.server import HttpConnection, HttpServer, Response
from testbed.benchmarks.counting.flow_ledger import TCP, UDP, FlowLedger
from testbed.records.writer import RecordWriter
from testbed.runtime.document import ProcessConfig
from testbed.runtime.forms import Count, Port, Size
from testbed.runtime.lifecycle import announce_ready, run_recorded

UDP_PORT = 5004
LOAD_PATH = "/load/"
_MOST_DATAGRAMS_AT_ONCE = 500  # then the admin port has its turn
_BUFFER_BYTES = 64 << 20
_SO_RCVBUFFORCE = 33
_SERVICE_TIME_MS = 10.0


def ledger_path(folder: Path, name: str, life: int) -> Path:
    """Return the ledger of an instance in its first, second, … life."""
    return folder / f"{name}.{life}.ledger"


@dataclass(frozen=True)
class CountingConfig(ProcessConfig):
    """A counting instance; `load` is what it reports from its start, None: at random."""

    seed: int
    http_port: Port
    admin_port: Port
    workers: Count
    queue_limit: Size
    load: int | None


class CountingInstance:
    """One instance, from `open` on."""

    def __init__(self, config: CountingConfig, records: RecordWriter) -> None:
        self._config = config
        self._records = records
        path = next(path for life in count(1) if not (path := ledger_path(config.out_dir, config.name, life)).exists())
        self._ledger = FlowLedger(path)
        self._rng = Random(f"{config.seed} {path.name}")
        self._admin = AdminService(self._metrics)
        self._states = StateSocket(self._set_state)
        self._state = "up"
        self._sessions = config.load
        self._started = 0

    async def open(self) -> None:
        """Take the ports; the row of `instances` says when."""
        loop, config = asyncio.get_running_loop(), self._config
        datagrams = bound_socket(socket.SOCK_DGRAM, UDP_PORT, "port")
        datagrams.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        loop.add_reader(datagrams, self._receive, datagrams)
        connections = bound_socket(socket.SOCK_STREAM, config.http_port, "http_port")
        await loop.create_server(lambda: _Connection(self._ledger), sock=connections)
        await HttpServer(self._administer).serve(bound_socket(socket.SOCK_STREAM, config.admin_port, "admin_port"))
        await self._states.serve(config.admin_port)
        self._records.write("instances", {"time_s": loop.time(), "instance": config.name})
        self._records.flush()

    def _receive(self, datagrams: socket.socket) -> None:
        receive, add, buffer = datagrams.recvfrom_into, self._ledger.count, bytearray(1)
        now_ns = time.monotonic_ns()
        try:
            for _ in range(_MOST_DATAGRAMS_AT_ONCE):
                add(UDP, receive(buffer)[1][1], now_ns)
        except BlockingIOError:
            pass

    def _administer(self, request: Request, connection: HttpConnection) -> None:
        if request.method == "PUT" and request.path.startswith(LOAD_PATH):
            self._sessions = int(request.path.removeprefix(LOAD_PATH))
            connection.respond(Response(200, body=f"{time.monotonic():.6f}\n".encode()))
        else:
            self._admin.handle(request, connection)

    def _set_state(self, state: str) -> None:
        self._state = state

    def _metrics(self) -> dict[str, object]:
        config = self._config
        room = config.workers + config.queue_limit
        sessions = self._rng.randrange(room) if self._sessions is None else self._sessions
        self._started += sessions
        busy = min(sessions, config.workers)
        return {
            "state": self._state,
            "workers": config.workers,
            "busy_workers": busy,
            "queue_length": sessions - busy,
            "queue_limit": config.queue_limit,
            "sessions": sessions,
            "sessions_started": self._started,
            "utilisation": busy / config.workers,
            "service_time_ms": _SERVICE_TIME_MS,
            "cpu_utilisation": 0.0,
            "memory_bytes": 0,
            "memory_limit_bytes": 0,
            "capacity_per_s": 0.0,
            "throughput_bps": 0.0,
        }


class _Connection(asyncio.Protocol):
    """Counts what it gets: segments, or fewer where the kernel had several waiting."""

    def __init__(self, ledger: FlowLedger) -> None:
        self._ledger = ledger
        self._src_port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._src_port = transport.get_extra_info("peername")[1]
        self.data_received(b"")

    def data_received(self, _: bytes) -> None:
        self._ledger.count(TCP, self._src_port, time.monotonic_ns())


async def serve(config: CountingConfig, records: RecordWriter) -> None:
    """Be an instance until cancelled."""
    await CountingInstance(config, records).open()
    announce_ready(config)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    sys.exit(run_recorded(CountingConfig, serve, sys.argv))
