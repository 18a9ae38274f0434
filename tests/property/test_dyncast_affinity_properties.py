"""Affinity: whatever is reported meanwhile, a flow stays where it was bound, until it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from testbed.dyncast import policies
from testbed.dyncast.actions import Action, DropPacket, ForwardPacket, InstallAffinity, RefusePacket, RemoveAffinity
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.dyncast.events import Decided
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE, FlowKey
from tests.dyncast_samples import FAR, HERE, NEAR, PEER, THERE, d_router, flow, of_kind, report_bytes, service, told

_COUNT = st.integers(0, 100)
_RAW = st.none() | st.builds(
    RawMetrics,
    workers=st.integers(1, 8),
    queue_length=_COUNT,
    queue_limit=_COUNT,
    sessions=_COUNT,
    sessions_started=st.integers(0, 1000),
    utilisation=st.floats(0, 1),
    service_time_s=st.floats(0, 2),
)


@dataclass
class _Switch:
    """The entries a switch would hold, by what the D-Router asked for."""

    entries: dict[int, AffinityEntry] = field(default_factory=dict)

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, InstallAffinity):
                self.entries[action.entry.number] = action.entry
            elif isinstance(action, RemoveAffinity):
                del self.entries[action.entry.number]


class Affinity(RuleBasedStateMachine):
    """One D-Router, its switch, and what is known to be bound."""

    @initialize(policy=st.sampled_from(sorted(policies.POLICIES)), fields=st.sampled_from((FIVE_TUPLE, THREE_TUPLE)))
    def begin(self, policy: str, fields: tuple[str, ...]) -> None:
        self.router = d_router(service(policy=policy, flow_fields=fields))
        self.fields = fields
        self.switch = _Switch()
        self.bound: dict[FlowKey, Address] = {}
        self.sequence = 0
        self.now_s = 0.0

    @rule(passed_s=st.floats(0, 6))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s
        self.router.on_timer(self.now_s)

    @rule(site=st.sampled_from((HERE, THERE)), raws=st.lists(_RAW, min_size=1, max_size=3))
    def a_report_arrives(self, site: str, raws: list[RawMetrics | None]) -> None:
        self.sequence += 1
        first = NEAR if site == HERE else FAR
        bindings = [told(first + number, raw) for number, raw in enumerate(raws)]
        actions = self.router.on_message(report_bytes(site, self.sequence, self.now_s, *bindings), first, self.now_s)
        self.switch.perform(actions)
        for broken in of_kind(actions, RemoveAffinity):
            assert told(broken.entry.d_bid, None) in bindings  # only the flows of the dead end
            del self.bound[broken.entry.flow]

    @rule(rtt_s=st.floats(0, 3))
    def the_path_changes(self, rtt_s: float) -> None:
        reply = Probe(THERE, 1, max(0.0, self.now_s - rtt_s), is_reply=True)
        self.router.on_message(codec.encode(reply), PEER.address, self.now_s)

    @rule(port=st.integers(1, 4))
    def a_packet_arrives(self, port: int) -> None:
        packet = flow(port)
        key = packet.masked(self.fields)
        actions = self.router.on_packet(packet, self.now_s)
        self.switch.perform(actions)
        if of_kind(actions, DropPacket) or of_kind(actions, RefusePacket):
            assert key not in self.bound
            return
        (forwarded,) = of_kind(actions, ForwardPacket)
        assert forwarded.entry.d_bid == self.bound.setdefault(key, forwarded.entry.d_bid)
        for decided in of_kind(actions, Decided):
            assert decided.d_bid == forwarded.entry.d_bid
            assert sum(item.weight > 0 for item in decided.weighed if item.candidate.d_bid == decided.d_bid) == 1

    @rule(data=st.data(), packets=st.integers(0, 2))
    def an_entry_idles_out(self, data: st.DataObject, packets: int) -> None:
        if not self.switch.entries:
            return
        number = data.draw(st.sampled_from(sorted(self.switch.entries)))
        entry = self.switch.entries[number]
        self.router.keeper.on_forward_entry_removed(number, idle=True)
        came_home = entry.return_packets + packets
        self.switch.perform(self.router.keeper.on_return_packets(number, came_home, self.now_s))
        if packets == 0:
            del self.bound[entry.flow]
            assert number not in self.switch.entries

    @rule()
    def the_switch_comes_back_empty(self) -> None:
        self.switch = _Switch()
        self.switch.perform(self.router.on_switch_connected(self.now_s))

    @invariant()
    def switch_table_and_bindings_agree(self) -> None:
        if not hasattr(self, "bound"):
            return
        assert {entry.flow: entry.d_bid for entry in self.switch.entries.values()} == self.bound
        assert {entry.flow: entry.d_bid for entry in self.router.affinity} == self.bound


Affinity.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAffinity = Affinity.TestCase
