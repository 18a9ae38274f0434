"""The service instance: `python -m testbed.agents.instance CONFIG.json` (docs/processes.md).

Owns the composition of one instance (workers, HTTP, RTP, admin port) and its tables. A compute instance of
draft-li-rtgwg-dyncast-architecture: reachable at its D-BID, equal to the others of its D-SID.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Iterable
from random import Random
from socket import SOCK_STREAM

from testbed.agents.host.addresses import bound_socket
from testbed.agents.host.flow_ledger import FlowLedger
from testbed.agents.host.resource_use import ResourceUse, cores_available, memory_bytes, memory_limit_bytes
from testbed.agents.host.state_socket import StateSocket
from testbed.agents.http.admin import AdminService
from testbed.agents.http.server import HttpServer
from testbed.agents.instance.config import InstanceConfig
from testbed.agents.instance.http_service import HttpService
from testbed.agents.instance.processor import ClockProcessor, Processor
from testbed.agents.instance.rtp_service import RtpService
from testbed.agents.instance.state_publisher import StatePublisher, WatchedProcessor
from testbed.dyncast_io.shared_state import Figures, TrueState
from testbed.records import control_rows
from testbed.records.writer import RecordWriter
from testbed.runtime.lifecycle import announce_ready
from testbed.runtime.message_errors import MessageErrors

_MAX_OPEN_FILES = 65_536


class Instance:
    """One service instance, from `open` to `close`."""

    def __init__(self, config: InstanceConfig, records: RecordWriter) -> None:
        self._config = config
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._flows = FlowLedger(config.name, config.service)
        # A generator each, so that the packets of a call never shift what the jobs draw.
        self._job_rng = Random(f"{config.seed} {config.name} jobs")
        self._packet_rng = Random(f"{config.seed} {config.name} packets")
        self._processor: Processor = self._start_processor()
        self._publisher: StatePublisher | None = None
        if config.true_state is not None:
            config.true_state.file.parent.mkdir(exist_ok=True)
            shared = TrueState(config.true_state.file, config.true_state.ingresses)
            self._publisher = StatePublisher(shared, self._figures)
            self._processor = WatchedProcessor(self._processor, self._publisher.note_change)
        self._http_servers: list[HttpServer] = []
        self._http: HttpService | None = None
        self._rtp: list[RtpService] = []  # one per medium, two ports each
        cores = config.cpu_limit or cores_available()
        self._use = ResourceUse(cores, self._loop.time(), self._cpu_s())
        self._memory_limit_bytes = memory_limit_bytes()
        self._state = "up"
        self._states = StateSocket(self.set_state)
        self._errors = MessageErrors(Counter())

    async def open(self) -> None:
        """Take the ports and serve. Raises ProcessFailure if one is taken."""
        config = self._config
        admin = AdminService(self.metrics)
        await self._serve_http(config.admin_port, "admin_port", HttpServer(admin.handle, errors=self._errors))
        await self._states.serve(config.admin_port)
        if config.http_port is not None:
            work = config.service_time.distribution
            self._http = HttpService(config.name, self._processor, lambda: work.draw_s(self._job_rng))
            server = HttpServer(self._http.handle, self._flows.ended, self._http.count_bad_request, self._errors)
            await self._serve_http(config.http_port, "http_port", server)
        if config.rtp_port is not None:
            for port in range(config.rtp_port, config.rtp_port + 2 * config.rtp_pairs, 2):
                self._rtp.append(self._serve_rtp(port))
        if self._publisher:
            self._publisher.publish()

    async def serve(self) -> None:
        """Write a row of load each sample interval, and what has ended since; never returns."""
        due_s = self._loop.time()
        while True:
            due_s += self._config.sample_interval_s
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            now_s = self._loop.time()
            self._processor.check()
            self._write_load(now_s)
            if self._publisher:
                self._publisher.publish()  # for streams that fell silent: nothing else shows that
            self._write("affinity", self._flows.due_rows(now_s))
            for service in self._rtp:
                self._write("rtp", service.streams.due_rows(now_s))
            for server in self._http_servers:
                server.close_idle(now_s)
            self._records.flush()

    async def close(self) -> None:
        """Stop serving and write what is left to write."""
        try:
            self._write_load(self._loop.time())
            for service in self._rtp:
                service.close()
                self._write("rtp", service.streams.all_rows())
            self._states.close()
            for server in self._http_servers:
                await server.close()
            self._write("affinity", self._flows.all_rows())
            counters = self._errors.counters + Counter(packets_unsent=self._unsent())
            self._write("control", control_rows.local(self._loop.time(), self._config.name, counters))
        finally:
            self._processor.close()

    def metrics(self) -> dict[str, object]:
        """Return the L0 metrics of the moment, as the admin port has them."""
        load = self._processor.load()
        malformed = sum(service.malformed for service in self._rtp)
        return {
            "instance": self._config.name,
            "service": self._config.service,
            "state": self._state,
            "workers": self._config.workers,
            "busy_workers": load.busy_workers,
            "queue_length": load.queue_length,
            "queue_limit": self._config.queue_limit,
            "sessions": self._sessions(),
            "sessions_started": self._sessions_started(),
            "utilisation": round(load.utilisation, 6),
            "service_time_ms": round(load.service_time_s * 1e3, 6),
            "completed": load.completed,
            "refused": load.refused,
            "cpu_utilisation": round(self._use.cpu_utilisation, 6),
            "memory_bytes": memory_bytes(),
            "memory_limit_bytes": self._memory_limit_bytes,
            "capacity_per_s": round(self._config.workers / load.service_time_s, 6) if load.service_time_s else 0,
            "throughput_bps": round(self._use.throughput_bps),
            "malformed": malformed + (self._http.bad_requests if self._http else 0),
            "abandoned": self._http.abandoned if self._http else 0,
            "unsent": self._unsent(),
        }

    def set_state(self, state: str) -> None:
        """Say from now on that it is `up` or `draining`; what is served goes on either way."""
        self._state = state

    def _start_processor(self) -> Processor:
        config = self._config
        expected_s = (config.service_time if config.http_port is not None else config.packet_time).distribution.mean_s
        if config.mode == "clock":
            return ClockProcessor(config.workers, config.queue_limit, config.speed, expected_s)
        from testbed.agents.instance.burn import BurnProcessor  # only who burns needs it

        return BurnProcessor(
            config.name, config.workers, config.queue_limit, config.speed, expected_s, config.cpu_limit
        )

    def _serve_rtp(self, port: int) -> RtpService:
        config = self._config
        return RtpService(
            config.name,
            self._packet_rng.getrandbits(32),
            port,
            self._processor,
            lambda: config.packet_time.distribution.draw_s(self._packet_rng),
            self._flows,
            self._errors,
        )

    async def _serve_http(self, port: int, purpose: str, server: HttpServer) -> None:
        await server.serve(bound_socket(SOCK_STREAM, port, purpose))
        self._http_servers.append(server)

    def _figures(self) -> Figures:
        load, config = self._processor.load(), self._config
        return Figures(
            config.workers, load.busy_workers, load.queue_length, config.queue_limit, self._sessions(),
            self._sessions_started(), load.utilisation, load.service_time_s,
        )  # fmt: skip

    def _sessions(self) -> int:
        jobs = self._http.jobs_in_system if self._http else 0
        return jobs + sum(service.streams.active(self._loop.time()) for service in self._rtp)

    def _sessions_started(self) -> int:
        jobs = self._http.jobs_started if self._http else 0
        return jobs + sum(service.streams.started for service in self._rtp)

    def _cpu_s(self) -> float:
        return time.process_time() + self._processor.cpu_s()

    def _write_load(self, now_s: float) -> None:
        load, cpu_s = self._processor.load(), self._cpu_s()
        self._use.sample(now_s, cpu_s)
        self._records.write(
            "instances",
            {
                "time_s": now_s,
                "instance": self._config.name,
                "service": self._config.service,
                "site": self._config.site,
                "workers": self._config.workers,
                "busy_workers": load.busy_workers,
                "queue_length": load.queue_length,
                "sessions": self._sessions(),
                "utilisation": load.utilisation,
                "completed": load.completed,
                "refused": load.refused,
                "cpu_s": cpu_s,
            },
        )

    def _unsent(self) -> int:
        return sum(service.unsent for service in self._rtp)

    def _write(self, table: str, rows: Iterable[dict[str, object]]) -> None:
        for row in rows:
            self._records.write(table, row)


async def serve(config: InstanceConfig, records: RecordWriter) -> None:
    """Be an instance until cancelled."""
    _allow_many_connections()
    instance = Instance(config, records)
    try:
        await instance.open()
        announce_ready(config)
        await instance.serve()
    finally:
        await instance.close()


def _allow_many_connections() -> None:
    present, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _MAX_OPEN_FILES)
    if present != resource.RLIM_INFINITY and present < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
