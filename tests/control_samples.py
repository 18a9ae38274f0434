"""Controllers, their ingresses and what they say, for the tests of the modes of control."""

from __future__ import annotations

from collections import Counter
from typing import Any

from testbed.dyncast.actions import Action, SendMessage
from testbed.dyncast.control.role import Control
from testbed.dyncast.events import Decided
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import AssignedFlows, IngressStatus, Path, Share, Shares
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.net.addresses import Address
from tests.dyncast_samples import (
    CLIENT,
    D_SID,
    FAR,
    HERE,
    NEAR,
    PEER,
    THERE,
    d_router,
    flow,
    informed,
    of_kind,
    only,
)

CENTRALIZED = Control("centralized", THERE, interval_s=0.5, lifetime_s=10.0)
INGRESS = Peer(HERE, PEER.address - 1, path_cost_ms=20.0)  # as the controller, which is at THERE, knows it
RAW = RawMetrics(4, queue_limit=50, service_time_s=0.125)


def follower(**changes: Any) -> DRouter:
    return d_router(*changes.pop("services", ()), **{"control": CENTRALIZED, **changes})


def controller(**changes: Any) -> DRouter:
    services = changes.pop("services", ())
    return d_router(*services, **{"control": CENTRALIZED, "site": THERE, "peers": (INGRESS,), **changes})


def hears(router: DRouter, message: codec.Message, now_s: float) -> list[Action]:
    return router.on_message(codec.encode(message), PEER.address, now_s)


def sent(actions: list[Action], kind: str) -> list[codec.Message]:
    return [codec.decode(action.data) for action in of_kind(actions, SendMessage) if action.kind == kind]


def share(d_bid: Address, of_flows: int, measured_s: float = 0.0, egress: str = "", state: State = State.UP) -> Share:
    return Share(D_SID, d_bid, egress or (HERE if d_bid == NEAR else THERE), state, of_flows, measured_s)


def decision(sequence: int, now_s: float, *shares: Share, site: str = THERE) -> Shares:
    return Shares(site, sequence, now_s, shares)


def status(sequence: int, now_s: float, near: int = 0, far: int = 0, *, is_reachable: bool = True) -> IngressStatus:
    paths = (Path(THERE, 20.0, 0.02, is_reachable=is_reachable),)
    return IngressStatus(
        HERE, sequence, now_s, paths, (AssignedFlows(D_SID, NEAR, near), AssignedFlows(D_SID, FAR, far))
    )


def chosen(router: DRouter, now_s: float, flows: int = 200) -> Counter[Address]:
    """Give a D-Router flows of a client that is new at each time, and return who got how many."""
    client = CLIENT + round(now_s * 100)
    return Counter(only(router.on_packet(flow(port, src=client), now_s), Decided).d_bid for port in range(flows))


def decided(actions: list[Action]) -> dict[Address, Share]:
    messages = sent(actions, "shares")
    return {
        item.d_bid: item
        for message in messages
        if isinstance(message, Shares)
        for item in message.shares
        if item.d_sid == D_SID
    }


def informed_controller(near: int = 0, far: int = 0, **changes: Any) -> DRouter:
    """A controller that heard of both instances and of the ingress at 100 s, and told it once."""
    router = informed(controller(**changes), 100.0, near, far)
    hears(router, status(1, 100.0), 100.0)
    router.on_timer(100.0)
    return router
