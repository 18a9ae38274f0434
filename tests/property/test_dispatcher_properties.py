"""CFN node and Dispatcher: whatever is lost, late, said twice or out of order, a flow has one instance."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from testbed.dyncast.actions import Action, RemoveAffinity
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.codec import CodecError
from testbed.dyncast.messages.dispatch_messages import Assignment, Cause, Withdrawal, Withdrawn
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.net.flow_key import FIVE_TUPLE, THREE_TUPLE, FlowKey
from tests.dispatcher_samples import NODE_ADDRESS, Wire, cfn_node, dispatcher
from tests.dyncast_samples import FAR, HERE, NEAR, THERE, flow, of_kind, report_bytes, service, told

_PORTS = st.integers(1, 4)


class _Lives(Wire):
    """A flow whose binding ended, idle or because its instance died, begins a new life, and no other does."""

    def at_home(self, actions: list[Action], packet: FlowKey | None = None) -> None:
        super().at_home(actions, packet)
        for removed in of_kind(actions, RemoveAffinity):
            self.reached.pop(removed.entry.flow, None)


class Dispatching(RuleBasedStateMachine):
    """One CFN node and one Dispatcher, with anything under way between them in any order."""

    @initialize(tells=st.sampled_from(("explicit", "implicit")), fields=st.sampled_from((FIVE_TUPLE, THREE_TUPLE)))
    def begin(self, tells: str, fields: tuple[str, ...]) -> None:
        of = service(policy="random", flow_fields=fields)
        self.wire = _Lives(cfn_node(of, tells=tells), dispatcher(of, tells=tells))
        self.sequence, self.now_s = 0, 0.0
        self.all_are_up()

    @rule()
    def all_are_up(self) -> None:
        self._report(RawMetrics(4), RawMetrics(4))

    def _report(self, *raws: RawMetrics | None) -> None:
        for site, d_bid, raw in ((HERE, NEAR, raws[0]), (THERE, FAR, raws[1])):
            self.sequence += 1
            data = report_bytes(site, self.sequence, self.now_s, told(d_bid, raw))
            self.wire.at_node(self.wire.node.on_message(data, d_bid, self.now_s))

    @rule(port=_PORTS)
    def a_client_sends(self, port: int) -> None:
        self.wire.client_sends(flow(port), self.now_s)

    @precondition(lambda self: self.wire.to_node)
    @rule(data=st.data(), is_lost=st.booleans())
    def a_first_packet_arrives(self, data: st.DataObject, is_lost: bool) -> None:
        number = data.draw(st.integers(0, len(self.wire.to_node) - 1))
        if is_lost:
            self.wire.to_node.pop(number)
        else:
            self.wire.node_hears(number, self.now_s)

    @precondition(lambda self: self.wire.to_home)
    @rule(data=st.data(), what=st.sampled_from(("arrives", "arrives twice", "is lost")))
    def an_answer(self, data: st.DataObject, what: str) -> None:
        number = data.draw(st.integers(0, len(self.wire.to_home) - 1))
        if what == "arrives twice":
            self.wire.to_home.append(self.wire.to_home[number])
        if what == "is lost":
            self.wire.to_home.pop(number)
        else:
            self.wire.home_hears(number, self.now_s)

    @rule(port=_PORTS)
    def a_client_sends_and_all_goes_well(self, port: int) -> None:
        self.wire.client_sends(flow(port), self.now_s)
        self.wire.settle(self.now_s)

    @rule(is_near=st.booleans())
    def an_instance_dies(self, is_near: bool) -> None:
        for _ in range(2):
            self._report(None if is_near else RawMetrics(4), RawMetrics(4) if is_near else None)
        self.time_passes(1)

    @rule(passed_s=st.floats(0, 1))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s
        self.wire.at_home(self.wire.home.on_timer(self.now_s))
        self.wire.at_node(self.wire.node.on_timer(self.now_s))

    @rule(port=_PORTS)
    def a_flow_is_idle(self, port: int) -> None:
        entry = self.wire.home.affinity.find(self.wire.flow_of(flow(port)))
        if entry is not None:
            self.wire.home.keeper.on_forward_entry_removed(entry.number, idle=True)
            self.wire.at_home(self.wire.home.keeper.on_return_packets(entry.number, entry.return_packets, self.now_s))

    @invariant()
    def a_flow_has_one_instance(self) -> None:
        assert all(len(set(instances)) == 1 for instances in self.wire.reached.values())

    @invariant()
    def the_cfn_node_keeps_nothing(self) -> None:
        assert len(self.wire.node.affinity) == 0

    @invariant()
    def the_switch_has_what_the_dispatcher_knows(self) -> None:
        assert self.wire.entries.keys() == {entry.flow for entry in self.wire.home.affinity}

    def teardown(self) -> None:
        """When all is delivered, no packet is on hold."""
        if hasattr(self, "wire"):
            self._report(RawMetrics(4), RawMetrics(4))
            self.wire.settle(self.now_s)
            for _ in range(80):
                self.now_s += 0.1
                self.wire.at_home(self.wire.home.on_timer(self.now_s))
                self.wire.settle(self.now_s)
            assert not any(self.wire.held.values())


TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)

_ADDRESSES = st.ip_addresses(v=4), st.ip_addresses(v=6)
_FAMILY = st.sampled_from((0, 1))


@st.composite
def _assignments(draw: st.DrawFn) -> Assignment:
    addresses = _ADDRESSES[draw(_FAMILY)]
    port = st.none() | st.integers(0, 65535)
    proto = st.none() | st.integers(0, 255)
    key = FlowKey(draw(st.none() | addresses), draw(addresses), draw(proto), draw(port), draw(port))
    d_bid, egress = draw(st.none() | addresses), draw(st.text(max_size=20))
    return Assignment("x", draw(st.integers(0, 9)), 1.0, key, d_bid, egress, draw(st.integers(1, 65535)))


@st.composite
def _withdrawals(draw: st.DrawFn) -> Withdrawal:
    addresses = _ADDRESSES[draw(_FAMILY)]
    bindings = draw(st.lists(st.builds(Withdrawn, addresses, addresses, st.sampled_from(Cause)), max_size=40))
    return Withdrawal("x", draw(st.integers(0, 9)), 1.0, tuple(bindings))


@given(_assignments() | _withdrawals())
def test_what_is_written_is_read(message: Assignment | Withdrawal) -> None:
    assert codec.decode(codec.encode(message)) == message


@given(_assignments() | _withdrawals(), st.data())
def test_what_is_cut_short_or_too_long_is_refused(message: Assignment | Withdrawal, data: st.DataObject) -> None:
    octets = codec.encode(message)
    for damaged in (octets[: data.draw(st.integers(0, len(octets) - 1))], octets + b"\0"):
        try:
            decoded = codec.decode(damaged)
        except CodecError:
            continue
        raise AssertionError(f"{damaged!r} was read as {decoded}")


@given(_assignments() | _withdrawals(), st.data())
def test_damaged_messages_end_no_dispatcher(message: Assignment | Withdrawal, data: st.DataObject) -> None:
    octets = bytearray(codec.encode(message))
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    home = dispatcher()
    home.on_message(bytes(octets), NODE_ADDRESS, 1)
    assert len(home.affinity) == 0
