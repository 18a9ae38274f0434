"""Echo requests and their answers, by a switch that is a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from ryu_apps.openflow.control_delay import ControlDelay
from testbed.experiment.systems.dyncast.run.fidelity import control_delays_ms


class Switch:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.ofproto_parser = SimpleNamespace(OFPEchoRequest=lambda _, data: data)

    def send_msg(self, data: bytes) -> None:
        self.sent.append(data)


def _delay(folder: Path, *, has_flows: bool = True) -> ControlDelay:
    return ControlDelay(folder, "control@east", lambda: has_flows)


def _delays(folder: Path, since_s: float = 0.0) -> list[float]:
    return control_delays_ms(folder, since_s)["control@east"]


def test_each_answer_says_how_long_it_took(tmp_path: Path) -> None:
    delay, switch = _delay(tmp_path), Switch()
    for now_s in (10.0, 10.05, 10.25, 10.3):
        delay.on_timer(switch, now_s)
    assert len(switch.sent) == 2
    delay.on_answer(b"", 10.3)  # the framework's own
    delay.on_answer(switch.sent[0], 10.0015)
    delay.on_answer(switch.sent[1], 10.26)
    delay.flush()
    assert _delays(tmp_path) == [1.5, 60.0]  # the second was due at 10.2
    assert _delays(tmp_path, since_s=10.1) == [60.0]
    delay.close(11.0)
    assert _delays(tmp_path) == [1.5, 60.0]


def test_what_is_never_answered_waits_until_the_end(tmp_path: Path) -> None:
    delay, switch = _delay(tmp_path), Switch()
    for now_s in (10.0, 10.2, 10.4):
        delay.on_timer(switch, now_s)
    delay.on_answer(switch.sent[0], 10.9)
    delay.close(13.0)
    assert _delays(tmp_path) == [900.0, 2800.0, 2600.0]


def test_a_process_that_was_halted_owes_the_requests_that_were_due_meanwhile(tmp_path: Path) -> None:
    delay, switch = _delay(tmp_path), Switch()
    delay.on_timer(switch, 10.0)
    delay.on_answer(switch.sent[0], 10.001)
    delay.on_timer(switch, 12.0)
    assert len(switch.sent) == 2
    delay.on_answer(switch.sent[1], 12.001)
    delay.close(13.0)
    assert _delays(tmp_path) == [1.0, *(pytest.approx(2001.0 - 200 * number) for number in range(1, 11))]


def test_a_switch_that_went_away_makes_wait_until_it_is_back(tmp_path: Path) -> None:
    delay, switch = _delay(tmp_path), Switch()
    delay.on_timer(None, 5.0)  # it has not come yet: nothing is due
    delay.on_timer(switch, 10.0)
    delay.on_answer(switch.sent[0], 10.001)
    for now_s in (10.2, 10.4, 10.6):
        delay.on_timer(None, now_s)
    delay.on_timer(switch, 10.8)
    delay.on_answer(switch.sent[1], 10.81)
    delay.close(20.0)
    assert _delays(tmp_path) == [1.0, 610.0, 410.0, 210.0, 10.0]


def _asked_s(delay: ControlDelay, from_s: float, to_s: float, packets_s: Sequence[float] = ()) -> list[float]:
    """Return when a switch is asked that answers in a millisecond; it sends packets at some times."""
    switch, asked = Switch(), []
    for now_s in sorted({*packets_s, *(from_s + tick / 100 for tick in range(round(100 * (to_s - from_s))))}):
        if now_s in packets_s:
            delay.on_packet(now_s)
        if now_s >= delay.next_timer_s():
            delay.on_timer(switch, now_s)
            asked.append(now_s)
            delay.on_answer(switch.sent[-1], now_s + 0.001)
    return asked


def test_without_flows_a_second_passes_between_two_requests_and_with_some_a_fifth(tmp_path: Path) -> None:
    idle, busy = _delay(tmp_path, has_flows=False), _delay(tmp_path)
    assert _asked_s(idle, 10.0, 14.0) == pytest.approx([10.0, 11.0, 12.0, 13.0])
    assert _asked_s(busy, 10.0, 11.0) == pytest.approx([10.0, 10.2, 10.4, 10.6, 10.8])


def test_a_packet_has_the_next_request_due_at_once_and_more_for_a_second_to_come(tmp_path: Path) -> None:
    asked = _asked_s(_delay(tmp_path, has_flows=False), 10.0, 15.0, packets_s=(10.55, 10.6))
    assert asked == pytest.approx(
        [10.0, 10.55, 10.75, 10.95, 11.15, 11.35, 11.55, 11.75, 12.75, 13.75, 14.75], abs=0.02
    )


@pytest.mark.parametrize("begin_s", [11.001, 11.5, 11.999])
def test_who_stands_still_for_two_seconds_without_flows_waited_for_more_than_one(
    tmp_path: Path, begin_s: float
) -> None:
    delay, switch = _delay(tmp_path, has_flows=False), Switch()
    for now_s in (10.0, 11.0, begin_s + 2.0):
        delay.on_timer(switch, now_s)
        delay.on_answer(switch.sent[-1], now_s)
    delay.close(20.0)
    assert max(_delays(tmp_path)) >= 1000


def test_a_process_that_never_had_a_switch_measured_nothing(tmp_path: Path) -> None:
    delay = _delay(tmp_path)
    for now_s in (10.0, 10.2, 10.4):
        delay.on_timer(None, now_s)
        assert delay.next_timer_s() > now_s
    delay.close(20.0)
    assert _delays(tmp_path) == []


def test_a_process_that_comes_back_goes_on_with_the_file(tmp_path: Path) -> None:
    for begin_s in (10.0, 20.0):
        delay, switch = _delay(tmp_path), Switch()
        delay.on_timer(switch, begin_s)
        delay.on_answer(switch.sent[0], begin_s + 0.001)
        delay.close(begin_s + 1)
    assert _delays(tmp_path) == [1.0, 1.0]
