"""When a binding is told of: triggers, hysteresis, states, dampening."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.dyncast.messages.reports import BindingReport, report_of
from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import Dampening, FigureOfMerit
from testbed.dyncast.metric_agent.update_triggers import Reporting, UpdateTrigger
from testbed.dyncast.metrics.levels import RawMetrics, State
from tests.dyncast_samples import D_SID, NEAR

_DAMPENING = Dampening(half_life_s=10, suppress=3, reuse=1, max_suppress_s=40)
_LONG_S = 1000.0


def up(queue_length: int = 0, *, state: State = State.UP, **changes: Any) -> BindingReport:
    raw = RawMetrics(4, queue_length=queue_length, queue_limit=10**6, **changes)
    return report_of(D_SID, NEAR, state, raw)


DOWN = report_of(D_SID, NEAR, State.DOWN, None)
DRAINING = up(state=State.DRAINING)


def scored(score: int) -> BindingReport:
    report = up(utilisation=1 - score / 10)
    assert report.score == score
    return report


class Told:
    """What an agent that looks at one binding at given times would tell; refreshes begin at 0."""

    def __init__(self, trigger: Threshold | Band | None = None, dampening: Dampening | None = None) -> None:
        self.trigger = UpdateTrigger(Reporting(_LONG_S, trigger, dampening=dampening))

    def see(self, seen: BindingReport, now_s: float, *, is_absent: bool = False) -> str:
        self.trigger.observe(seen, now_s, is_absent=is_absent)
        return self.look(now_s)

    def miss(self, now_s: float) -> str:
        return self.see(DOWN, now_s, is_absent=True)

    def look(self, now_s: float) -> str:
        reason = self.trigger.reason(now_s - now_s % _LONG_S, now_s)
        if reason:
            self.trigger.on_reported(now_s)
        return reason


def reasons(trigger: Threshold | Band | None, *seen: BindingReport) -> list[str]:
    told = Told(trigger)
    return [told.see(report, number / 100) for number, report in enumerate(seen)]


def test_a_threshold_is_passed_by_what_was_told_not_by_what_was_seen() -> None:
    said = reasons(Threshold("queue_length", absolute=5), up(0), up(4), up(5), up(9), up(10), up(6), up(5))
    assert said == ["state", "", "change", "", "change", "", "change"]


def test_a_relative_threshold_goes_by_what_was_told() -> None:
    said = reasons(Threshold("queue_length", relative=0.5), up(0), up(1), up(1), up(2), up(3), up(2), up(1))
    assert said == ["state", "change", "", "change", "change", "", "change"]


def test_either_of_two_thresholds_will_do() -> None:
    both = Threshold("queue_length", absolute=5, relative=0.5)
    assert reasons(both, up(4), up(6), up(100), up(106), up(103)) == ["state", "change", "change", "change", ""]


def test_a_move_back_must_be_larger_by_the_hysteresis() -> None:
    sticky = Threshold("queue_length", absolute=10, hysteresis_share=0.5)
    said = reasons(sticky, up(0), up(10), up(0), up(20), up(6), up(5), up(15), up(20))
    #              first    up      back   on      back   far    back    far
    assert said == ["state", "change", "", "change", "", "change", "", "change"]


def test_hysteresis_goes_for_relative_thresholds_too() -> None:
    sticky = Threshold("queue_length", relative=0.5, hysteresis_share=0.5)
    assert reasons(sticky, up(100), up(200), up(100), up(50)) == ["state", "change", "", "change"]


def test_figures_that_follow_from_others_have_thresholds_too() -> None:
    half = Threshold("memory_utilisation", absolute=0.5)
    some, more = up(memory_bytes=1, memory_limit_bytes=4), up(memory_bytes=3, memory_limit_bytes=4)
    assert reasons(half, some, more) == ["state", "change"]


def test_a_score_is_told_when_it_leaves_its_band() -> None:
    said = reasons(Band(), scored(10), scored(8), scored(7), scored(4), scored(3), scored(0), scored(4), scored(8))
    assert said == ["state", "", "change", "", "change", "", "change", "change"]


def test_every_score_may_be_a_band() -> None:
    assert reasons(Band(tuple(range(1, 11))), scored(5), scored(5), scored(6)) == ["state", "", "change"]


def test_a_score_at_the_edge_of_a_band_does_not_flap_with_hysteresis() -> None:
    said = reasons(Band(hysteresis_points=1), scored(8), scored(7), scored(8), scored(6), scored(8), scored(9))
    assert said == ["state", "", "", "change", "", "change"]


@pytest.mark.parametrize("trigger", [None, Threshold("queue_length", absolute=1e9), Band()])
def test_a_state_is_told_at_once_and_that_it_is_down_at_two_polls(trigger: Threshold | Band | None) -> None:
    told = Told(trigger)
    assert told.see(up(), 0) == "state"
    assert told.see(DOWN, 1) == "state"
    assert told.look(1.5) == ""  # the same poll
    assert told.see(DOWN, 2) == "state"
    assert told.see(DOWN, 3) == ""
    assert told.see(up(), 4) == "state"
    assert told.see(DRAINING, 5) == "state"
    assert told.see(DRAINING, 6) == ""


def test_a_refresh_repeats_everything_but_that_it_is_down_before_the_next_poll() -> None:
    told = Told()
    told.see(up(), 0)
    assert told.look(_LONG_S) == "refresh"
    assert told.look(_LONG_S + 1) == ""
    told.see(DOWN, _LONG_S + 1)
    assert told.look(2 * _LONG_S) == ""
    assert told.see(DOWN, 2 * _LONG_S + 1) == "state"
    assert told.see(DOWN, 3 * _LONG_S) == "refresh"


def test_what_is_not_there_yet_is_not_told_of_and_what_is_gone_is_down_twice_and_then_nothing() -> None:
    told = Told()
    assert [told.miss(0), told.miss(1), told.look(_LONG_S)] == ["", "", ""]
    assert told.see(up(), _LONG_S + 1) == "state"
    assert told.see(DRAINING, _LONG_S + 2) == "state"
    gone_s = _LONG_S + 3
    assert told.miss(gone_s) == "state"
    assert told.look(gone_s + 0.5) == "", "the next poll must confirm it"
    assert told.miss(gone_s + 1) == "state"
    assert told.trigger.report(gone_s + 1).state is State.DOWN
    assert [told.miss(gone_s + 2), told.look(3 * _LONG_S)] == ["", ""], "not even at a refresh"
    assert told.see(up(), 4 * _LONG_S) == "state"


def test_whoever_does_not_answer_any_more_is_down_until_it_says_that_it_does_not_serve_this() -> None:
    told = Told()
    told.see(up(), 0)
    assert [told.see(DOWN, 1), told.see(DOWN, 2), told.see(DOWN, _LONG_S)] == ["state", "state", "refresh"]
    assert [told.miss(_LONG_S + 1), told.miss(_LONG_S + 2), told.look(2 * _LONG_S)] == ["", "", ""]


def test_a_metric_that_flaps_is_suppressed_and_told_again_when_it_has_calmed() -> None:
    told = Told(Threshold("queue_length", absolute=5), _DAMPENING)
    said = [told.see(up(10 * (number % 2)), number / 10) for number in range(40)]
    assert said[:4] == ["state", "change", "change", "change"]
    assert not any(said[4:])
    # What it calms down to is not what was told last.
    times_s = [4 + number for number in range(100)]
    recovered = [now_s for now_s in times_s if told.see(up(20), now_s) == "change"]
    assert len(recovered) == 1
    # At its ceiling of 1 x 2^(40/10) the penalty takes 40 s to decay to 1.
    assert 40 <= recovered[0] <= 46
    assert told.see(up(0), 110) == "change"


def test_a_single_change_while_suppressed_does_not_count_at_each_look() -> None:
    told = Told(Threshold("queue_length", absolute=5), _DAMPENING)
    for number in range(5):
        told.see(up(10 * (number % 2)), number / 10)
    said = {now_s: told.see(up(100), now_s) for now_s in range(1, 60)}
    first = min(now_s for now_s, reason in said.items() if reason)
    assert 20 < first <= 25  # five changes decay to 1 in 10 x log2(5) = 23 s


def test_an_instance_that_flaps_is_told_of_as_draining_until_it_has_calmed() -> None:
    told = Told(None, _DAMPENING)
    said = [told.see((up(), DOWN)[number % 2], number / 10) for number in range(41)]
    assert said[:4] == ["state"] * 4  # up, down, up, down: suppressed from the fourth change on
    assert not any(said[4:])
    assert told.look(_LONG_S - 960) == ""
    assert told.trigger.report(5.0).state is State.DRAINING
    times_s = [5 + number for number in range(100)]
    assert len([now_s for now_s in times_s if told.see(up(), now_s) == "state"]) == 1
    assert told.trigger.report(105).state is State.UP


def test_going_down_is_told_even_when_metrics_flapped() -> None:
    told = Told(Threshold("queue_length", absolute=5), _DAMPENING)
    for number in range(10):
        told.see(up(10 * (number % 2)), number / 10)
    assert told.see(DOWN, 1) == "state"
    assert told.see(up(), 1.1) == ""


def test_a_refresh_while_suppressed_tells_the_figures_of_the_moment() -> None:
    told = Told(None, _DAMPENING)
    for number in range(6):
        told.see((up(), DOWN)[number % 2], _LONG_S - 1 + number / 10)
    assert told.see(up(7), _LONG_S) == "refresh"
    assert told.trigger.report(_LONG_S) == up(7, state=State.DRAINING)


def test_a_figure_of_merit_halves_each_half_life_and_has_a_ceiling() -> None:
    merit = FigureOfMerit(_DAMPENING)
    merit.add(0)
    assert merit.value(10) == 0.5
    assert merit.value(20) == 0.25
    for _ in range(100):
        merit.add(20)
    assert merit.value(20) == 16
    assert merit.is_suppressed(60)
    assert not merit.is_suppressed(60.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Threshold("queue", absolute=1), "metric 'queue' does not exist; there are: workers"),
        (lambda: Threshold("queue_length"), "needs absolute or relative"),
        (lambda: Threshold("queue_length", absolute=0), "each > 0"),
        (lambda: Threshold("queue_length", absolute=1, hysteresis_share=-1), "hysteresis_share must be >= 0"),
        (lambda: Band(()), r"edges must rise within 1\.\.10"),
        (lambda: Band((8, 4)), r"edges must rise within 1\.\.10, not \[8, 4\]"),
        (lambda: Band((4, 4)), "edges must rise"),
        (lambda: Band((0, 4)), "edges must rise"),
        (lambda: Band(hysteresis_points=-1), "hysteresis_points must be >= 0"),
        (lambda: Dampening(10, 1, 1, 40), "reuse must be > 0 and below suppress"),
        (lambda: Dampening(0, 3, 1, 40), "half_life_s must be > 0"),
        (lambda: Dampening(10, 4, 1, 20), "max_suppress_s must be above 20 s, the time from suppress to reuse"),
        (lambda: Reporting(0), "refresh_s must be > 0 and finite, not 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
