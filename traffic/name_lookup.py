"""Ask the name server of the emulated network what a service's name stands for, and record what that took.

Owns the resolver (dnspython's, which retries and falls back to TCP) and the rows of `dns`. What a client remembers of
an answer is `destination`'s business.
"""

from __future__ import annotations

import time
from collections import Counter
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.resolver

from testbed.net.addresses import Address
from testbed.records.writer import RecordWriter
from testbed.runtime.message_errors import MessageErrors
from traffic.config import GeneratorConfig, NameServer
from traffic.destination import Answer, Lookup

_TRY_TIMEOUT_S = 1.0
_PATIENCE_S = 5.0
_TYPES = {4: "A", 6: "AAAA"}
_OUTCOMES: tuple[tuple[type[dns.exception.DNSException], str], ...] = (
    (dns.resolver.NXDOMAIN, "no_name"),
    (dns.resolver.NoAnswer, "no_address"),
    (dns.resolver.LifetimeTimeout, "timeout"),
)


class NameLookup:
    """The lookups of one client at its name server."""

    def __init__(self, config: GeneratorConfig, server: NameServer, records: RecordWriter) -> None:
        self._client = config.client
        self._source = {version: str(address) for version, address in config.source.items()}
        self._server = server
        self._records = records
        self._errors = MessageErrors(Counter())
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [str(server.address)]
        self._resolver.port = server.port
        self._resolver.timeout = _TRY_TIMEOUT_S
        self._resolver.lifetime = _PATIENCE_S

    def of(self, service: str, host_name: str, version: int) -> Lookup:
        """Return what looks up the address, of an IP version, of a service's name."""

        async def look_up() -> Answer:
            return await self._look_up(service, host_name, _TYPES[version])

        return look_up

    async def _look_up(self, service: str, host_name: str, record_type: str) -> Answer:
        asked_s = time.monotonic()
        addresses: list[Address] = []
        ttl_s, outcome = 0, "ok"
        try:
            answer = await self._resolver.resolve(
                f"{host_name}.", record_type, source=self._source[self._server.address.version]
            )
            addresses = [ip_address(record.to_text()) for record in answer]
            ttl_s = answer.chaining_result.minimum_ttl
        except dns.exception.DNSException as error:
            outcome = next((word for kind, word in _OUTCOMES if isinstance(error, kind)), "failed")
        except Exception as error:
            self._errors.note("dns_answer", error)
            outcome = "failed"
        self._records.write(
            "dns",
            {
                "time_s": asked_s,
                "client": self._client,
                "service": service,
                "host_name": host_name,
                "type": record_type,
                "server": self._server.address,
                "answer": addresses[0] if addresses else "",
                "ttl_s": ttl_s if addresses else "",
                "took_ms": (time.monotonic() - asked_s) * 1e3,
                "outcome": outcome,
            },
        )
        return Answer(addresses[0] if addresses else None, ttl_s)
