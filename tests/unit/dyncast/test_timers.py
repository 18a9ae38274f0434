"""`next_timer_s`: a node that is woken when it asks to be, and after its inputs, does all that one that ticks would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest

from testbed.dyncast.actions import Action, SendMessage
from testbed.dyncast.control.role import Control
from testbed.dyncast.events import Noticed
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.outgoing import Outgoing
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.monitoring.probing import Prober
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher
from tests.control_samples import controller, follower, share
from tests.control_samples import decision as decision_of_controller
from tests.dispatcher_samples import cfn_node, dispatcher
from tests.dyncast_samples import (
    CLIENT,
    D_SID,
    FAR,
    NEAR,
    PEER,
    THERE,
    d_router,
    flow,
    of_kind,
    report_bytes,
    service,
    told,
)

_HYBRID = Control("hybrid", THERE, interval_s=0.5, lifetime_s=3.0)

Node = DRouter | Dispatcher
Input = Callable[[Node, float], list[Action]]


def _report(node: Node, now_s: float) -> list[Action]:
    return node.on_message(report_bytes(THERE, int(now_s * 100), now_s, told(FAR, RawMetrics(4))), PEER.address, now_s)


def _report_of_a_dead_one(node: Node, now_s: float) -> list[Action]:
    return node.on_message(report_bytes(THERE, int(now_s * 100), now_s, told(FAR, None)), PEER.address, now_s)


def _decision(node: Node, now_s: float) -> list[Action]:
    message = decision_of_controller(int(now_s * 100), now_s, share(NEAR, 128, now_s), share(FAR, 128, now_s))
    return node.on_message(codec.encode(message), PEER.address, now_s)


def _packet(node: Node, now_s: float) -> list[Action]:
    return node.on_packet(flow(int(now_s * 100) % 60_000, src=CLIENT), now_s)


def _learning() -> DRouter:
    return d_router(d_sid_ranges=(ip_network(f"{D_SID}/32"),), learnt_policy="dyncast", metric_lifetime_s=3)


_NODES: dict[str, Callable[[], Node]] = {
    "distributed": lambda: d_router(metric_lifetime_s=3),
    "datapath mode": lambda: d_router(service(affinity_mode="datapath"), metric_lifetime_s=3),
    "learning": _learning,
    "follower": lambda: follower(metric_lifetime_s=3),
    "controller": lambda: controller(metric_lifetime_s=3),
    "hybrid": lambda: d_router(control=_HYBRID, metric_lifetime_s=3),
    "CFN node": lambda: cfn_node(metric_lifetime_s=3),
    "dispatcher": dispatcher,
}
_INPUTS: dict[float, Input] = {
    100.31: _packet,
    101.02: _report,
    101.52: _decision,
    102.03: _report,
    102.5: _packet,
    103.0: _report_of_a_dead_one,
    103.7: _report_of_a_dead_one,
    104.4: _report,
    104.41: _decision,
    105.0: _packet,
}


@pytest.mark.parametrize("name", _NODES)
def test_until_the_time_that_a_node_asks_for_there_is_nothing_to_do(name: str) -> None:
    """Ticks of 10 ms: those before the time asked for find nothing, one at that time leaves nothing to do at once."""
    node = _NODES[name]()
    node.on_switch_connected(100.0)
    due = 0
    for tick in range(10_000, 12_000):
        now_s = tick / 100
        is_due = now_s >= node.next_timer_s()
        actions = node.on_timer(now_s)
        assert is_due or actions == []
        assert node.next_timer_s() > now_s - 1e-9
        due += is_due
        for probe in of_kind(actions, SendMessage):
            message = codec.decode(probe.data)
            if isinstance(message, Probe) and not 10_600 < tick < 11_500:  # the peer is away for some seconds
                reply = Probe(THERE, message.sequence, message.sent_s, is_reply=True)
                node.on_message(codec.encode(reply), PEER.address, now_s)
        if now_s in _INPUTS:
            _INPUTS[now_s](node, now_s)
    assert due < 400  # of 2,000: a node that asks for every tick would pass, too


def test_a_path_that_is_back_is_noticed_at_once() -> None:
    router = d_router()
    first = codec.decode(of_kind(router.on_timer(0.0), SendMessage)[0].data)
    assert isinstance(first, Probe)
    answer = codec.encode(Probe(THERE, first.sequence, 0.0, is_reply=True))
    router.on_message(answer, PEER.address, 0.01)
    for second in range(1, 7):
        router.on_timer(float(second))
    assert router.next_timer_s() > 6.1
    router.on_message(answer, PEER.address, 6.1)
    assert router.next_timer_s() <= 6.1
    assert [item.event for item in of_kind(router.on_timer(6.1), Noticed)] == ["path_back"]


def _prober(sites: int, interval_s: float = 1.0) -> Prober:
    addresses = {f"s{number}": ip_address("10.0.0.0") + number for number in range(sites)}
    paths = {site: PathState(site, 1.0) for site in addresses}
    return Prober("here", paths, interval_s, Outgoing(addresses, None), Counter())


def _woken(prober: Prober, until_s: float) -> list[tuple[float, set[object]]]:
    woken = []
    now_s = 0.0
    while now_s < until_s:
        woken.append((now_s, {item.to for item in of_kind(prober.on_timer(now_s), SendMessage)}))
        now_s = prober.next_timer_s()
    return woken


def test_probes_go_to_all_at_first_and_then_in_turns_spread_over_the_interval() -> None:
    woken = _woken(_prober(20), 10.0)
    assert len(woken[0][1]) == 20
    assert max(len(probed) for _, probed in woken[1:]) == 7
    counts = {address: sum(address in probed for _, probed in woken[1:]) for address in woken[0][1]}
    assert set(counts.values()) <= {9, 10}
    assert len(woken) <= 1 + 3 * 10


def test_few_peers_are_probed_one_by_one_and_at_the_interval_each() -> None:
    times = [time_s for time_s, probed in _woken(_prober(3), 9.99) if ip_address("10.0.0.1") in probed]
    gaps = [later - earlier for earlier, later in pairwise(times[1:])]
    assert gaps == pytest.approx([1.0] * len(gaps))


def test_who_was_held_up_probes_each_path_once() -> None:
    prober = _prober(5)
    prober.on_timer(0.0)
    assert len(prober.on_timer(60.0)) == 5
    assert 60.0 < prober.next_timer_s() <= 60.34
