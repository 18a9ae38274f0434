"""How long a loop stood still: noted by the loop itself, and by a process that was halted meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.runtime.event_loop import run_until_terminated
from testbed.runtime.polling import wait_until
from testbed.runtime.pulse import INTERVAL_S, Gap, Pulse, pulse_path, recorded
from tests.machine import CHECKOUT


def _gaps(folder: Path) -> list[Gap]:
    told = recorded(pulse_path(folder, "p"))
    assert told is not None
    return [Gap(round(gap.begin_s, 6), round(gap.end_s, 6)) for gap in told.gaps]


def test_a_loop_that_looks_in_time_has_no_gap(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path, "p", 10.0)
    for _ in range(20):
        pulse.look(pulse.next_s() + 0.01)
    assert _gaps(tmp_path) == []


def test_a_look_that_comes_late_is_a_gap_from_when_it_was_due(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path, "p", 10.0)
    pulse.look(13.0)
    assert _gaps(tmp_path) == [Gap(10.0 + INTERVAL_S, 13.0)]


def test_a_timer_that_was_due_sooner_says_more(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path, "p", 10.0)
    pulse.look(13.0, 10.1)
    pulse.look(13.2, 13.9)  # woken by something else
    assert _gaps(tmp_path) == [Gap(10.1, 13.0)]


def test_who_wakes_often_need_not_be_woken(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path, "p", 10.0)
    now_s = 10.0
    for _ in range(20):
        now_s += 0.5
        assert pulse.next_s() > now_s
        pulse.look(now_s)


def test_what_may_take_long_is_left_out(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path, "p", 10.0)
    pulse.leave_out(15.0)
    pulse.look(15.1)
    assert _gaps(tmp_path) == []


@pytest.mark.parametrize(("ends", "has_ended"), [(True, True), (False, False)])
def test_a_process_that_did_not_come_to_its_end_is_known(ends: bool, has_ended: bool, tmp_path: Path) -> None:
    for _ in range(2):  # the second goes on where the first was killed
        pulse = Pulse(tmp_path, "p", 10.0)
    if ends:
        pulse.close(11.0)
        pulse.look(20.0)
    told = recorded(pulse_path(tmp_path, "p"))
    assert told == ((), has_ended)


def test_a_row_that_is_cut_short_is_none(tmp_path: Path) -> None:
    Pulse(tmp_path, "p", 10.0).look(13.0)
    with pulse_path(tmp_path, "p").open("a") as stream:
        stream.write("ended,1")
    told = recorded(pulse_path(tmp_path, "p"))
    assert told is not None and len(told.gaps) == 1 and not told.has_ended
    assert recorded(pulse_path(tmp_path, "q")) is None


def test_a_step_of_a_coroutine_that_takes_long_is_a_gap_and_what_follows_its_end_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        await asyncio.sleep(0.05)
        time.sleep(INTERVAL_S + 0.3)
        await asyncio.sleep(0.05)
        time.sleep(INTERVAL_S + 0.6)  # as who ends what it started

    run_until_terminated(main(), Pulse(tmp_path, "p", time.monotonic()))
    (gap,) = _gaps(tmp_path)
    assert 0.25 < gap.end_s - gap.begin_s < INTERVAL_S + 0.35


def test_a_process_that_waits_for_nothing_and_is_halted_notes_it(tmp_path: Path) -> None:
    document = {
        "name": "p", "out_dir": str(tmp_path), "zone": "edge.example", "addresses": ["127.0.0.1"],
        "port": 10053, "ttl_s": 5, "seed": 1, "services": [],
    }  # fmt: skip
    config = tmp_path / "p.json"
    config.write_text(json.dumps(document))
    with subprocess.Popen([sys.executable, "-m", "testbed.agents.name_server", str(config)], cwd=CHECKOUT) as process:
        wait_until((tmp_path / "p.ready").exists, 20, "the name server")
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(process.pid, signal.SIGCONT)
        wait_until(lambda: _gaps(tmp_path), 10, "its gap")
        process.terminate()
    assert max(gap.end_s - gap.begin_s for gap in _gaps(tmp_path)) > 1.4 - INTERVAL_S
    told = recorded(pulse_path(tmp_path, "p"))
    assert told is not None and told.has_ended
