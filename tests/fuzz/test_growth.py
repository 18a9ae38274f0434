"""A flood of messages that name what nobody knows leaves a node no larger than it was half-way."""

from __future__ import annotations

import gc
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from random import Random
from types import FunctionType, ModuleType
from typing import Any

import pytest

from testbed.dyncast.control import controller, hybrid
from testbed.dyncast.control.role import Control
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.codec import Message
from testbed.dyncast.messages.control_messages import (
    WHOLE,
    AssignedFlows,
    IngressStatus,
    Load,
    Loads,
    Path,
    Share,
    Shares,
)
from testbed.dyncast.messages.dispatch_messages import Assignment, Cause, Withdrawal, Withdrawn
from testbed.dyncast.messages.reports import Probe, Report
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.monitoring import binding_table
from testbed.dyncast.nodes.dns_steering import ClientSite, DnsTtl, NameSteering
from testbed.net.addresses import Address
from testbed.net.token_bucket import Rate
from tests.dispatcher_samples import cfn_node, dispatcher
from tests.dyncast_samples import D_SID, D_SID6, HERE, NEAR, PEER, THERE, d_router, flow, service, told

_MESSAGES = 1500
_MOST = 50  # of what is bounded, to be there soon
_RATE = Rate(1e6, 1e6)
_RAW = RawMetrics(4, 3, 2, 50, 5, 9, 0.75, 0.05)


class Stranger:
    """Who writes in any name, of addresses, sites and services that there are not."""

    def __init__(self) -> None:
        self._rng = Random(1)
        self._sequence = 0

    def message(self, now_s: float) -> Message:
        self._sequence += 1
        site = self._rng.choice((HERE, THERE, THERE, self._name()))
        of = (site, self._sequence, now_s)
        kinds: tuple[Callable[[], Message], ...] = (
            lambda: Report(*of, tuple(told(d_bid, _RAW, d_sid=d_sid) for d_sid, d_bid in self._bindings())),
            lambda: IngressStatus(*of, self._paths(), tuple(AssignedFlows(*item, 7) for item in self._bindings())),
            lambda: Shares(*of, tuple(Share(*item, self._name(), State.UP, WHOLE, now_s) for item in self._bindings())),
            lambda: Shares(*of, tuple(Share(*item, THERE, State.UP, WHOLE, now_s) for item in self._bindings())),
            lambda: Loads(*of, tuple(Load(*item, now_s, _RAW) for item in self._bindings()), site == HERE),
            lambda: Probe(*of, self._rng.random() < 0.5),
            lambda: Probe(*of, is_reply=True, asked_s=now_s),
            lambda: Assignment(*of, flow(self._rng.randrange(65536), src=self._address()), NEAR, self._name(), 30),
            lambda: Withdrawal(*of, tuple(Withdrawn(*item, Cause.DIED) for item in self._bindings())),
        )
        return self._rng.choice(kinds)()

    def _name(self) -> str:
        return f"{self._rng.getrandbits(40):x}"

    def _address(self) -> Address:
        return ip_address(self._rng.getrandbits(32))

    def _bindings(self) -> list[tuple[Address, Address]]:
        d_sids = (D_SID, D_SID6, D_SID6 + self._rng.getrandbits(50), self._address())
        chosen = self._rng.choices(d_sids, k=8)
        return [(d_sid, _in_family(d_sid, self._rng.getrandbits(60))) for d_sid in chosen]

    def _paths(self) -> tuple[Path, ...]:
        return tuple(Path(self._name(), 1.0, 0.01) for _ in range(4))


def _in_family(d_sid: Address, number: int) -> Address:
    return ip_address(number % 2**32) if d_sid.version == 4 else ip_address(1 << 120 | number)


def _name_server() -> NameSteering:
    sites = (ClientSite(HERE, (), {THERE: 20.0}), ClientSite(THERE, (), {HERE: 20.0}))
    return NameSteering({D_SID: "render"}, DnsTtl(), sites, lifetime_s=10, report_rate=_RATE, rng=Random(1))


_RANGES = (ip_network("203.0.113.0/24"), ip_network("fd00:5::/64"))
NODES: dict[str, Callable[[], Any]] = {
    "distributed": lambda: d_router(report_rate=_RATE),
    "datapath mode": lambda: d_router(service(affinity_mode="datapath"), report_rate=_RATE),
    "ingress": lambda: d_router(control=Control("centralized", THERE), report_rate=_RATE),
    "controller": lambda: d_router(control=Control("centralized", HERE), report_rate=_RATE),
    "hybrid ingress": lambda: d_router(control=Control("hybrid", THERE), report_rate=_RATE),
    "hybrid controller": lambda: d_router(control=Control("hybrid", HERE), report_rate=_RATE),
    "learnt services": lambda: d_router(learnt_policy="dyncast", d_sid_ranges=_RANGES, report_rate=_RATE),
    "CFN node": lambda: cfn_node(report_rate=_RATE),
    "Dispatcher": dispatcher,
    "name server": _name_server,
}


@pytest.mark.parametrize("name", NODES)
def test_a_flood_of_strangers_fills_no_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding_table, "MOST_OF_A_SITE", _MOST)
    monkeypatch.setattr(controller, "_MOST_ASSIGNED", _MOST)
    monkeypatch.setattr(hybrid, "_MOST_LOADS", _MOST)
    node, stranger, now_s = NODES[name](), Stranger(), 100.0
    sizes = []
    for number in range(1, 2 * _MESSAGES + 1):
        now_s += 1e-3
        node.on_message(codec.encode(stranger.message(now_s)), PEER.address, now_s)
        if number % _MESSAGES == 0:
            sizes.append(_reachable(node))
    assert sizes[1] < 1.05 * sizes[0] + 200


def _reachable(node: object) -> int:
    """Return how many objects a node holds."""
    seen: set[int] = set()
    waiting: list[object] = [node]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, (type, ModuleType, FunctionType)):
            continue
        seen.add(id(item))
        waiting += gc.get_referents(item)
    return len(seen)
