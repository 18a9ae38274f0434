"""A cluster's reports to an ALTO server: what it has, what of it is in use, what it holds; once in each interval.

Owns the socket, the timer, and what becomes of the core's figures on the way into a report (`testbed.alto.reports`).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

from testbed.agents.cluster.config import AltoReportsConfig, ClusterConfig
from testbed.agents.cluster.containers import Containers
from testbed.agents.host.process_trees import TreeUse
from testbed.agents.host.resource_use import cores_available
from testbed.alto.reports import codec
from testbed.alto.reports.messages import Held, HeldBlob, HeldFunction, Origin, Resources, Runtime
from testbed.alto.reports.schedule import Schedule
from testbed.faas.cluster import Cluster
from testbed.faas.delivery.blobs import octets_of
from testbed.faas.pool.usage import Usage
from testbed.records import control_rows
from testbed.records.writer import RecordWriter

KIND = "alto_report"  # of a message, in the count of what was sent


class AltoReports:
    """The reports of one cluster, from `begin` to `close`."""

    def __init__(
        self,
        config: ClusterConfig,
        to: AltoReportsConfig,
        core: Cluster,
        containers: Containers,
        records: RecordWriter | None,
    ) -> None:
        self._config, self._to, self._core, self._containers = config, to, core, containers
        self._records = records
        start_s = time.monotonic()
        self._epoch = round(start_s * 1e6)
        self._schedule = Schedule(config.name, to.interval_s, start_s)
        self._sequence = 0
        self._cpu = TreeUse()
        self._measured_s = start_s
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent = self._sent_bytes = self._unsent = 0

    def begin(self) -> None:
        """Report from now on. Raises OSError."""
        self._socket = socket.socket(
            socket.AF_INET6 if self._config.address.version == 6 else socket.AF_INET, socket.SOCK_DGRAM
        )
        self._socket.setblocking(False)
        self._socket.bind((str(self._config.address), 0))  # from the address that the server knows
        self._set_timer()

    def close(self) -> None:
        """Report no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._schedule.next_s, self._on_timer)

    def _on_timer(self) -> None:
        now_s = time.monotonic()
        if self._schedule.take_due(max(now_s, self._schedule.next_s)):
            self._report(now_s)
        self._set_timer()

    def _report(self, now_s: float) -> None:
        usage = self._core.usage()
        origin = Origin(self._config.name, self._epoch, self._sequence + 1, now_s)
        for part in codec.cluster_parts(origin, self._resources(usage, now_s), self._held(usage)):
            self._sequence = part.origin.sequence
            self._send(codec.encode(part))
        if self._records is not None:
            self._write(self._records, now_s)

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        address, port = self._to.server
        try:
            self._socket.sendto(data, (str(address), port))
        except OSError:  # no route, a full queue: as lost as any datagram
            self._unsent += 1
        else:
            self._sent += 1
            self._sent_bytes += len(data)

    def _write(self, records: RecordWriter, now_s: float) -> None:
        sent = {"direction": "sent", "peer": "alto", "kind": KIND, "messages": self._sent, "bytes": self._sent_bytes}
        records.write("control", {"time_s": now_s, "node": self._config.name, **sent})
        if self._unsent:
            for row in control_rows.local(now_s, self._config.name, {"messages_unsent": self._unsent}):
                records.write("control", row)

    def _resources(self, usage: Usage, now_s: float) -> Resources:
        over_s, self._measured_s = now_s - self._measured_s, now_s
        used_s = self._cpu.used_s(self._containers.pids)
        pool = self._core.settings.pool
        return Resources(
            cpus=min(self._config.cpus * pool.slots, cores_available()),
            cpus_used=used_s / over_s if over_s > 0 else 0.0,
            over_s=over_s,
            memory_mb=pool.memory_mb,
            memory_used_mb=usage.busy_memory_mb,
            slots=pool.slots,
            slots_used=usage.busy,
            waiting=self._core.waiting,
            queue=pool.queue,
        )

    def _held(self, usage: Usage) -> Iterator[Held]:
        for kind in self._core.settings.kinds:
            yield Runtime(kind, usage.prewarmed.get(kind, 0))
        deliveries = self._core.deliveries
        for name, digest in deliveries.functions.items():
            yield HeldFunction(octets_of(digest), usage.warm.get(name, 0), usage.run_s.get(name))
        for digest in sorted({blob.digest for blob in deliveries.blobs}):
            yield HeldBlob(octets_of(digest))
