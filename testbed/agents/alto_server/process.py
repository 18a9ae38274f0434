"""An ALTO server as a process of a network: what is known by reports, served over HTTP and pushed as it changes.

Owns the socket for reports, the one timer of what expires, and the rows of the table `alto`. What a report means is the
business of `testbed.alto.reports`.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from testbed import json_documents
from testbed.agents.alto_server.config import AltoServerConfig
from testbed.agents.alto_server.exchanges import Exchange
from testbed.agents.alto_server.falsehood import Falsehood, falsehood_path
from testbed.agents.alto_server.server import AltoServer, CannotListen, Place
from testbed.agents.host.addresses import plain_address
from testbed.agents.http import passwords
from testbed.agents.http.passwords import PasswordsError
from testbed.agents.http.tls import TlsError, TlsFiles
from testbed.alto.errors import AltoDataError
from testbed.alto.network.directories import DIRECTORY_PATH
from testbed.alto.reports.admission import Refused
from testbed.alto.reports.reported_knowledge import ReportedKnowledge
from testbed.alto.reports.wrong_costs import with_wrong_delays
from testbed.alto.service.knowledge import Knowledge
from testbed.net.token_bucket import Rate, TokenBucket
from testbed.records import control_rows
from testbed.records.peer_names import PeerNames
from testbed.records.writer import RecordWriter
from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import ProcessFailure, announce_ready
from testbed.runtime.message_errors import MessageErrors

_WRITTEN_WITHIN_S = 1.0
_REFUSED_RATE = Rate(per_s=10, burst=20)  # of rows of refused reports; all are counted


class AltoProcess:
    """One server, from `begin` to `close`."""

    def __init__(self, config: AltoServerConfig, records: RecordWriter) -> None:
        self._config = config
        self._records = records
        self._loop = asyncio.get_running_loop()
        try:
            self._known = ReportedKnowledge(config.network, config.reporters, config.lifetime_s, config.least_change)
        except AltoDataError as error:
            raise ConfigError(f"network cannot be served: {error}") from error
        tls = TlsFiles(config.certificate, config.key) if config.certificate and config.key else None
        place = Place(str(config.address), config.port, tls, _users(config))
        self._server = AltoServer(place, self._known.knowledge, self._known.directory, DIRECTORY_PATH, self._note)
        self._falsehood = Falsehood()
        self._frozen: Knowledge | None = None  # what it serves while it is stale
        self._reported_s: float | None = None  # when the newest report was sent
        self._refused_rows = TokenBucket(_REFUSED_RATE)
        self._strangers = PeerNames()
        self._errors = MessageErrors(Counter())
        self._receiving: asyncio.DatagramTransport | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self.url = ""
        self.reports_port = 0

    async def begin(self) -> None:
        """Serve and receive; return once it does. Raises ProcessFailure."""
        address, port = str(self._config.address), self._config.reports_port
        try:
            self._receiving, _ = await self._loop.create_datagram_endpoint(
                lambda: _Datagrams(self._on_datagram), local_addr=(address, port)
            )
        except OSError as error:
            text = f"cannot receive reports at {address} port {port}: {error.strerror}; choose another reports_port"
            raise ProcessFailure(text) from error
        self.reports_port = self._receiving.get_extra_info("sockname")[1]
        try:
            self.url = await self._server.begin()
        except (CannotListen, TlsError) as error:
            raise ProcessFailure(str(error)) from error

    async def close(self) -> None:
        """End streams and connections; write the last rows."""
        if self._receiving is not None:
            self._receiving.close()
        for timer in (self._expiry, self._writing):
            if timer is not None:
                timer.cancel()
        await self._server.close()
        self._write_counts()

    # -- reports

    def _on_datagram(self, data: bytes, sender: str) -> None:
        try:
            self._take(data, sender, time.monotonic())
        except Exception as error:
            self._errors.note("report", error)
        self._write_soon()

    def _take(self, data: bytes, sender: str, now_s: float) -> None:
        try:
            taken = self._known.on_datagram(data, ip_address(sender), now_s)
        except Refused as refused:
            if self._refused_rows.take(now_s):
                peer = refused.reporter or self._strangers.name(sender)
                self._write(now_s, kind="report", peer=peer, outcome=refused.counter, bytes=len(data))
            return
        sent_s = taken.report.origin.sent_s
        self._reported_s = max(sent_s, self._reported_s or sent_s)
        outcome = "changed" if taken.changed else "same"
        peer = taken.report.origin.reporter
        self._write(now_s, kind="report", peer=peer, outcome=outcome, bytes=len(data), age_s=now_s - sent_s)
        self._serve(taken.changed)

    def _on_expiry(self) -> None:
        due_s = self._known.next_timer_s()
        now_s = time.monotonic()
        self._serve(self._known.on_timer(now_s if due_s is None else max(now_s, due_s)))

    def _serve(self, changed: bool) -> None:
        if changed and self._frozen is None:
            self._publish()
        if self._expiry is not None:
            self._expiry.cancel()
        due_s = self._known.next_timer_s()
        self._expiry = None if due_s is None else self._loop.call_at(due_s, self._on_expiry)

    def _publish(self) -> None:
        known = self._known.knowledge if self._frozen is None else self._frozen
        self._server.update(with_wrong_delays(known, self._falsehood.delays))

    # -- faults

    def take_falsehood(self) -> None:
        """Say wrongly what a file says, from now on; without the file, who asked knows that it was taken up."""
        path = falsehood_path(self._config.out_dir, self._config.name)
        try:
            self._falsehood = Falsehood.from_document(json_documents.parse(path.read_bytes()))
            path.unlink()
            self._frozen = (self._frozen or self._known.knowledge) if self._falsehood.costs == "former" else None
            self._publish()
        except (OSError, ValueError) as error:
            self._errors.note("falsehood", error)

    # -- records

    def _note(self, exchange: Exchange) -> None:
        now_s = time.monotonic()
        age_s = None if self._reported_s is None else now_s - self._reported_s
        self._write(
            now_s,
            kind=exchange.kind,
            peer=plain_address(exchange.client),
            resource=exchange.resource,
            outcome=exchange.status,
            bytes=exchange.octets,
            age_s=age_s,
        )
        self._write_soon()

    def _write(self, now_s: float, **columns: Any) -> None:
        self._records.write("alto", {"time_s": now_s, "node": self._config.name, **columns})

    def _write_soon(self) -> None:
        if self._writing is None:
            self._writing = self._loop.call_later(_WRITTEN_WITHIN_S, self._write_counts)

    def _write_counts(self) -> None:
        self._writing = None
        served = {f"http {kind}": count for kind, count in self._server.counts.items()}
        counters = {**self._known.counters, **self._errors.counters, **served}
        for row in control_rows.local(time.monotonic(), self._config.name, counters):
            self._records.write("control", row)
        self._records.flush()


def _users(config: AltoServerConfig) -> Mapping[str, str]:
    """Return who may ask, with their passwords. Raises ConfigError."""
    try:
        return config.users if config.users_file is None else {**config.users, **passwords.read(config.users_file)}
    except PasswordsError as error:
        raise ConfigError(f"users_file: {error}") from error


class _Datagrams(asyncio.DatagramProtocol):
    """Hand each datagram on."""

    def __init__(self, take: Callable[[bytes, str], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, sender: tuple[Any, ...]) -> None:
        self._take(data, plain_address(sender[0]))


async def serve(config: AltoServerConfig, records: RecordWriter) -> None:
    """Serve until cancelled. Raises ConfigError or ProcessFailure."""
    process = AltoProcess(config, records)
    try:
        await process.begin()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, process.take_falsehood)
        announce_ready(config)
        await asyncio.Event().wait()
    finally:
        await asyncio.shield(process.close())
