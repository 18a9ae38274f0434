"""D-Routers, flows and reports for the tests of the pure core and of the OpenFlow shim."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from random import Random
from typing import Any, TypeVar

from testbed.dyncast.actions import Action
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator
from testbed.dyncast.messages.reports import BindingReport, Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.dyncast.policies import Candidate, Policy
from testbed.dyncast.policies.selectors.selector import Instance
from testbed.net.addresses import Address
from testbed.net.flow_key import TCP, FlowKey

D_SID = ip_address("203.0.113.10")
D_SID6 = ip_address("fd00:5::1")
CLIENT = ip_address("10.1.0.10")
CLIENT6 = ip_address("fd00:d:1::a")
HERE, THERE = "east", "west"
NEAR = ip_address("10.1.0.20")
FAR = ip_address("10.2.0.20")
NEAR6 = ip_address("fd00:d:1::14")
FAR6 = ip_address("fd00:d:2::14")
PEER = Peer(THERE, ip_address("10.2.0.1"), path_cost_ms=20.0)

Kind = TypeVar("Kind")


def flow(src_port: int | None = 40000, *, src: Address = CLIENT, dst: Address = D_SID, proto: int = TCP) -> FlowKey:
    return FlowKey(src, dst, proto, src_port, None if src_port is None else 80)


def service(**changes: Any) -> Service:
    return Service(**{"name": "render", "d_sids": (D_SID, D_SID6), "policy": "dyncast", **changes})


class States:
    """True states as a test says they are, and the arrivals that ingresses told of; nothing shown unless said."""

    def __init__(self) -> None:
        self.raws: dict[Address, RawMetrics] = {}
        self.arrivals_s: dict[Address, list[float]] = {}

    def of(self, d_bid: Address, now_s: float) -> RawMetrics | None:
        del now_s
        return self.raws.get(d_bid)

    def send(self, d_bid: Address, arrives_s: float) -> None:
        self.arrivals_s.setdefault(d_bid, []).append(arrives_s)

    def under_way(self, d_bid: Address, now_s: float) -> int:
        return sum(arrives_s > now_s for arrives_s in self.arrivals_s.get(d_bid, ()))


def d_router(
    *services: Service,
    seed: int = 1,
    authenticator: Authenticator | None = None,
    true_states: States | None = None,
    **changes: Any,
) -> DRouter:
    config = DRouterConfig(**{"site": HERE, "services": services or (service(),), "peers": (PEER,), **changes})
    return DRouter(config, Random(seed), authenticator, true_states or States())


def told(d_bid: Address, raw: RawMetrics | None, *, d_sid: Address | None = None) -> BindingReport:
    """What a D-MA says of an instance; None: it is down."""
    of = d_sid or (D_SID if d_bid.version == 4 else D_SID6)
    return report_of(of, d_bid, State.DOWN if raw is None else State.UP, raw)


def report_bytes(site: str, sequence: int, now_s: float, *bindings: BindingReport) -> bytes:
    return codec.encode(Report(site, sequence, now_s, bindings))


def informed(router: DRouter, now_s: float = 0.0, near: int = 0, far: int = 0, sequence: int = 1) -> DRouter:
    """Let a D-Router hear of one instance here and one there, four workers each, with so many sessions."""
    for site, d_bid, d_bid6, sessions in ((HERE, NEAR, NEAR6, near), (THERE, FAR, FAR6, far)):
        raw = RawMetrics(4, queue_limit=50, sessions=sessions, utilisation=min(1, sessions / 4), service_time_s=0.1)
        router.on_message(report_bytes(site, sequence, now_s, told(d_bid, raw), told(d_bid6, raw)), d_bid, now_s)
    return router


def candidate(d_bid: Address = NEAR, raw: RawMetrics | None = None, **changes: Any) -> Candidate:
    """A candidate that is expected to have the sessions it reported, unless told otherwise."""
    given = {"site": HERE, "path_cost_ms": 0.0, "rtt_s": 0.0, "metrics_age_s": 0.0}
    expected = {"expected_sessions": float(raw.sessions) if raw else 0.0}
    return Candidate(d_bid=d_bid, metrics=raw, **{**given, **expected, **changes})


def shares(policy: Policy, candidates: Sequence[Candidate], flows: int) -> dict[Address, int]:
    """How a policy shares out the next flows over candidates."""
    instances: dict[Address, Instance] = {}
    selector = policy.selector(instances, Random(1))
    instances.update({item.d_bid: Instance(item, 0.0, selector.cost(item)) for item in candidates})
    selector.on_all_changed()
    return selector.shares(flows, now_s=0.0)


def of_kind(actions: Iterable[Action], kind: type[Kind]) -> list[Kind]:
    return [action for action in actions if isinstance(action, kind)]


def only(actions: Iterable[Action], kind: type[Kind]) -> Kind:
    (found,) = of_kind(actions, kind)
    return found
