"""What `--live` draws, as text: at 80 columns, on small terminals, and where there is no terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from testbed.experiment.live import watching
from testbed.experiment.live.state import LiveReader, LiveState
from testbed.experiment.live.terminal import LiveTerminal
from testbed.experiment.live.watching import Watched, shown
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import InstanceLoad
from testbed.records.writer import RecordWriter
from testbed.terminal.console import Screen
from tests.scenarios import small_document, small_plan

START_S = 1000.0


def _plan(instances: int = 0) -> Plan:
    faults = [
        {"kind": "link_down", "link": ["middle", "Chicago"], "at_s": 1, "until_s": 3},
        {"kind": "agent_silent", "site": "east", "at_s": 3.5},
    ]
    more = [{"service": "render", "site": "middle", "count": instances}] if instances else []
    return small_plan(faults=faults, instances=[*small_document()["instances"], *more])


def _state(plan: Plan, folder: Path, now_s: float) -> LiveState:
    with RecordWriter(folder, "client-1@east") as flows, RecordWriter(folder, "faults") as faults:
        for number in range(20):
            at_s = START_S + number / 10
            flows.write("flows", {"client": "client-1@east", "d_sid": "203.0.113.10", "due_s": at_s, "finished_s": at_s,
                                  "completion_ms": 30.0, "outcome": "ok" if number % 4 else "refused",
                                  "instance": f"render-1@{'middle' if number % 4 else 'east'}"})  # fmt: skip
        faults.write("faults", {"number": 0, "event": "begin", "time_s": START_S + 1.01})
    loads = [InstanceLoad(item.name, 1, 1, 4, 17, 5, 2, 0.8, now_s) for item in plan.instances[:-1]]
    reader = LiveReader(plan, folder, START_S)
    state = reader.read(now_s, loads)
    reader.close()
    return state


def _console(width: int = 80, height: int = 40, *, terminal: bool = True) -> Console:
    shown = {"force_terminal": terminal, "width": width, "height": height, "color_system": None}
    # Whatever terminal the tests are started at: a dumb one is drawn otherwise.
    return Console(file=io.StringIO(), _environ={"TERM": "xterm"}, **shown)  # type: ignore[arg-type]


def _written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def _drawn(tmp_path: Path, **size: Any) -> str:
    plan, console = _plan(), _console(**size)
    with LiveTerminal(plan, console).showing() as terminal:
        terminal.phase("traffic")
        terminal.show(_state(plan, tmp_path, START_S + 2.1))
    return _written(console)


def test_all_there_is_to_see_fits_in_eighty_columns(tmp_path: Path) -> None:
    text = _drawn(tmp_path)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "2 of 4 s, 2 s left" in text
    assert re.search(r"half in (29|30|31) ms.* failed", text)
    assert re.search(r"render-1@east\s+█.* 1/1\+4\s+80%\s+2\s+17\s+5", text)
    assert re.search(r"conference-1@middle\s+does not run", text)
    assert re.search(r"east\s+\d+\.\d █+ middle \d+%  east \d+%", text)
    assert "● since 1.0 s, until 3 s: link_down middle - Chicago" in text
    assert "○ in 1 s: agent_silent east" in text


def test_a_small_terminal_shows_the_busiest(tmp_path: Path) -> None:
    plan, console = _plan(instances=30), _console(height=24)
    console.print(LiveTerminal(plan, console)._drawn(_state(plan, tmp_path, START_S + 2.1)))
    text = _written(console)
    assert re.search(r"and \d+ less busy", text)
    assert len(text.splitlines()) <= 23  # one for the cursor
    assert "does not run" in text


def test_without_a_terminal_a_line_comes_now_and_then(tmp_path: Path) -> None:
    plan, console = _plan(), _console(terminal=False)
    terminal = LiveTerminal(plan, console)
    for now_s in (0.1, 0.6, 9.0, 10.2):
        terminal.show(_state(plan, tmp_path, START_S + now_s))
    lines = _written(console).splitlines()
    assert len(lines) == 4  # two, of two lines each
    assert "link_down middle - Chicago" in lines[2] and "render-1@east 1/1+4" in lines[3]


def test_the_last_state_stays_above_what_follows(tmp_path: Path) -> None:
    plan, console = _plan(), _console()
    with LiveTerminal(plan, console).showing() as terminal:
        terminal.show(_state(plan, tmp_path, START_S + 4.2))
        terminal.phase("ending the run")
    text = _written(console)
    assert text.rindex("render-1@east") < text.rindex("ending the run")
    assert "4 s; the last flows end" in text


class _Recorder:
    """A progress and a view that write down what they are told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def phase(self, text: str) -> None:
        self.told.append(text)

    def traffic(self, work: Path, start_s: float) -> None:  # noqa: ARG002
        self.told.append("traffic")

    def load(self, elapsed_s: float, duration_s: float, loads: Any) -> None:  # noqa: ARG002
        self.told.append("load")

    def show(self, state: LiveState) -> None:
        self.told.append(state)

    def end(self, end: dict[str, Any]) -> None:
        self.told.append(end)


def test_a_watched_run_is_looked_at_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = START_S
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: now_s))
    progress, view = _Recorder(), _Recorder()
    watched = Watched(progress, small_plan(), [view])
    watched.phase("building")
    watched.traffic(tmp_path, START_S)
    for _ in range(5):
        watched.load(1.0, 4.0, [])
    assert progress.told == ["building", "traffic", *["load"] * 5]
    assert view.told[0] == "building"
    assert len(view.told) == 2
    now_s += watching.LOOK_INTERVAL_S
    watched.load(1.5, 4.0, [])
    assert len(view.told) == 3
    watched.phase("a fault")  # looks first
    assert isinstance(view.told[3], LiveState) and view.told[4] == "a fault"
    now_s += 5
    watched.phase("drawing")
    assert view.told[5:] == ["drawing"]


def test_what_cannot_be_read_ends_the_watching_and_not_the_run(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, "faults") as writer:
        writer.write("faults", {"number": "nine", "event": "begin"})
    progress = _Recorder()
    watched = Watched(progress, small_plan(), [])
    watched.traffic(tmp_path, START_S)
    watched.load(1.0, 4.0, [])
    watched.phase("ending the run")
    assert "cannot watch the run any longer" in progress.told[2]
    assert progress.told[3] == "ending the run"


def test_how_a_run_ended_is_told(tmp_path: Path) -> None:
    view = _Recorder()
    watched = Watched(_Recorder(), small_plan(), [view])
    watched.traffic(tmp_path / "work", START_S)
    (tmp_path / "manifest.json").write_text('{"fidelity": {"verdict": "suspect", "reasons": ["late"]}}')
    watched.ended("finished")
    assert view.told == [
        {"status": "finished", "error": "", "run_dir": str(tmp_path), "verdict": "suspect", "reasons": ["late"]}
    ]


def test_each_phase_is_said_once() -> None:
    console = _console()
    with shown(small_plan(), console, live=True) as progress:
        progress.phase("building the [network]")
    assert _written(console).count("building the [network]") == 1


def test_by_default_nothing_is_read_or_served() -> None:
    with shown(small_plan(), _console()) as progress:
        assert not isinstance(progress, Watched)


@pytest.mark.parametrize("width", [1, 2, 10, 34, 40, 41, 46, 60, 79, 500])
@pytest.mark.parametrize("height", [1, 2, 10, 11, 60])
def test_a_terminal_of_any_size_is_drawn_on(width: int, height: int, tmp_path: Path) -> None:
    plan, file = _plan(), io.StringIO()
    for screen in (
        Screen(file=file, force_terminal=True, width=width, height=height),
        Screen(file=file, force_terminal=True, _environ={"COLUMNS": str(width), "LINES": str(height)}),
    ):
        with LiveTerminal(plan, screen).showing() as terminal:
            terminal.phase("traffic")
            for now_s in (-1.0, 2.1, 4.2):
                terminal.show(_state(plan, tmp_path, START_S + now_s))
    assert file.getvalue().count(" traffic\n") == 2
