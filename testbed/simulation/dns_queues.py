"""The queues of `steered_queues`, with clients that a name server sends to instances: the policy `dns_ttl`.

In virtual time, too. The choice is the project's own (`NameSteering`). A model: the name server is at one site, clients
ask it when a request comes and their answer has expired, and requests that come meanwhile wait for it with the first.
The same requests come as to D-Routers, dealt to the clients of their ingress in turn.
"""

from __future__ import annotations

from collections import defaultdict
from ipaddress import ip_network
from random import Random
from typing import NamedTuple

from testbed.dyncast.events import Decided
from testbed.dyncast.messages.admission import REPORT_RATE
from testbed.dyncast.nodes.dns_steering import ClientSite, DnsTtl, NameSteering
from testbed.net.addresses import Address
from testbed.simulation.network import Network
from testbed.simulation.steered_queues import D_SID, SteeredQueues

CLIENTS_PER_INGRESS = 20
_FIRST_CLIENT = 1000  # in the address block of a site
_LIFETIMES = 4


class _Client(NamedTuple):
    ingress: str
    number: int


class _Answer(NamedTuple):
    chosen: Decided
    expires_s: float


class DnsQueues(SteeredQueues):
    """One run under `dns_ttl`, with metrics reported every `interval_s`."""

    def __init__(self, network: Network, chosen_by: DnsTtl, interval_s: float, seed: int) -> None:
        super().__init__(network, chosen_by.answers, interval_s, seed)
        self._server_site = next(iter(network.workers))
        self._ttl_s = chosen_by.ttl_s
        self._answers: dict[_Client, _Answer] = {}
        self._waiting: defaultdict[_Client, list[tuple[float, float]]] = defaultdict(list)
        self._steering = NameSteering(
            {D_SID: "render"},
            chosen_by,
            [
                ClientSite(
                    site,
                    (ip_network(f"{address - 1}/16"),),
                    {other: network.rtt_s(site, other) * 1e3 for other in network.workers if other != site},
                )
                for site, address in self._addresses.items()
            ],
            lifetime_s=max(10.0, _LIFETIMES * interval_s),
            report_rate=REPORT_RATE,
            rng=Random(f"{seed} names"),
        )

    def _report(self, site: str, data: bytes, now_s: float) -> None:
        super()._report(site, data, now_s)
        source = self._addresses[site]
        way_s = self.network.rtt_s(site, self._server_site) / 2
        self._at(now_s + way_s, lambda arrived_s: self._report_to_server(data, source, arrived_s))

    def _report_to_server(self, data: bytes, source: Address, now_s: float) -> None:
        self._steering.on_message(data, source, now_s)

    def _steer(self, ingress: str, number: int, work_s: float, now_s: float) -> None:
        client = _Client(ingress, number // len(self.network.workers) % CLIENTS_PER_INGRESS)
        answer = self._answers.get(client)
        if answer is not None and now_s < answer.expires_s:
            self._begin(client, answer.chosen, work_s, now_s, now_s)
            return
        self._waiting[client].append((now_s, work_s))
        if len(self._waiting[client]) == 1:
            self._at(now_s + self._way_s(ingress), lambda asked_s: self._ask(client, asked_s))

    def _way_s(self, ingress: str) -> float:
        return self.network.rtt_s(ingress, self._server_site) / 2

    def _ask(self, client: _Client, now_s: float) -> None:
        address = self._addresses[client.ingress] + _FIRST_CLIENT + client.number
        chosen = self._steering.choose(address, D_SID, now_s)
        assert chosen is not None  # reports never cease
        self._at(now_s + self._way_s(client.ingress), lambda answered_s: self._learn(client, chosen, answered_s))

    def _learn(self, client: _Client, chosen: Decided, now_s: float) -> None:
        self._answers[client] = _Answer(chosen, now_s + self._ttl_s)
        for arrived_s, work_s in self._waiting.pop(client):
            self._begin(client, chosen, work_s, arrived_s, now_s)

    def _begin(self, client: _Client, chosen: Decided, work_s: float, arrived_s: float, now_s: float) -> None:
        assert chosen.d_bid is not None
        self._serve(client.ingress, chosen.egress, chosen.d_bid, work_s, arrived_s, now_s)
