"""What a name server answers: the zone with the names of services, as DNS messages.

Authoritative for one zone; asks nobody else. A service's name has the address of its D-SID, or whichever address is
chosen for the client that asks. The messages are dnspython's; knows no sockets and no metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from testbed.agents.name_server.config import NamedService
from testbed.net.addresses import Address

_NEGATIVE_TTL_S = 5
_ZONE_TTL_S = 3600
_SERVER = "ns"
_VERSIONS = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}
_LEAST_BYTES = 12  # of a message: its header


Choose = Callable[[Address, Address], "Address | None"]


class Zone:
    """The zone `origin`, served at `servers`. `choose` returns an instance for a client and D-SID, if one takes flows.

    `ttl_s` is how long the address of a D-SID may be remembered, `steered_ttl_s` that of an instance chosen.
    `counters`: questions by what became of them.
    """

    def __init__(
        self,
        origin: str,
        servers: Iterable[Address],
        services: Iterable[NamedService],
        *,
        ttl_s: int,
        steered_ttl_s: int,
        choose: Choose,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._origin = dns.name.from_text(origin)
        self._servers = tuple(servers)
        self._services = {dns.name.from_text(service.name, self._origin): service for service in services}
        self._ttl_s = ttl_s
        self._steered_ttl_s = steered_ttl_s
        self._choose = choose
        server = dns.name.from_text(_SERVER, self._origin)
        soa = f"{server} hostmaster.{self._origin} 1 3600 600 86400 {_NEGATIVE_TTL_S}"
        self._soa = dns.rrset.from_text(self._origin, _NEGATIVE_TTL_S, "IN", "SOA", soa)
        self._ns = dns.rrset.from_text(self._origin, _ZONE_TTL_S, "IN", "NS", server.to_text())
        self._server = server

    def respond(self, data: bytes, client: Address) -> bytes | None:
        """Return the answer to a message of a client; None to what deserves none."""
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return self._unreadable(data)
        if query.flags & dns.flags.QR:
            self.counters["dns_no_question"] += 1
            return None
        response = dns.message.make_response(query)
        rcode = self._fill(query, response, client)
        response.set_rcode(rcode)
        self.counters[f"dns_{dns.rcode.to_text(rcode).lower()}"] += 1
        return response.to_wire()

    def _unreadable(self, data: bytes) -> bytes | None:
        """Return the error for a message that cannot be read, under its number, if it has one."""
        self.counters["dns_malformed"] += 1
        if len(data) < _LEAST_BYTES or data[2] & 0x80:
            return None
        response = dns.message.Message(int.from_bytes(data[:2], "big"))
        response.flags = dns.flags.QR
        response.set_rcode(dns.rcode.FORMERR)
        return response.to_wire()

    def _fill(self, query: dns.message.Message, response: dns.message.Message, client: Address) -> dns.rcode.Rcode:
        if query.opcode() != dns.opcode.QUERY:
            return dns.rcode.NOTIMP
        if len(query.question) != 1:
            return dns.rcode.FORMERR
        name, kind = query.question[0].name, query.question[0].rdtype
        if query.question[0].rdclass != dns.rdataclass.IN or not name.is_subdomain(self._origin):
            return dns.rcode.REFUSED
        response.flags |= dns.flags.AA
        service = self._services.get(name)
        if service is not None and _VERSIONS.get(kind) == service.d_sid.version:
            address = self._choose(client, service.d_sid) if service.is_steered else service.d_sid
            if address is None:
                return dns.rcode.SERVFAIL
            ttl_s = self._steered_ttl_s if service.is_steered else self._ttl_s
            response.answer.append(_addresses(name, ttl_s, [address]))
        elif name == self._server and kind in _VERSIONS and (found := self._own_addresses(_VERSIONS[kind])):
            response.answer.append(_addresses(name, _ZONE_TTL_S, found))
        elif name == self._origin and kind in (dns.rdatatype.SOA, dns.rdatatype.NS):
            response.answer.append(self._soa if kind == dns.rdatatype.SOA else self._ns)
        else:
            response.authority.append(self._soa)
            is_known = any(known.is_subdomain(name) for known in (*self._services, self._server, self._origin))
            return dns.rcode.NOERROR if is_known else dns.rcode.NXDOMAIN
        return dns.rcode.NOERROR

    def _own_addresses(self, version: int) -> list[Address]:
        return [address for address in self._servers if address.version == version]


def _addresses(name: dns.name.Name, ttl_s: int, addresses: Iterable[Address]) -> dns.rrset.RRset:
    texts = [str(address) for address in addresses]
    kind = "AAAA" if ":" in texts[0] else "A"
    return dns.rrset.from_text(name, ttl_s, "IN", kind, *texts)
