"""Echo requests and their answers, by a switch that is a list."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ryu_apps.openflow.control_delay import ControlDelay
from testbed.experiment.systems.dyncast.run.fidelity import control_delays_ms


class Switch:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.ofproto_parser = SimpleNamespace(OFPEchoRequest=lambda _, data: data)

    def send_msg(self, data: bytes) -> None:
        self.sent.append(data)


def _delays(folder: Path, since_s: float = 0.0) -> list[float]:
    return control_delays_ms(folder, since_s)["control@east"]


def test_each_answer_says_how_long_it_took(tmp_path: Path) -> None:
    delay, switch = ControlDelay(tmp_path, "control@east"), Switch()
    for now_s in (10.0, 10.05, 10.25, 10.3):
        delay.on_timer(switch, now_s)
    assert len(switch.sent) == 2
    delay.on_answer(b"", 10.3)  # the framework's own
    delay.on_answer(switch.sent[0], 10.0015)
    delay.on_answer(switch.sent[1], 10.26)
    delay.flush()
    assert _delays(tmp_path) == [1.5, 10.0]
    assert _delays(tmp_path, since_s=10.1) == [10.0]
    delay.close(11.0)
    assert _delays(tmp_path) == [1.5, 10.0]


def test_what_is_never_answered_waits_until_the_end(tmp_path: Path) -> None:
    delay, switch = ControlDelay(tmp_path, "control@east"), Switch()
    for now_s in (10.0, 10.5, 11.0):
        delay.on_timer(switch, now_s)
    delay.on_answer(switch.sent[0], 10.9)
    delay.close(13.0)
    assert _delays(tmp_path) == [900.0, 2500.0, 2000.0]


def test_a_switch_that_went_away_owes_nothing(tmp_path: Path) -> None:
    delay: Any = ControlDelay(tmp_path, "control@east")
    delay.on_timer(Switch(), 10.0)
    delay.on_timer(None, 10.1)
    delay.close(20.0)
    assert _delays(tmp_path) == []


def test_a_process_that_comes_back_goes_on_with_the_file(tmp_path: Path) -> None:
    for begin_s in (10.0, 20.0):
        delay, switch = ControlDelay(tmp_path, "control@east"), Switch()
        delay.on_timer(switch, begin_s)
        delay.on_answer(switch.sent[0], begin_s + 0.001)
        delay.close(begin_s + 1)
    assert _delays(tmp_path) == [1.0, 1.0]
