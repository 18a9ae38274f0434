"""An ALTO client as a process: it follows its server, and answers cluster clients from what it knows.

Owns the order of start and end, and the rows of the table `alto`: a row for each exchange, with time and bytes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from testbed.agents.alto_client.cluster_list import Known
from testbed.agents.alto_client.config import AltoClientConfig
from testbed.agents.alto_client.follower import Exchange, Follower, Pace
from testbed.agents.alto_client.frontend import Frontend
from testbed.agents.alto_client.session import Session
from testbed.agents.host.addresses import bound_at, url_of
from testbed.agents.http import passwords
from testbed.agents.http.passwords import PasswordsError
from testbed.agents.http.tls import CannotTrust, TlsError, TlsFiles, server_context
from testbed.records import control_rows
from testbed.records.writer import RecordWriter
from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import announce_ready
from testbed.runtime.message_errors import to_stderr

_END_WITHIN_S = 1.0
_WRITTEN_WITHIN_S = 1.0


class AltoClientProcess:
    """One ALTO client, within `serve`."""

    def __init__(self, config: AltoClientConfig, records: RecordWriter) -> None:
        self._config, self._records = config, records
        self._known = Known()
        self._counters: Counter[str] = Counter()
        self._server_host = urlsplit(config.directory).hostname or ""
        self._frontend = Frontend(self._known, config.repository, self._counters, self._on_answer)
        self._complained = ""
        self._writing: asyncio.TimerHandle | None = None

    async def serve(self, announce: Callable[[str], None]) -> None:
        """Serve until cancelled; `announce` takes the URL. Raises ConfigError or ProcessFailure."""
        config, loop = self._config, asyncio.get_running_loop()
        session, tls = _session(config), _tls(config)
        pace = Pace(config.poll_s, config.pause_s)
        async with session:
            with bound_at(config.address, config.port) as listening:
                listener = await loop.create_server(self._frontend.server, sock=listening, backlog=512, ssl=tls)
                try:
                    announce(url_of(listening))
                    follower = Follower(session, config.directory, self._known, pace, self._on_exchange, self._complain)
                    await follower.run()
                finally:
                    listener.close()
                    await asyncio.shield(self._frontend.server.shutdown(_END_WITHIN_S))
                    self._write_counts()

    def _on_exchange(self, exchange: Exchange) -> None:
        self._write(
            kind=exchange.kind,
            peer=self._server_host,
            resource=urlsplit(exchange.resource).path,
            outcome=exchange.outcome,
            bytes=exchange.octets,
            took_ms=exchange.took_ms,
        )

    def _on_answer(self, client: str, answer: web.Response, came_s: float) -> None:
        self._write(
            kind="list",
            peer=client,
            resource="/clusters",
            outcome=str(answer.status),
            bytes=len(answer.body) if isinstance(answer.body, bytes) else 0,
            took_ms=1e3 * (time.monotonic() - came_s),
        )

    def _write(self, **columns: Any) -> None:
        now_s = time.monotonic()
        row = {"time_s": now_s, "node": self._config.name, "age_s": self._known.age_s(now_s), **columns}
        self._records.write("alto", row)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(_WRITTEN_WITHIN_S, self._write_counts)

    def _write_counts(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        for row in control_rows.local(time.monotonic(), self._config.name, self._counters):
            self._records.write("control", row)
        self._records.flush()

    def _complain(self, problem: str) -> None:
        """Count what goes wrong with the server; say it when it is another thing than before."""
        self._counters["server_problems"] += 1
        if problem != self._complained:
            self._complained = problem
            to_stderr(f"{self._config.name}: {problem}")


def _session(config: AltoClientConfig) -> Session:
    """Return its session with the server. Raises ConfigError."""
    try:
        in_file = () if config.user_file is None else passwords.read(config.user_file).items()
        return Session(config.authority, next(iter(in_file), config.credentials))
    except CannotTrust as error:
        raise ConfigError(f"authority: {error}") from error
    except PasswordsError as error:
        raise ConfigError(f"user_file: {error}") from error


def _tls(config: AltoClientConfig) -> ssl.SSLContext | None:
    """Return what it serves cluster clients by. Raises ConfigError."""
    if config.certificate is None or config.key is None:
        return None
    try:
        return server_context(TlsFiles(config.certificate, config.key))
    except TlsError as error:
        raise ConfigError(f"certificate: {error}") from error


async def serve_in_run(config: AltoClientConfig, records: RecordWriter) -> None:
    """Serve an ALTO client of a run until this is cancelled. Raises ConfigError or ProcessFailure."""
    await AltoClientProcess(config, records).serve(lambda _url: announce_ready(config))
