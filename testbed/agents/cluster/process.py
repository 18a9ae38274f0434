"""A cluster as a process: the core, its frontend and its containers, joined.

Owns the one timer, the order of start and end, and what is said of what this machine cannot limit.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from testbed.agents.cluster.alto_reports import AltoReports
from testbed.agents.cluster.config import ClusterConfig
from testbed.agents.cluster.containers import Containers, Place
from testbed.agents.cluster.delivery.carrier import Carrier
from testbed.agents.cluster.delivery.store import BlobStore
from testbed.agents.cluster.frontend import Frontend
from testbed.agents.cluster.function_metrics import FunctionMetrics
from testbed.agents.cluster.run_records import RunRecords
from testbed.agents.cluster.sandboxes import choice, view
from testbed.agents.cluster.sandboxes.control_groups import CONTROLLERS, ControlGroups
from testbed.agents.cluster.sandboxes.sandbox import Sandbox, SandboxError
from testbed.agents.cluster.shown_state import state_of
from testbed.agents.host.addresses import bound_at, url_of
from testbed.agents.host.shown_documents import ShownDocument
from testbed.faas.actions.action import resolved
from testbed.faas.activations.outcome import Failure, Reply
from testbed.faas.cluster import Cluster
from testbed.faas.delivery.manifest import Bounds, blob_of
from testbed.faas.delivery.settings import DeliverySettings
from testbed.faas.limits import MIB, ActionLimits, ClusterLimits
from testbed.faas.orders import Initialize, Order, Respond, Run, StartContainer, StopContainer
from testbed.faas.pool.container import Shape
from testbed.faas.pool.pool import PoolSettings
from testbed.faas.settings import ClusterSettings
from testbed.records.writer import RecordWriter
from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import ProcessFailure, announce_ready
from testbed.runtime.message_errors import to_stderr

_RUN_TAG, _RUN_OWNER = "DYNCAST_RUN", "DYNCAST_RUN_OWNER"
_END_WITHIN_S = 10.0
_STORE = "store"  # the folder in the cluster's for what is delivered


@dataclass(frozen=True)
class Ready:
    """What a cluster is, once it serves. `unlimited`: what its containers may use without a limit, for want of one."""

    url: str
    auth: str
    sandbox: str
    kinds: tuple[str, ...]
    unlimited: tuple[str, ...]


class ClusterProcess:
    """One cluster, from `begin` to `close`."""

    def __init__(
        self,
        config: ClusterConfig,
        sandbox: Sandbox,
        listening: socket.socket,
        store: BlobStore,
        records: RecordWriter | None = None,
    ) -> None:
        self._config = config
        self._listening = listening
        self._sandbox = sandbox
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._complained = ""
        self._kinds = view.kinds()
        self._url = url_of(listening)
        self._core = Cluster(_settings(config, self._url, self._kinds), time.time() - time.monotonic(), SystemRandom())
        self._core.deliveries.found(*store.found())
        self._store = store
        self._carrier = Carrier(self._core, store, self._perform)
        self._records = None if records is None else RunRecords(config, self._core, records)
        self._frontend = Frontend(self._core, self._perform, self._records, config.name if records else None)
        tag = os.environ.get(_RUN_TAG, "")
        variables = {_RUN_TAG: tag} if tag else {}
        group = f"dyncast-{tag}" if tag else f"dyncast-faas-{os.getpid()}"
        self._groups = ControlGroups(group, os.environ.get(_RUN_OWNER, ""))
        most_result_bytes, mark = _limits(config).result_bytes, f"{config.number}-" if config.number else ""
        place = Place(config.run_dir, group, variables, self._layer, config.cpus, most_result_bytes, mark)
        self._containers = Containers(sandbox, self._groups, place, self)
        self._reports = self._alto_reports(records)
        self._shown = None if config.state_file is None else ShownDocument(config.state_file)
        self._metrics = None if config.admin_port is None else FunctionMetrics(config.name, self._core)

    def _alto_reports(self, records: RecordWriter | None) -> AltoReports | None:
        to = self._config.alto
        return None if to is None else AltoReports(self._config, to, self._core, self._containers, records)

    async def begin(self) -> Ready:
        """Serve; return once it does."""
        await self._frontend.serve(self._listening)
        if self._metrics is not None and self._config.admin_port is not None:
            await self._metrics.serve(bound_at(self._config.address, self._config.admin_port))
        self._core.begin(time.monotonic())
        self._perform()
        if self._records is not None:
            self._records.begin()
        if self._reports is not None:
            self._reports.begin()
        unlimited = tuple(name for name in CONTROLLERS if name not in self._groups.limited)
        return Ready(self._url, self._config.auth, self._sandbox.name, self._kinds, unlimited)

    async def close(self) -> None:
        """End: all containers, then all connections; nothing is left in the cluster's folder."""
        if self._reports is not None:
            self._reports.close()
        self._core.close(time.monotonic())
        self._perform()
        await asyncio.gather(self._carrier.close(), self._containers.close(_END_WITHIN_S))
        self._perform()
        if self._timer is not None:
            self._timer.cancel()
        await self._frontend.close()
        if self._metrics is not None:
            await self._metrics.close()
        if self._records is not None:
            self._records.close()
        if self._shown is not None:
            self._shown.close()
            self._shown = None
        self._groups.close()

    # Reports of containers ----------------------------------------------------------------------------------------

    def on_started(self, container: int, now_s: float) -> None:
        """A container's runtime waits for code."""
        self._core.on_started(container, now_s)
        self._perform()

    def on_initialized(self, container: int, reply: Reply, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /init."""
        self._core.on_initialized(container, reply, logs, now_s)
        self._perform()

    def on_ran(self, container: int, reply: Reply, logs: tuple[str, ...], now_s: float) -> None:
        """A container answered to /run."""
        self._core.on_ran(container, reply, logs, now_s)
        self._perform()

    def on_ended(self, container: int, failure: Failure, detail: str, logs: tuple[str, ...], now_s: float) -> None:
        """A container is no more."""
        if failure is Failure.START and detail != self._complained:  # once, for those that follow fail alike
            self._complained = detail
            to_stderr(f"{self._config.name}: a container did not start: {detail}")
        self._core.on_ended(container, failure, detail, logs, now_s)
        self._perform()

    # Orders -------------------------------------------------------------------------------------------------------

    def _perform(self) -> None:
        while orders := self._core.take_orders():
            for order in orders:
                self._carry_out(order)
        for delivery in self._core.deliveries.take_ended():
            if self._records is not None:
                self._records.on_delivery(delivery)
        if self._records is not None:
            self._records.note_load()
        if self._shown is not None:
            self._shown.show(state_of(self._core, self._config.cpus))
        if self._metrics is not None:
            self._metrics.note_load()
        self._set_timer()

    def _carry_out(self, order: Order) -> None:
        match order:
            case Respond(number, answer):
                self._frontend.respond(number, answer)
            case StartContainer():
                # In a turn of its own: a start that fails at once reports back.
                self._loop.call_soon(self._containers.start, order)
            case Initialize():
                self._containers.initialize(order)
            case Run():
                self._containers.run(order)
            case StopContainer(number):
                self._loop.call_soon(self._containers.stop, number)
            case _:
                self._carrier.carry_out(order)

    def _layer(self, name: str) -> Path:
        """Return the folder of a layer by its full name: absolute, for a sandbox has a working folder of its own."""
        blob = blob_of(name)
        return (self._config.layers[name] if blob is None else self._store.layer(blob)).absolute()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_s = self._core.next_timer_s()
        self._timer = None if due_s is None else self._loop.call_at(due_s, self._on_timer)

    def _on_timer(self) -> None:
        self._core.on_timer(max(time.monotonic(), self._core.next_timer_s() or 0.0))
        self._perform()


async def serve(
    config: ClusterConfig,
    announce: Callable[[Ready], None],
    ended: asyncio.Event,
    records: RecordWriter | None = None,
) -> None:
    """Serve a cluster until `ended`; `records` are those of its run.

    Raises ConfigError, ProcessFailure or SandboxError.
    """
    _check(config)
    state = config.run_dir / choice.STATE
    state.mkdir(exist_ok=True)
    try:
        with bound_at(config.address, config.port) as listening:
            sandbox = await choice.choose(config.sandbox, config.run_dir)
            store = BlobStore(config.store_dir or config.run_dir / _STORE, is_kept=config.store_dir is not None)
            try:
                process = ClusterProcess(config, sandbox, listening, store, records)
                await _run(process, announce, ended)
            finally:
                store.close()
    finally:
        shutil.rmtree(state, ignore_errors=True)


async def _run(process: ClusterProcess, announce: Callable[[Ready], None], ended: asyncio.Event) -> None:
    try:
        announce(await process.begin())
        await ended.wait()
    finally:
        await asyncio.shield(process.close())


async def serve_in_run(config: ClusterConfig, records: RecordWriter) -> None:
    """Serve a cluster of a run until this is cancelled. Raises ConfigError or ProcessFailure."""
    try:
        await serve(config, lambda _ready: announce_ready(config), asyncio.Event(), records=records)
    except SandboxError as error:
        raise ProcessFailure(str(error)) from error


def _check(config: ClusterConfig) -> None:
    kinds = view.kinds()
    for kind in config.prewarmed:
        if resolved(kind) not in kinds:
            raise ConfigError(f"prewarmed.{kind} is no runtime here; there are: {', '.join(kinds)}")
    for name, folder in config.layers.items():
        if not folder.is_dir():
            raise ConfigError(f"layers.{name} must be a folder that exists, not {str(folder)!r}")
        if "/" in name or "@" in name or name.startswith("."):
            raise ConfigError(f"layers.{name} must be a plain name")


def _limits(config: ClusterConfig) -> ClusterLimits:
    least, most = ClusterLimits().memory_mb
    return ClusterLimits(
        memory_mb=(least, max(least, min(most, config.memory_mb))),
        per_minute=config.per_minute,
        concurrent=config.concurrent,
    )


def _settings(config: ClusterConfig, url: str, kinds: tuple[str, ...]) -> ClusterSettings:
    limits = _limits(config)
    memory_mb = min(ActionLimits().memory_mb, limits.memory_mb[1])
    return ClusterSettings(
        key=config.key,
        api_host=url,
        kinds=kinds,
        layers=frozenset(config.layers),
        pool=PoolSettings(
            memory_mb=config.memory_mb,
            slots=config.slots,
            queue=config.queue,
            keep_alive_s=config.keep_alive_s,
            prewarmed={Shape(resolved(kind), (), memory_mb): count for kind, count in config.prewarmed.items()},
        ),
        limits=limits,
        delivery=DeliverySettings(
            most_octets=config.store_mb * MIB,
            at_once=config.deliveries,
            fetches=config.fetches,
            deadline_s=config.delivery_deadline_s,
            stalled_s=config.delivery_stalled_s,
            bounds=Bounds(code_octets=limits.code_bytes),
        ),
    )


__all__ = ["ClusterProcess", "Ready", "SandboxError", "serve"]
