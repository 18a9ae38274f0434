"""Carries out what deliveries order: fetches, checks, unpacks and removes, and reports.

Owns that orders for one blob are carried out one after the other, and the threads for what blocks. What to do next, the
core says.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from testbed.agents.cluster.delivery.repository_client import RepositoryClient
from testbed.agents.cluster.delivery.store import BlobStore, StoppedError
from testbed.faas.cluster import Cluster
from testbed.faas.delivery.blobs import Blob
from testbed.faas.delivery.layer_archive import LayerError
from testbed.faas.delivery.orders import (
    CheckBlob,
    CreateAction,
    FetchBlob,
    FetchManifest,
    Order,
    Problem,
    RemoveBlob,
    StopFetch,
    StopManifest,
    Trouble,
    UnpackLayer,
)
from testbed.runtime.message_errors import MessageErrors

_THREADS = 2
Result = TypeVar("Result")


class Carrier:
    """Between the deliveries of a core and its repositories and disk. `perform` carries out what the core orders."""

    def __init__(self, core: Cluster, store: BlobStore, perform: Callable[[], None]) -> None:
        self._core, self._store, self._perform = core, store, perform
        self._deliveries = core.deliveries
        self._client = RepositoryClient(core.settings.delivery.stalled_s)
        self._threads = ThreadPoolExecutor(_THREADS, "delivery")
        self._errors = MessageErrors(Counter())
        self._last: dict[Blob, asyncio.Task[None]] = {}  # what is done last for a blob, so far
        self._fetches: dict[Blob, asyncio.Task[None]] = {}
        self._manifests: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False

    def carry_out(self, order: Order) -> None:
        """Begin to carry out an order."""
        match order:
            case FetchManifest():
                task = self._manifests[order.delivery] = asyncio.ensure_future(self._manifest(order))
                task.add_done_callback(partial(self._on_manifest_done, order.delivery))
            case StopManifest(delivery):
                if stopped := self._manifests.pop(delivery, None):
                    stopped.cancel()
            case FetchBlob(blob):
                self._fetches[blob] = self._enqueue(blob, partial(self._fetch, order))
            case StopFetch(blob):
                if stopped := self._fetches.pop(blob, None):
                    stopped.cancel()
            case CheckBlob(blob):
                self._enqueue(blob, partial(self._check, blob))
            case UnpackLayer(blob):
                self._enqueue(blob, partial(self._unpack, blob))
            case RemoveBlob(blob):
                self._enqueue(blob, partial(self._in_thread, self._store.remove, blob))
            case CreateAction():
                self._enqueue(order.manifest.code, partial(self._create, order))

    async def close(self) -> None:
        """End all that goes on, and wait until it has ended."""
        self._is_closed = True
        self._store.stop()
        tasks = {*self._last.values(), *self._manifests.values()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        await self._client.close()

    # One order ----------------------------------------------------------------------------------------------------

    async def _manifest(self, order: FetchManifest) -> None:
        found = await self._client.manifest(order)
        if isinstance(found, Problem):
            self._deliveries.on_manifest_problem(order.delivery, order.attempt, found, time.monotonic())
        else:
            self._deliveries.on_manifest(order.delivery, order.attempt, found, time.monotonic())
        self._perform()

    async def _fetch(self, order: FetchBlob) -> None:
        try:
            with self._store.opened(order.blob, order.offset) as file:
                problem = await self._client.blob(order, file, partial(self._on_octets, order))
        except OSError as error:
            problem = Problem(Trouble.DISK, f"it cannot be written: {error.filename}: {error.strerror}")
        self._deliveries.on_fetched(order.blob, order.attempt, problem, time.monotonic())
        self._perform()

    def _on_octets(self, order: FetchBlob, come: int) -> None:
        self._deliveries.on_octets(order.blob, order.attempt, come, time.monotonic())

    async def _check(self, blob: Blob) -> None:
        try:
            digest = await self._in_thread(self._store.digest, blob)
        except OSError as error:
            self._deliveries.on_disk_problem(blob, f"it cannot be read: {error.strerror}", time.monotonic())
        else:
            self._deliveries.on_checked(blob, digest, time.monotonic())
        self._perform()

    async def _unpack(self, blob: Blob) -> None:
        try:
            await self._in_thread(self._store.unpack, blob)
        except LayerError as error:
            self._deliveries.on_disk_problem(blob, str(error), time.monotonic())
        except OSError as error:
            text = f"it cannot be unpacked: {error.filename or ''}: {error.strerror}"
            self._deliveries.on_disk_problem(blob, text, time.monotonic())
        else:
            self._deliveries.on_unpacked(blob, time.monotonic())
        self._perform()

    async def _create(self, order: CreateAction) -> None:
        try:
            code = await self._in_thread(self._store.code, order.manifest.code)
        except OSError as error:
            text = f"its code cannot be read: {error.strerror}"
            self._deliveries.on_created(order.delivery, text, time.monotonic())
        else:
            self._core.on_code(order.delivery, code, time.monotonic())
        self._perform()

    # In their order -----------------------------------------------------------------------------------------------

    def _enqueue(self, blob: Blob, work: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
        """Do something for a blob once all that was ordered for it before is done."""
        task = asyncio.ensure_future(self._after(self._last.get(blob), work))
        self._last[blob] = task
        task.add_done_callback(partial(self._on_done, blob))
        return task

    async def _after(self, former: asyncio.Task[None] | None, work: Callable[[], Awaitable[object]]) -> None:
        if former is not None:
            await asyncio.wait({former})
        try:
            await work()
        except StoppedError:
            pass
        except Exception as error:  # a fault of ours: what waits for this ends by its deadline
            self._errors.note("delivery", error)

    def _on_manifest_done(self, delivery: str, task: asyncio.Task[None]) -> None:
        if self._manifests.get(delivery) is task:
            del self._manifests[delivery]

    def _on_done(self, blob: Blob, task: asyncio.Task[None]) -> None:
        for tasks in (self._last, self._fetches):
            if tasks.get(blob) is task:
                del tasks[blob]

    def _in_thread(self, action: Callable[[Blob], Result], blob: Blob) -> Coroutine[Any, Any, Result]:
        async def wait() -> Result:
            return await asyncio.get_running_loop().run_in_executor(self._threads, action, blob)

        return wait()
