"""Parts of a control process are called when they ask to be, and together where that may be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from ryu_apps.openflow.framework import hub
from ryu_apps.openflow.timers import Timers
from testbed.runtime.pulse import Pulse, pulse_path, recorded


class _Part:
    """Wants to be called at times from now."""

    def __init__(self, *after_s: float) -> None:
        begun_s = time.monotonic()
        self.due = [begun_s + seconds for seconds in after_s]
        self.called: list[float] = []

    def next_timer_s(self) -> float:
        return self.due[0] if self.due else math.inf

    def on_timer(self, now_s: float) -> None:
        self.called.append(now_s)
        self.due.pop(0)


def _pulse(folder: Path) -> Pulse:
    return Pulse(folder, "control@east", time.monotonic())


def _run(timers: Timers, for_s: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    thread = hub.spawn(timers.run)
    hub.sleep(for_s / 2)
    meanwhile()
    hub.sleep(for_s / 2)
    hub.kill(thread)


def test_a_part_is_called_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    timers, part, never = Timers(_pulse(tmp_path)), _Part(0.02, 0.05), _Part()
    due = list(part.due)
    timers.add(part.next_timer_s, part.on_timer)
    timers.add(never.next_timer_s, never.on_timer)
    _run(timers, 0.2)
    assert len(part.called) == 2 and never.called == []
    assert all(called >= asked for called, asked in zip(part.called, due, strict=True))


def test_what_came_in_may_wake_a_part_sooner(tmp_path: Path) -> None:
    timers, part = Timers(_pulse(tmp_path)), _Part(3600)
    timers.add(part.next_timer_s, part.on_timer)

    def input_comes() -> None:
        part.due[0] = time.monotonic()
        timers.look_again()

    _run(timers, 0.1, input_comes)
    assert len(part.called) == 1


def test_a_part_that_may_be_early_goes_along_with_another(tmp_path: Path) -> None:
    timers, strict, easy = Timers(_pulse(tmp_path)), _Part(0.02), _Part(0.05)
    timers.add(strict.next_timer_s, strict.on_timer)
    timers.add(easy.next_timer_s, easy.on_timer, early_s=0.04)
    _run(timers, 0.2)
    assert easy.called == pytest.approx(strict.called, abs=0.01)


def test_a_part_that_asks_for_the_past_leaves_others_their_turn(tmp_path: Path) -> None:
    timers = Timers(_pulse(tmp_path))
    calls: list[float] = []
    timers.add(lambda: -math.inf, calls.append)
    _run(timers, 0.1)
    assert 5 < len(calls) <= 101


def test_a_long_step_of_anybody_is_a_gap_though_no_part_was_due(tmp_path: Path) -> None:
    timers, never = Timers(_pulse(tmp_path)), _Part()
    timers.add(never.next_timer_s, never.on_timer)
    _run(timers, 0.1, lambda: time.sleep(0.9))
    told = recorded(pulse_path(tmp_path, "control@east"))
    assert told is not None
    (gap,) = told.gaps
    assert 0.25 < gap.end_s - gap.begin_s < 0.9  # by as much as a look was due before it ended


def test_a_process_with_nothing_to_do_is_awake_for_its_pulse_alone(tmp_path: Path) -> None:
    timers, part = Timers(_pulse(tmp_path)), _Part()
    asked: list[float] = []
    timers.add(lambda: asked.append(time.monotonic()) or math.inf, part.on_timer)  # type: ignore[func-returns-value]
    _run(timers, 2.0)
    assert 1 <= sum(later - sooner > 0.1 for sooner, later in pairwise(asked)) <= 4
