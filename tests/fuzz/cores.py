"""Nodes in each of their roles, what a script does to them, and what holds of them whatever it is."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from random import Random
from typing import Any

from hypothesis import strategies as st

from testbed.dyncast.actions import SendMessage, SetWeights
from testbed.dyncast.control.role import Control
from testbed.dyncast.events import Decided, MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import WHOLE, Shares
from testbed.dyncast.metrics.levels import State
from testbed.dyncast.nodes import inspection
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.dyncast.nodes.dispatcher import Dispatcher
from testbed.dyncast.nodes.dns_steering import ClientSite, DnsTtl, NameSteering
from testbed.dyncast.policies import POLICIES
from testbed.dyncast_io import decision_rows
from testbed.net.token_bucket import Rate
from tests.dispatcher_samples import cfn_node, dispatcher
from tests.dyncast_samples import CLIENT, D_SID, D_SID6, FAR, HERE, NEAR, PEER, THERE, d_router, service
from tests.fuzz.extreme import Arrives, Packet, Passes, Step, SwitchAssigns, SwitchReturns

START_S = 100.0
_RATE = Rate(1e6, 1e6)
_POLICY = st.sampled_from(sorted(POLICIES))
_MODE = st.sampled_from(("reactive", "datapath"))
_TIMES = {"interval_s": 0.5, "lifetime_s": 5.0}
_HERE_PEER = Peer(HERE, NEAR - 10, path_cost_ms=20.0)


def _router(control: Control, **changes: Any) -> st.SearchStrategy[DRouter]:
    return st.builds(
        lambda policy, mode: d_router(
            service(policy=policy, affinity_mode=mode), control=control, report_rate=_RATE, **changes
        ),
        _POLICY,
        _MODE,
    )


def _site_choice(policy: str, local_policy: str, control: Control) -> DRouter:
    of = service(policy=policy, local_policy=local_policy, steering="tunnel", choice="site")
    return d_router(of, control=control, report_rate=_RATE, address=NEAR - 10)


_OTHERS = sorted(POLICIES.keys() - {"oracle"})
_LEARNER = {
    "d_sid_ranges": (ip_network("203.0.113.0/24"), ip_network("fd00:5::/64")), "report_rate": _RATE,
}  # fmt: skip
NODES: Mapping[str, st.SearchStrategy[DRouter | Dispatcher]] = {
    "distributed": _router(Control()),
    "centralized, ingress": _router(Control("centralized", THERE, **_TIMES)),
    "centralized, controller": _router(Control("centralized", HERE, **_TIMES)),
    "hybrid, ingress": _router(Control("hybrid", THERE, **_TIMES)),
    "hybrid, controller": _router(Control("hybrid", HERE, **_TIMES)),
    "choice of a site": st.builds(
        _site_choice,
        st.sampled_from(_OTHERS),
        st.sampled_from(_OTHERS),
        st.sampled_from((Control(), Control("centralized", THERE, **_TIMES), Control("hybrid", HERE, **_TIMES))),
    ),
    "learnt services": st.builds(
        lambda policy: d_router(service(policy=policy), learnt_policy=policy, **_LEARNER), st.sampled_from(_OTHERS)
    ),
    "CFN node": st.builds(
        lambda policy, reports: cfn_node(service(policy=policy), tells=reports, report_rate=_RATE),
        st.sampled_from(_OTHERS),
        st.sampled_from(("explicit", "implicit")),
    ),
    "Dispatcher": st.builds(lambda reports: dispatcher(tells=reports), st.sampled_from(("explicit", "implicit"))),
}
NAME_SERVERS = st.builds(
    lambda answers: NameSteering(
        {D_SID: "render", D_SID6: "render"},
        DnsTtl(30, answers),
        (ClientSite(HERE, (ip_network("10.1.0.0/16"),), {THERE: 20.0}), ClientSite(THERE, (), {HERE: 20.0})),
        lifetime_s=10,
        report_rate=_RATE,
        rng=Random(1),
    ),
    st.sampled_from(_OTHERS),
)


class Life:
    """A node and its time."""

    def __init__(self, node: DRouter | Dispatcher) -> None:
        self.node = node
        self.now_s = START_S
        self._sent: Counter[str] = Counter()
        self.holds(node.on_switch_connected(self.now_s))

    def take(self, step: Step) -> None:
        """Do to the node what a step says, and see that all holds."""
        node, now_s = self.node, self.now_s
        if isinstance(step, Arrives):
            self._sent[step.site] += 1
            message = step.message(self._sent[step.site], now_s)
            self.holds(node.on_message(codec.encode(message), PEER.address, now_s))
        elif isinstance(step, Packet):
            self.holds(node.on_packet(step.of, now_s, step.in_port, tunnelled=step.tunnelled))
        elif isinstance(step, Passes):
            self.now_s += step.duration_s
            self.holds(node.on_timer(self.now_s))
        elif isinstance(step, SwitchReturns):
            self.holds(node.on_switch_connected(now_s))
        elif isinstance(step, SwitchAssigns) and isinstance(node, DRouter):
            node.on_flows_assigned(*step.binding, step.total, now_s)  # type: ignore[arg-type]
        assert not math.isnan(node.next_timer_s())

    def holds(self, outputs: Iterable[object]) -> None:
        """See that what a node puts out can be carried out and written down."""
        shares: defaultdict[object, list[int]] = defaultdict(list)
        for output in outputs:
            if isinstance(output, SendMessage):
                message = codec.decode(output.data)
                if isinstance(message, Shares):
                    for share in message.shares:
                        shares[message.sequence - message.part, share.d_sid].append(share.share)
            elif isinstance(output, SetWeights):
                assert all(weight > 0 for weight in output.shares.values())
            elif isinstance(output, Decided):
                self._is_good(output)
            elif isinstance(output, MetricsReceived):
                decision_rows.report(output, HERE, self.node.bindings)
        assert all(sum(of_d_sid) in (0, WHOLE) for of_d_sid in shares.values())

    def _is_good(self, decided: Decided) -> None:
        assert decided.weighed and math.isfinite(decided.metrics_age_s)
        for weighed in decided.weighed:
            assert weighed.cost is None or math.isfinite(weighed.cost)
            assert math.isfinite(weighed.weight) and weighed.weight >= 0
            json.loads(decision_rows.candidate(weighed), parse_constant=_no_number)
        if decided.d_bid is not None:
            binding = self.node.bindings.get(decided.flow.dst, decided.d_bid)
            assert binding is not None and binding.state is State.UP

    def can_be_looked_into(self) -> None:
        """See that all that it shows is JSON."""
        node = self.node
        assert min(node.counters.values(), default=0) >= 0
        for section in inspection.SECTIONS:
            page = inspection.page(node, section, 0, self.now_s)
            json.dumps(page.rows, allow_nan=False, default=str)


def _no_number(constant: str) -> object:
    raise AssertionError(f"{constant} in a table")


def name_server_life(of: NameSteering, script: Iterable[Step]) -> None:
    """Do to a name server what concerns it in a script."""
    now_s = START_S
    for number, step in enumerate(script, 1):
        if isinstance(step, Arrives):
            of.on_message(codec.encode(step.message(number, now_s)), PEER.address, now_s)
        elif isinstance(step, Passes):
            now_s += step.duration_s
        elif isinstance(step, Packet):
            for client in (CLIENT, FAR):
                decided = of.choose(client, D_SID, now_s)
                if decided is not None:
                    assert all(weighed.cost is None or math.isfinite(weighed.cost) for weighed in decided.weighed)
