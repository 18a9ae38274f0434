"""The name server of the emulated network: `python -m testbed.agents.name_server CONFIG.json` (docs/processes.md).

Owns the sockets: DNS over UDP and TCP, and, where it chooses instances itself (policy `dns_ttl`), the in-band socket by
which it receives the reports of the D-MAs. What it answers, `dns_zone` and the pure `NameSteering` decide.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from random import Random
from typing import Any

from testbed.agents.name_server.config import NameServerConfig, SteeringConfig
from testbed.agents.name_server.dns_zone import Zone
from testbed.dyncast.messages.authentication import Identity, Role
from testbed.dyncast.nodes.dns_steering import NameSteering
from testbed.dyncast_io import decision_rows, keys_file
from testbed.net.addresses import Address
from testbed.records.peer_names import PeerNames
from testbed.records.writer import RecordWriter
from testbed.runtime.lifecycle import ProcessFailure, announce_ready
from testbed.runtime.message_errors import MessageErrors

Take = Callable[[bytes, Address], "bytes | None"]

_IDLE_S = 10.0  # then a client that connected is left
_CONTROL_ROWS_EVERY_S = 1.0


class NameServer:
    """Answer, receive, record; from construction to `close`."""

    def __init__(self, config: NameServerConfig, records: RecordWriter) -> None:
        self._config = config
        self._records = records
        self._steering = _steering(config, config.steering) if config.steering else None
        self._zone = Zone(
            config.zone,
            config.addresses,
            config.services,
            ttl_s=config.ttl_s,
            steered_ttl_s=int(config.steering.chosen_by.ttl_s) if config.steering else config.ttl_s,
            choose=self._choose,
        )
        self._messages: Counter[tuple[str, str, str]] = Counter()
        self._octets: Counter[tuple[str, str, str]] = Counter()
        self._peers = PeerNames()
        self._errors = MessageErrors(Counter())
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve at all addresses; never returns."""
        for address in self._config.addresses:
            await self._listen(address, self._config.port, self._answer)
            await asyncio.start_server(self._serve_connection, str(address), self._config.port)
        if self._config.steering is not None:
            await self._listen(self._config.addresses[0], self._config.steering.in_band_port, self._on_report)
        announce_ready(self._config)
        while True:
            self._write_control()
            self._records.flush()
            await asyncio.sleep(_CONTROL_ROWS_EVERY_S)

    async def close(self) -> None:
        """Leave clients that are connected; write the last of the counters."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._write_control()

    async def _listen(self, address: Address, port: int, take: Take) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: _Datagrams(take), local_addr=(str(address), port))
        except OSError as error:
            raise ProcessFailure(f"cannot serve at {address} port {port}: {error.strerror}") from error

    def _answer(self, data: bytes, client: Address) -> bytes | None:
        self._count("received", client, "dns_query", data)
        try:
            response = self._zone.respond(data, client)
        except Exception as error:
            self._errors.note("dns_query", error)
            return None
        if response is not None:
            self._count("sent", client, "dns_answer", response)
        return response

    def _choose(self, client: Address, d_sid: Address) -> Address | None:
        assert self._steering is not None  # only services that are steered are chosen for
        decided = self._steering.choose(client, d_sid, time.monotonic())
        if decided is None:
            return None
        candidates = [decision_rows.candidate(weighed) for weighed in decided.weighed]
        self._records.write("decisions", decision_rows.decision(decided, self._config.name, candidates))
        return decided.d_bid

    def _on_report(self, data: bytes, source: Address) -> bytes | None:
        assert self._steering is not None
        self._count("received", source, "report", data)
        try:
            for record in self._steering.on_message(data, source, time.monotonic()):
                self._records.write("metrics", decision_rows.report(record, self._config.name, self._steering.bindings))
        except Exception as error:
            self._errors.note("in_band", error)
        return None

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        client = ip_address(writer.get_extra_info("peername")[0])
        try:
            with suppress(asyncio.IncompleteReadError, asyncio.TimeoutError, ConnectionError):
                while True:
                    length = await asyncio.wait_for(reader.readexactly(2), _IDLE_S)
                    data = await asyncio.wait_for(reader.readexactly(int.from_bytes(length, "big")), _IDLE_S)
                    response = self._answer(data, client)
                    if response is None:
                        break
                    writer.write(len(response).to_bytes(2, "big") + response)
                    await writer.drain()
        finally:
            self._connections.discard(task)
            writer.close()

    def _count(self, direction: str, peer: Address, kind: str, data: bytes) -> None:
        key = direction, self._peers.name(str(peer)), kind
        self._messages[key] += 1
        self._octets[key] += len(data)

    def _write_control(self) -> None:
        now_s = time.monotonic()
        rows: list[tuple[Any, ...]] = [(*key, count, self._octets[key]) for key, count in self._messages.items()]
        counted = self._zone.counters + self._errors.counters
        counted += self._steering.counters if self._steering else Counter()
        rows += [("local", "", kind, count, 0) for kind, count in counted.items()]
        for row in rows:
            named = dict(zip(("direction", "peer", "kind", "messages", "bytes"), row, strict=True))
            self._records.write("control", {"time_s": now_s, "node": self._config.name, **named})


class _Datagrams(asyncio.DatagramProtocol):
    """Hand each datagram on, and send back what is returned."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, sender: tuple[Any, ...]) -> None:
        response = self._take(data, ip_address(sender[0]))
        if response is not None:
            self._transport.sendto(response, sender)


def _steering(config: NameServerConfig, of: SteeringConfig) -> NameSteering:
    identity = Identity(Role.D_ROUTER, config.name)
    return NameSteering(
        {service.d_sid: service.name for service in config.services if service.is_steered},
        of.chosen_by,
        of.sites,
        lifetime_s=of.metric_lifetime_s,
        report_rate=of.report_rate,
        rng=Random(config.seed),
        authenticator=keys_file.authenticator(config.keys_file, identity, time.monotonic_ns()),
    )


async def serve(config: NameServerConfig, records: RecordWriter) -> None:
    """Be the name server until cancelled."""
    server = NameServer(config, records)
    try:
        await server.serve()
    finally:
        await server.close()
