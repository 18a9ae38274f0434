"""A service instance that is somebody else's program: `python -m testbed.agents.command_instance CONFIG.json`.

Owns the composition (docs/processes.md, "Command instance"): the command, whether it serves, its figures at the admin
port, its tables. To D-MAs and faults it is an instance like any other: it is there once its admin port is, drains on
request, and crashes when the command ends by itself. Knows nothing of what the command does.
"""

from __future__ import annotations

import asyncio
import http
import os
import sys
from collections import Counter
from socket import SOCK_STREAM

from testbed.agents.command_instance.config import APPLICATION_COUNTS, ApplicationMetrics, CommandConfig
from testbed.agents.command_instance.json_metrics import UnreadableFigures, fetch, read
from testbed.agents.host.addresses import bound_socket
from testbed.agents.host.cpu_limit import CpuLimit
from testbed.agents.host.flow_tap import FlowTap, TappedFlows
from testbed.agents.host.resource_use import ResourceUse, cores_available, memory_limit_bytes
from testbed.agents.host.socket_table import connections, is_open
from testbed.agents.host.state_socket import StateSocket
from testbed.agents.http import client
from testbed.agents.http.admin import AdminService
from testbed.agents.http.server import HttpServer
from testbed.records import control_rows
from testbed.records.writer import RecordWriter
from testbed.runtime.child_command import Command, how_it_ended
from testbed.runtime.lifecycle import ProcessFailure, announce_ready
from testbed.runtime.message_errors import MessageErrors

_GRACE_S = 2.0  # of the three seconds in which a process of a run ends
_LOOK_S = 0.05
_ASK_LIMIT_S = 1.0


class CommandInstance:
    """One command, from `open` to `close`."""

    def __init__(self, config: CommandConfig, records: RecordWriter) -> None:
        self._config = config
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._tap = _tapped(config)
        self._flows = TappedFlows(config.name, config.service, config.protocol)
        self._limit = CpuLimit(config.name, config.cpu_limit) if config.cpu_limit else None
        self._command: Command | None = None
        self._admin: HttpServer | None = None
        self._reported: dict[str, float] = {}
        self._complaint = ""
        self._errors = MessageErrors(Counter())
        self._state = "up"
        self._states = StateSocket(self.set_state)
        self._cores = config.cpu_limit or cores_available()
        self._use = ResourceUse(self._cores, self._loop.time(), 0.0)
        self._memory_limit_bytes = memory_limit_bytes()

    async def open(self) -> None:
        """Start the command, wait until it serves, take the admin port. Raises ProcessFailure."""
        config = self._config
        for sock in self._tap.sockets:
            self._loop.add_reader(sock, self._look)
        environment = dict(item.split("=", 1) for item in config.environment)
        self._command = Command([*config.within, *config.argv], config.folder, environment, self._enter_limit)
        await self._wait_until_it_serves(self._command)
        await self._ask(config.application)
        self._admin = HttpServer(AdminService(self.metrics).handle, errors=self._errors)
        await self._admin.serve(bound_socket(SOCK_STREAM, config.admin_port, "admin_port"))
        await self._states.serve(config.admin_port)

    async def serve(self) -> None:
        """Write a row of load each sample interval, and what has ended since. Raises ProcessFailure at its end."""
        assert self._command is not None and self._admin is not None
        due_s = self._loop.time()
        while True:
            due_s += self._config.sample_interval_s
            code = await self._command.wait(max(0.0, due_s - self._loop.time()))
            if code is not None:
                raise self._crash(self._command, code)
            await self._ask(self._config.application)
            now_s = self._loop.time()
            self._write_load(self._command, now_s)
            self._write_flows(self._flows.due_rows(now_s))
            self._admin.close_idle(now_s)
            self._records.flush()

    async def close(self) -> None:
        """End the command and all that it started; write what is left to write."""
        if self._command is not None:
            self._write_load(self._command, self._loop.time())
            self._command.end(_GRACE_S)
        self._states.close()
        if self._admin is not None:
            await self._admin.close()
        self._look()
        self._write_flows(self._flows.all_rows())
        counters = self._errors.counters
        counters["flow_packets_unseen"] += self._tap.dropped  # then `affinity` is not the whole truth
        counters["flow_packets_malformed"] += self._tap.malformed
        for row in control_rows.local(self._loop.time(), self._config.name, +counters):
            self._records.write("control", row)
        self._tap.close()
        if self._limit is not None:
            self._limit.remove()

    def metrics(self) -> dict[str, object]:
        """Return the L0 metrics of the moment, as the admin port has them; reported ones go first."""
        assert self._command is not None
        config, figures = self._config, self._figures()
        service_time_s = figures["service_time_ms"] / 1e3
        return {
            "instance": config.name,
            "service": config.service,
            "state": self._state,
            "workers": config.workers,
            "queue_limit": config.queue_limit,
            "cpu_utilisation": round(self._use.cpu_utilisation, 6),
            "memory_bytes": self._command.memory_bytes(),
            "memory_limit_bytes": self._memory_limit_bytes,
            "capacity_per_s": round(config.workers / service_time_s, 6) if service_time_s else 0,
            "throughput_bps": round(self._use.throughput_bps),
            **figures,
        }

    def set_state(self, state: str) -> None:
        """Say from now on that it is `up` or `draining`; what is served goes on either way."""
        self._state = state

    def _figures(self) -> dict[str, float]:
        workers = self._config.workers
        self._look()
        sessions = self._flows.active(self._loop.time())
        if self._config.protocol == "tcp":
            sessions = connections(self._config.port)
        sessions = int(self._reported.get("sessions", sessions))  # the next two follow from what it reports
        return {
            "busy_workers": min(workers, sessions),
            "queue_length": max(0, sessions - workers),
            "sessions": sessions,
            "sessions_started": self._flows.started,
            # What its workers could use at most is a core each.
            "utilisation": round(min(1.0, self._use.cpu_utilisation * self._cores / workers), 6),
            "service_time_ms": self._config.service_time_ms,
            "completed": self._flows.ended,
            "refused": 0,
            **self._reported,
        }

    def _enter_limit(self) -> None:
        if self._limit is not None:
            self._limit.add(os.getpid())

    def _look(self) -> None:
        self._flows.note(self._tap.read())

    async def _wait_until_it_serves(self, command: Command) -> None:
        ready = self._config.ready
        deadline_s = self._loop.time() + ready.timeout_s
        while not await self._serves(command):
            code = await command.wait(_LOOK_S)
            if code is not None:
                raise self._crash(command, code)
            if self._loop.time() > deadline_s:
                raise ProcessFailure(
                    f"{self._config.argv[0]} was not ready after {ready.timeout_s:g} s ({self._sign()}); "
                    f"raise ready.timeout_s if it takes longer. Its last words: {command.last_words()} "
                    f"(all of them in {command.output})"
                )

    async def _serves(self, command: Command) -> bool:
        ready = self._config.ready
        if ready.expression is not None:
            return ready.expression.search(command.said()) is not None
        if not is_open(self._config.protocol, self._config.port):
            return False
        return ready.http is None or await asyncio.to_thread(_answers, self._config, ready.http)

    def _sign(self) -> str:
        ready = self._config.ready
        if ready.output is not None:
            return f"its output has nothing like {ready.output!r}"
        if ready.http is not None:
            return f"no good answer to GET {ready.http} at port {self._config.port}"
        return f"nobody listens at {self._config.protocol} port {self._config.port}"

    def _crash(self, command: Command, code: int) -> ProcessFailure:
        return ProcessFailure(
            f"{self._config.argv[0]} ended by itself, {how_it_ended(code)}: {command.last_words()} "
            f"(all it said: {command.output})"
        )

    async def _ask(self, application: ApplicationMetrics | None) -> None:
        """Ask the application for its figures; without an answer the former ones are dropped."""
        if application is None:
            return
        try:
            document = await asyncio.to_thread(fetch, application.url, _ASK_LIMIT_S)
            figures, complaint = read(document, application.pointers), ""
            self._reported = {
                metric: int(value) if metric in APPLICATION_COUNTS else value for metric, value in figures.items()
            }
            if "utilisation" in self._reported:
                self._reported["utilisation"] = min(1.0, self._reported["utilisation"])
        except (UnreadableFigures, OSError) as error:
            self._reported, complaint = {}, f"{application.url}: {error}; its figures are taken from /proc meanwhile"
        if complaint and complaint != self._complaint:
            print(complaint, file=sys.stderr, flush=True)
        self._complaint = complaint

    def _write_load(self, command: Command, now_s: float) -> None:
        cpu_s = command.cpu_s()
        self._use.sample(now_s, cpu_s)
        figures = self._figures()
        columns = ("busy_workers", "queue_length", "sessions", "utilisation", "completed", "refused")
        self._records.write(
            "instances",
            {
                "time_s": now_s,
                "instance": self._config.name,
                "service": self._config.service,
                "site": self._config.site,
                "workers": self._config.workers,
                **{column: figures[column] for column in columns},
                "cpu_s": cpu_s,
            },
        )

    def _write_flows(self, rows: list[dict[str, object]]) -> None:
        for row in rows:
            self._records.write("affinity", row)


def _tapped(config: CommandConfig) -> FlowTap:
    try:
        return FlowTap(config.protocol, config.port)
    except OSError as error:
        raise ProcessFailure(f"cannot look at packets to port {config.port}: {error.strerror}; run as root") from error


def _answers(config: CommandConfig, path: str) -> bool:
    try:
        return client.get(str(config.host), config.port, path, _ASK_LIMIT_S).status < http.HTTPStatus.BAD_REQUEST
    except (OSError, client.BadAnswer):
        return False


async def serve(config: CommandConfig, records: RecordWriter) -> None:
    """Be an instance until cancelled, or until the command ends."""
    instance = CommandInstance(config, records)
    try:
        await instance.open()
        announce_ready(config)
        await instance.serve()
    finally:
        await instance.close()
