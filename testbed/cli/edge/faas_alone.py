"""A cluster alone, from the command line: its folder and its mark on this machine, its first line, its end by a signal.

As root it is registered as a run is, so that `clean` and the next start remove what a killed one leaves; else its
folder is a temporary one that says whose it is.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from testbed.agents.cluster.config import ClusterConfig
from testbed.agents.cluster.process import Ready, serve
from testbed.emulation import cleanup, run_tag, temporary_folders
from testbed.emulation.run_owner import RunOwner
from testbed.terminal import console as terminal

_LOOPBACK = ip_address("127.0.0.1")


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    port: int
    sandbox: str
    auth: str | None
    memory_mb: int
    slots: int
    cpus: float
    queue: int
    keep_alive_s: float
    per_minute: int
    concurrent: int
    prewarmed: Mapping[str, int]
    layers: Mapping[str, Path]
    store: Path | None
    store_mb: int
    fetches: int
    delivery_s: float


def run(settings: Settings) -> int:
    """Serve until a signal says that it is over; return the exit code."""
    with _folder() as folder:
        asyncio.run(_serve(_config(settings, folder)))
    return 0


async def _serve(config: ClusterConfig) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    await serve(config, _announce, ended)


def _announce(ready: Ready) -> None:
    terminal.document(f"apihost={ready.url} auth={ready.auth}\n")
    shown = terminal.errors()
    shown.print(f"runtimes: {', '.join(ready.kinds)}; functions run in containers of {ready.sandbox}")
    if ready.unlimited:
        shown.print(f"not limited, for there are no control groups for it here: {', '.join(ready.unlimited)}")


def _config(settings: Settings, folder: Path) -> ClusterConfig:
    return ClusterConfig(
        name="faas",
        out_dir=folder,
        address=_LOOPBACK,
        port=settings.port,
        auth=settings.auth or f"{uuid.uuid4()}:{secrets.token_urlsafe(32)}",
        run_dir=folder,
        sandbox=settings.sandbox,
        memory_mb=settings.memory_mb,
        slots=settings.slots,
        cpus=settings.cpus,
        queue=settings.queue,
        keep_alive_s=settings.keep_alive_s,
        per_minute=settings.per_minute,
        concurrent=settings.concurrent,
        prewarmed=settings.prewarmed,
        layers=settings.layers,
        store_dir=settings.store,
        store_mb=settings.store_mb,
        fetches=settings.fetches,
        delivery_deadline_s=settings.delivery_s,
    )


@contextmanager
def _folder() -> Iterator[Path]:
    """Make the folder of a cluster, whose owner can be found whatever becomes of this process."""
    if os.geteuid() != 0:
        temporary_folders.remove_abandoned()
        with temporary_folders.temporary_folder("faas") as folder:
            yield folder
        return
    cleanup.clean(only_dead=True)
    tag = run_tag.claim("faas")
    os.environ |= {run_tag.ENVIRONMENT_KEY: tag.value, run_tag.OWNER_KEY: str(RunOwner.this_process())}
    try:
        yield run_tag.containers_folder(tag)
    finally:
        cleanup.clean_run(tag)
