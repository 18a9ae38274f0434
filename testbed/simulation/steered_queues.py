"""Queues at edge sites, and D-Routers that steer requests to them by reports that are late and old: in virtual time.

The D-Routers and the queues are the project's own; network, agents and clients are a model: fixed delays, no loss,
reports at an interval, open-loop Poisson arrivals, exponential work. All randomness comes from the seed, and does not
depend on who is chosen: two policies face the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from ipaddress import ip_address
from itertools import count
from random import Random

from testbed.dyncast.actions import InstallAffinity, Output, SendMessage
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.events import Decided
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import BindingReport, Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.net.addresses import Address
from testbed.net.flow_key import TCP, FlowKey
from testbed.simulation.instances import Instance, TrueStates
from testbed.simulation.network import Network, Served

D_SID = ip_address("203.0.113.10")
_CLIENTS = ip_address("10.128.0.0")
_LIFETIMES = 4  # metrics live as many intervals: a late report is no reason to leave an instance


class SteeredQueues:
    """One run under one policy, with metrics reported every `interval_s`."""

    def __init__(self, network: Network, policy: str, interval_s: float, seed: int) -> None:
        self.network = network
        self.served: list[Served] = []
        self._interval_s = interval_s
        self._seed = seed
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = count()
        self._sites = list(network.workers)
        self._addresses = {site: ip_address(f"10.{number}.0.1") for number, site in enumerate(self._sites, 1)}
        self._site_at = {address: site for site, address in self._addresses.items()}
        self._instances = {address + 9: Instance(network, site) for address, site in self._site_at.items()}
        self._true_states = TrueStates(self._instances)
        service = Service("render", (D_SID,), policy)
        self._routers = {
            site: DRouter(
                DRouterConfig(
                    site,
                    (service,),
                    tuple(
                        Peer(other, self._addresses[other], network.rtt_s(site, other) * 1e3)
                        for other in self._sites
                        if other != site
                    ),
                    metric_lifetime_s=max(10.0, _LIFETIMES * interval_s),
                ),
                Random(f"{seed} {site}"),
                true_states=self._true_states,
            )
            for site in self._sites
        }
        phases = Random(f"{seed} phases")
        for site in self._sites:
            self._at(phases.random() * interval_s, self._report_of(site))

    @property
    def instances(self) -> dict[Address, str]:
        """The site of each instance."""
        return {address + 9: site for address, site in self._site_at.items()}

    def run(self, until_s: float) -> None:
        """Go on until then; requests come from when all instances have been reported."""
        begin_s = self._interval_s + 1.0
        rate_per_s = self.network.arrivals_per_s / len(self.network.ingresses)
        for ingress in self.network.ingresses:
            rng = Random(f"{self._seed} arrivals {ingress}")
            self._at(begin_s, self._arrivals_at(ingress, rng, rate_per_s))
        while self._events[0][0] <= until_s:
            time_s, _, happen = heappop(self._events)
            happen(time_s)

    def _at(self, time_s: float, happen: Callable[[float], None]) -> None:
        heappush(self._events, (time_s, next(self._number), happen))

    # -- requests --------------------------------------------------------------------------------

    def _arrivals_at(self, ingress: str, rng: Random, rate_per_s: float) -> Callable[[float], None]:
        flows = count(self._sites.index(ingress), len(self._sites))

        def arrive(now_s: float) -> None:
            self._steer(ingress, next(flows), rng.expovariate(1 / self.network.mean_work_s), now_s)
            self._at(now_s + rng.expovariate(rate_per_s), arrive)

        return arrive

    def _steer(self, ingress: str, number: int, work_s: float, now_s: float) -> None:
        router = self._routers[ingress]
        actions = router.on_packet(flow_of(number), now_s)
        (decided,) = (action for action in actions if isinstance(action, Decided))
        (entry,) = (action.entry for action in actions if isinstance(action, InstallAffinity))
        assert decided.d_bid is not None
        self._serve(ingress, decided.egress, decided.d_bid, work_s, now_s, now_s, lambda: _end(router, entry.number))

    def _serve(
        self, ingress: str, site: str, d_bid: Address, work_s: float, arrived_s: float, now_s: float,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Have an instance serve from now on a request that came to its ingress at `arrived_s`."""
        rtt_s = self.network.rtt_s(ingress, site)

        def ask(asked_s: float) -> None:
            instance = self._instances[d_bid]
            job = instance.offer(asked_s, work_s)
            took_s = self.network.timeout_s
            if job is not None:
                took_s = job.finish_s + rtt_s / 2 - arrived_s
                self._at(job.finish_s, lambda _: instance.on_done(job))
            self.served.append(Served(arrived_s, d_bid, took_s, ingress, asked_s, work_s, job is None))
            self._at(arrived_s + took_s, lambda _: on_end())

        self._at(now_s + 1.5 * rtt_s, ask)  # the request follows upon the handshake

    # -- reports ---------------------------------------------------------------------------------

    def _report_of(self, site: str) -> Callable[[float], None]:
        d_bid = self._addresses[site] + 9
        sequence = count(1)

        def report(now_s: float) -> None:
            binding = binding_report(d_bid, self._instances[d_bid].metrics(now_s))
            self._report(site, codec.encode(Report(site, next(sequence), now_s, (binding,))), now_s)
            self._at(now_s + self._interval_s, report)

        return report

    def _report(self, site: str, data: bytes, now_s: float) -> None:
        self._perform(site, self._routers[site].on_message(data, self._addresses[site] + 9, now_s), now_s)

    def _perform(self, site: str, outputs: Sequence[Output], now_s: float) -> None:
        for output in outputs:
            if isinstance(output, SendMessage):
                self._send(site, self._site_at[output.to], output.data, now_s)

    def _send(self, site: str, to: str, data: bytes, now_s: float) -> None:
        def arrive(arrived_s: float) -> None:
            self._perform(to, self._routers[to].on_message(data, self._addresses[site], arrived_s), arrived_s)

        self._at(now_s + self.network.rtt_s(site, to) / 2, arrive)


def _end(router: DRouter, number: int) -> None:
    router.keeper.on_forward_entry_removed(number, idle=False)


def flow_of(number: int) -> FlowKey:
    """Return a request's flow: each request has a client of its own."""
    return FlowKey(_CLIENTS + number, D_SID, TCP, 40000, 80)


def binding_report(d_bid: Address, raw: RawMetrics) -> BindingReport:
    """Return the part of a report that describes an instance."""
    return report_of(D_SID, d_bid, State.UP, raw)
