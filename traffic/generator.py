"""The traffic generator: the process that plays one client (docs/processes.md, "Generator").

Owns the process: configuration in, the workloads' loads started on one schedule, rows and a summary out. Runs
inside the client's namespace on the standard library alone. What a flow is, its load knows.

It ends by itself when every flow has its row. `<out_dir>/<name>.generator.json` then says, for the verdict on
a run's fidelity, what was requested, what was achieved, and how late it was sent.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from testbed.records.file_names import file_name
from testbed.records.writer import RecordWriter
from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import announce_ready, run_recorded
from traffic import workloads
from traffic.arrivals.schedule import Schedule
from traffic.config import GeneratorConfig
from traffic.destination import Destination, FixedDestination, NamedDestination
from traffic.flow_log import FlowLog
from traffic.loads.call_load import CallLoad
from traffic.loads.http_load import HttpLoad
from traffic.loads.rtp_load import RtpLoad
from traffic.sockets import SocketSource, raise_descriptor_limit
from traffic.workloads import AnyWorkload, CallWorkload, HttpWorkload, InvokeWorkload

if TYPE_CHECKING:
    from traffic.loads.invoke_load import InvokeLoad

_FLUSH_INTERVAL_S = 1.0


class Generator:
    """All loads of one client on one schedule."""

    def __init__(self, config: GeneratorConfig, sockets: SocketSource, records: RecordWriter) -> None:
        self._config = config
        self._sockets = sockets
        self._records = records
        self._schedule = Schedule()
        self._logs: list[FlowLog] = []
        self._loads: list[HttpLoad | RtpLoad | CallLoad | InvokeLoad] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._named: dict[tuple[str, int], NamedDestination] = {}  # by host name and IP version
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Send everything, then return; when cancelled, record what is outstanding and return early."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._fail)
        for workload in workloads.read(self._config):
            self._add_load(workload, loop)
        # What is loaded by now stays: the collector need not walk it again and make packets late.
        gc.collect()
        gc.freeze()
        announce_ready(self._config)
        self._schedule.add(self._config.start_s, self._flush)
        self._wake(loop)
        self._end_if_complete()
        is_interrupted = False
        try:
            await self._ended.wait()
        except asyncio.CancelledError:
            is_interrupted = True
        if self._failure is not None:
            raise self._failure
        now_s = time.monotonic()
        for load in self._loads:
            load.interrupt(now_s)
        for close in self._closing:
            await close()
        for named in self._named.values():
            named.close()
        self._write_summary(now_s, is_interrupted)

    def _add_load(self, workload: AnyWorkload, loop: asyncio.AbstractEventLoop) -> None:
        load: HttpLoad | RtpLoad | CallLoad | InvokeLoad
        proto = "tcp" if isinstance(workload, HttpWorkload | InvokeWorkload) else "udp"
        log = FlowLog(self._config, workload, proto, self._records, self._end_if_complete)
        common = (log, self._sockets, self._schedule, loop, self._destination(workload, loop))
        if isinstance(workload, InvokeWorkload):
            from traffic.loads.invoke_load import InvokeLoad  # brings an HTTP library that others do not need

            load = InvokeLoad(workload, *common[:-1])
            self._closing.append(load.close)
        elif isinstance(workload, HttpWorkload):
            load = HttpLoad(workload, *common)
        elif isinstance(workload, CallWorkload):
            load = CallLoad(workload, *common)
        else:
            load = RtpLoad(workload, *common)
        load.begin(self._config.start_s)
        self._logs.append(log)
        self._loads.append(load)

    def _destination(self, workload: AnyWorkload, loop: asyncio.AbstractEventLoop) -> Destination:
        if workload.host_name is None or self._config.name_server is None:
            return FixedDestination(workload.d_sid)
        from traffic.name_lookup import NameLookup  # brings a DNS library that others do not need

        key = workload.host_name, workload.d_sid.version
        if key not in self._named:  # a client remembers a name once, whatever it is for
            lookup = NameLookup(self._config, self._config.name_server, self._records).of(workload.service, *key)
            self._named[key] = NamedDestination(lookup, loop, partial(self._wake_now, loop))
        return self._named[key]

    def _wake_now(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the schedule, which something was put on while the timer was set for something later."""
        if self._timer is not None:
            self._timer.cancel()
        self._wake(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do what is due, and set the timer for what is due next."""
        self._schedule.run(time.monotonic())
        next_s = self._schedule.next_due_s
        if next_s is not None:
            self._timer = loop.call_at(next_s, self._wake, loop)

    def _flush(self, now_s: float) -> float:
        self._records.flush()
        return now_s + _FLUSH_INTERVAL_S

    def _end_if_complete(self) -> None:
        if all(log.is_complete for log in self._logs):
            self._ended.set()

    def _fail(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the process when a callback fails: asyncio would only log it, and rows would be missing."""
        self._failure = self._failure or context.get("exception") or RuntimeError(context["message"])
        self._ended.set()

    def _write_summary(self, now_s: float, is_interrupted: bool) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        summary = {
            "name": self._config.name,
            "client": self._config.client,
            "start_s": self._config.start_s,
            "finished_s": now_s,
            "interrupted": is_interrupted,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "workloads": {log.name: log.summary() for log in self._logs},
        }
        path = self._config.out_dir / f"{file_name(self._config.name)}.generator.json"
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


async def generate(config: GeneratorConfig, records: RecordWriter) -> None:
    """Be the generator until every flow has its row, or until cancelled."""
    sockets = SocketSource(config.source, min(raise_descriptor_limit(), config.max_sockets or sys.maxsize))
    try:
        sockets.check()
    except OSError as error:
        raise ConfigError(f"source: cannot bind to it here: {error.strerror}") from error
    await Generator(config, sockets, records).run()


if __name__ == "__main__":
    sys.exit(run_recorded(GeneratorConfig, generate, sys.argv))
