"""However an instance behaves: what is advertised follows the table of transitions, and keeps what it promises."""

from __future__ import annotations

from itertools import product

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from testbed.dyncast.messages.reports import report_of
from testbed.dyncast.metric_agent.conditions import Threshold
from testbed.dyncast.metric_agent.dampening import Dampening
from testbed.dyncast.metric_agent.update_triggers import (
    TRANSITIONS,
    Advertised,
    Due,
    Observed,
    Reporting,
    UpdateTrigger,
)
from testbed.dyncast.metrics.levels import RawMetrics, State
from tests.dyncast_samples import D_SID, NEAR

_DAMPENING = Dampening(half_life_s=2, suppress=1.5, reuse=1, max_suppress_s=4)
_REFRESH_S = 5.0


def test_there_is_a_row_for_whatever_was_advertised_and_is_observed() -> None:
    assert set(TRANSITIONS) == set(product(Advertised, Observed))


def test_rows_say_what_is_observed_but_for_an_instance_that_comes_back_too_soon() -> None:
    says = {State.UP: {"UP"}, State.DRAINING: {"DRAINING"}, State.DOWN: {"DOWN_ONCE", "DOWN"}}
    for (advertised, observed), (due, reported, following) in TRANSITIONS.items():
        is_absent = observed in (Observed.ABSENT, Observed.ABSENT_AGAIN)
        assert following.name in says[reported] or (is_absent and following is Advertised.NEVER)
        held = observed is Observed.UP_SUPPRESSED and advertised not in (Advertised.NEVER, Advertised.UP)
        if held:
            assert (due, reported) == (Due.AT_REFRESH, State.DRAINING)
        else:
            assert reported.name == ("DOWN" if is_absent else observed.name.split("_")[0])
        has_left = advertised is Advertised.UP and reported is not State.UP
        is_new = advertised is Advertised.NEVER and not is_absent
        assert due is Due.AT_ONCE or not (has_left or is_new)
        assert (due is Due.NEVER) == (is_absent and advertised in (Advertised.NEVER, Advertised.DOWN))


class Updates(RuleBasedStateMachine):
    """An instance that is polled, and an agent that reports what is due or is kept from it by its budget."""

    @initialize(condition=st.none() | st.just(Threshold("queue_length", absolute=5)), is_damped=st.booleans())
    def begin(self, condition: Threshold | None, is_damped: bool) -> None:
        self.trigger = UpdateTrigger(Reporting(_REFRESH_S, condition, dampening=_DAMPENING if is_damped else None))
        self.now_s = 0.0
        self.polled: list[State] = []
        self.known: State | None = None  # at the D-Routers
        self.times_down = 0  # reported in a row
        self.polls_since_report = 0
        self.is_absent = False  # by the last poll

    @rule(state=st.sampled_from(State), queue_length=st.integers(0, 12), passed_s=st.sampled_from((0.1, 0.5, 3.0)))
    def the_instance_is_polled(self, state: State, queue_length: int, passed_s: float) -> None:
        self.now_s += passed_s
        raw = None if state is State.DOWN else RawMetrics(4, queue_length=queue_length, queue_limit=20)
        self.trigger.observe(report_of(D_SID, NEAR, state, raw), self.now_s)
        self.polled.append(state)
        self.polls_since_report += 1
        self.is_absent = False

    @rule(passed_s=st.sampled_from((0.1, 0.5, 3.0)))
    def the_instance_does_not_serve_this(self, passed_s: float) -> None:
        self.now_s += passed_s
        self.trigger.observe(report_of(D_SID, NEAR, State.DOWN, None), self.now_s, is_absent=True)
        self.polled.append(State.DOWN)
        self.polls_since_report += 1
        self.is_absent = True

    @precondition(lambda self: self.polled)
    @rule()
    def what_is_due_is_reported(self) -> None:
        if not self._reason():
            return
        report = self.trigger.report(self.now_s)
        was_suppressed, before = self.trigger.is_suppressed(self.now_s), self.known
        self.trigger.on_reported(self.now_s)
        if report.state is State.UP:
            assert before in (None, State.UP) or not was_suppressed
        if report.state is State.DOWN and before is State.DOWN:
            assert self.polled[-2:] == [State.DOWN] * 2
            assert self.polls_since_report > 0, "no poll is reported twice"
        self.known = report.state
        self.times_down = self.times_down + 1 if report.state is State.DOWN else 0
        if self.is_absent and self.times_down == 2:  # withdrawn: D-Routers know of no such instance
            self.known, self.times_down = None, 0
        self.polls_since_report = 0

    @precondition(lambda self: self.polled)
    @rule()
    def time_passes_to_the_next_refresh(self) -> None:
        self.now_s = (self.now_s // _REFRESH_S + 1) * _REFRESH_S
        assert self._reason() or self.polled[-1] is State.DOWN, "soft state is refreshed"

    @precondition(lambda self: self.polled)
    @invariant()
    def an_instance_that_left_is_due_at_once_and_what_is_advertised_is_what_was_reported(self) -> None:
        if self.known is None and self.is_absent:
            assert self._reason() == "", "what is not there is not reported"
        elif self.known in (None, State.UP) and self.polled[-1] is not State.UP:
            assert self._reason() == "state"
        advertised = {None: "NEVER", State.UP: "UP", State.DRAINING: "DRAINING"}.get(self.known)
        assert self.trigger.advertised.name == (advertised or ("DOWN_ONCE" if self.times_down == 1 else "DOWN"))
        assert self.trigger.report(self.now_s).state in {self.polled[-1], State.DRAINING}

    def _reason(self) -> str:
        return self.trigger.reason(self.now_s - self.now_s % _REFRESH_S, self.now_s)


Updates.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestUpdates = Updates.TestCase
