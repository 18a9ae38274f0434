"""Queues at edge sites, and D-Routers that steer requests to them by reports that are late and old: in virtual time.

The D-Routers and the queues are the project's own; network, agents and clients are a model: fixed delays, no loss,
reports at an interval, open-loop Poisson arrivals, exponential work. All randomness comes from the seed, and does not
depend on who is chosen: two policies face the same requests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import ip_address
from itertools import count
from random import Random
from typing import NamedTuple

from testbed.agents.instance.processor import SmoothedServiceTime
from testbed.analysis.decisions import stability
from testbed.dyncast.actions import Action, InstallAffinity, SendMessage
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.events import Decided
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.net.addresses import Address
from testbed.net.flow_key import TCP, FlowKey
from testbed.queueing.work_queue import Accepted, WorkQueue
from tests.dyncast_samples import D_SID, report_bytes, told

_CLIENTS = ip_address("10.128.0.0")
_LIFETIMES = 4  # metrics live as many intervals: a late report is no reason to leave an instance


@dataclass(frozen=True)
class Network:
    """Sites, workers of the instance at each, round trips between them, and sites that have clients."""

    workers: dict[str, int]
    rtt_ms: dict[frozenset[str], float]
    ingresses: tuple[str, ...]
    mean_work_s: float = 0.1
    load: float = 0.8
    queue_limit: int = 100
    timeout_s: float = 10.0

    @property
    def arrivals_per_s(self) -> float:
        """Requests per second over all ingresses."""
        return self.load * sum(self.workers.values()) / self.mean_work_s

    def rtt_s(self, one: str, other: str) -> float:
        """Return the round-trip time between two sites."""
        return 0.0 if one == other else self.rtt_ms[frozenset((one, other))] / 1e3


FOUR_SITES = Network(
    workers={"east": 2, "north": 4, "south": 6, "west": 8},
    rtt_ms={
        frozenset(pair): rtt_ms
        for pair, rtt_ms in {
            ("east", "north"): 10.0,
            ("east", "south"): 20.0,
            ("east", "west"): 40.0,
            ("north", "south"): 15.0,
            ("north", "west"): 30.0,
            ("south", "west"): 25.0,
        }.items()
    },
    ingresses=("east", "north", "south"),
)


class Served(NamedTuple):
    """A request: when it came, what was chosen for it, how long it took; a refused one takes its time-out.

    And where it came to, when the instance had it, and how much work it was.
    """

    arrived_s: float
    d_bid: Address
    took_s: float
    ingress: str = ""
    asked_s: float = 0.0
    work_s: float = 0.0
    is_refused: bool = False


class _Instance:
    """A queue, and what its admin port would say."""

    def __init__(self, network: Network, site: str) -> None:
        self._queue = WorkQueue(network.workers[site], network.queue_limit)
        self._service_time = SmoothedServiceTime(network.mean_work_s)
        self._started = 0

    def offer(self, now_s: float, work_s: float) -> Accepted | None:
        job = self._queue.offer(now_s, work_s)
        self._started += job is not None
        return job

    def on_done(self, job: Accepted) -> None:
        self._service_time.add(job)

    def metrics(self, now_s: float) -> RawMetrics:
        queue = self._queue
        busy, waiting = queue.busy_workers(now_s), queue.queue_length(now_s)
        return RawMetrics(
            queue.workers, busy, waiting, queue.queue_limit, busy + waiting, self._started,
            queue.utilisation(now_s), self._service_time.value_s,
        )  # fmt: skip


class _TrueStates:
    """The queues themselves, and the flows that have been sent and not arrived."""

    def __init__(self, instances: dict[Address, _Instance]) -> None:
        self._instances = instances
        self._arrivals_s: dict[Address, list[float]] = defaultdict(list)

    def of(self, d_bid: Address, now_s: float) -> RawMetrics:
        return self._instances[d_bid].metrics(now_s)

    def send(self, d_bid: Address, arrives_s: float) -> None:
        heappush(self._arrivals_s[d_bid], arrives_s)

    def under_way(self, d_bid: Address, now_s: float) -> int:
        arrivals_s = self._arrivals_s[d_bid]
        while arrivals_s and arrivals_s[0] <= now_s:
            heappop(arrivals_s)
        return len(arrivals_s)


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
        self._instances = {address + 9: _Instance(network, site) for address, site in self._site_at.items()}
        self._true_states = _TrueStates(self._instances)
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
        """Go on until then; requests come from when all instances have been heard of."""
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
        actions = router.on_packet(FlowKey(_CLIENTS + number, D_SID, TCP, 40000, 80), now_s)
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
            data = report_bytes(site, next(sequence), now_s, told(d_bid, self._instances[d_bid].metrics(now_s)))
            self._tell(site, data, now_s)
            self._at(now_s + self._interval_s, report)

        return report

    def _tell(self, site: str, data: bytes, now_s: float) -> None:
        self._perform(site, self._routers[site].on_message(data, self._addresses[site] + 9, now_s), now_s)

    def _perform(self, site: str, actions: list[Action], now_s: float) -> None:
        for action in actions:
            if isinstance(action, SendMessage):
                self._send(site, self._site_at[action.to], action.data, now_s)

    def _send(self, site: str, to: str, data: bytes, now_s: float) -> None:
        def arrive(arrived_s: float) -> None:
            self._perform(to, self._routers[to].on_message(data, self._addresses[site], arrived_s), arrived_s)

        self._at(now_s + self.network.rtt_s(site, to) / 2, arrive)


def _end(router: DRouter, number: int) -> None:
    router.keeper.on_forward_entry_removed(number, idle=False)


def dispersion(served: list[Served], from_s: float, until_s: float, window_s: float = 1.0) -> float:
    """Return the index of dispersion of the flows an instance gets per window, averaged over the instances.

    Variance over mean: 1 for a random split of Poisson arrivals, less for turns, far more where flows herd.
    """
    times_s, d_bids = [flow.arrived_s for flow in served], [flow.d_bid for flow in served]
    return stability.dispersion(times_s, d_bids, from_s, until_s, window_s)
