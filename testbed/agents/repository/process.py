"""A repository as a process: its content packed, its frontend listening, its counts recorded.

Owns the order of start and end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from testbed.agents.functions.blobs import Source
from testbed.agents.functions.layers import PackError
from testbed.agents.host.addresses import bound_at, url_of
from testbed.agents.http.connections import ConnectionLimits
from testbed.agents.repository.config import RepositoryConfig
from testbed.agents.repository.content import Content, content_folder
from testbed.agents.repository.frontend import Frontend
from testbed.records import control_rows
from testbed.records.writer import RecordWriter
from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import announce_ready

_END_WITHIN_S = 1.0


async def serve(
    config: RepositoryConfig, announce: Callable[[str], None], ended: asyncio.Event, records: RecordWriter
) -> None:
    """Serve a repository until `ended`; `announce` takes its URL. Raises ConfigError, ProcessFailure or OSError."""
    if not config.store_dir.is_dir():
        raise ConfigError(f"store_dir must be a folder that exists, not {str(config.store_dir)!r}")
    content = Content(content_folder(config.store_dir, config.name))
    try:
        for name, function in config.functions.items():
            await asyncio.to_thread(_add, content, name, function.source)
        frontend = Frontend(content, ConnectionLimits(stalled_s=config.stalled_s, connections=config.connections))
        with bound_at(config.address, config.port) as listening:
            listener = await asyncio.get_running_loop().create_server(frontend.server, sock=listening, backlog=512)
            try:
                announce(url_of(listening))
                await ended.wait()
            finally:
                listener.close()
                await asyncio.shield(frontend.server.shutdown(_END_WITHIN_S))
                for row in _rows(config.name, frontend):
                    records.write("control", row)
    finally:
        content.remove()


async def serve_in_run(config: RepositoryConfig, records: RecordWriter) -> None:
    """Serve a repository of a run until this is cancelled. Raises ConfigError or ProcessFailure."""
    await serve(config, lambda _url: announce_ready(config), asyncio.Event(), records)


def _add(content: Content, name: str, source: Source) -> None:
    try:
        content.add(name, source)
    except PackError as error:
        raise ConfigError(f"functions.{name}: {error}") from error


def _rows(name: str, frontend: Frontend) -> Iterator[dict[str, object]]:
    """Yield what was served as rows of the table `control`."""
    now_s, served = time.monotonic(), dict(frontend.served())
    sent = {"direction": "sent", "kind": "content", "messages": served.pop("requests"), "bytes": served.pop("bytes")}
    yield {"time_s": now_s, "node": name, "peer": "", **sent}
    yield from control_rows.local(now_s, name, served)
