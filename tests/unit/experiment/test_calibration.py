"""The search for the load that a machine carries, the file it goes to, and what a scenario asks for."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from testbed.cli.machine import calibrate
from testbed.experiment.progress import Silent
from testbed.experiment.scenario.file import parse
from testbed.experiment.systems.dyncast import calibration
from testbed.experiment.systems.dyncast.calibration import CalibrationError, Carried, Settings, search
from tests.scenarios import dyncast_plan, small_document, small_plan


@given(st.floats(20, 10_000), st.integers(0, 5))
def test_what_a_machine_carries_is_between_what_the_search_finds(limit: float, refinements: int) -> None:
    valid, not_valid = search(250, lambda load: load <= limit, refinements)
    assert valid is not None and not_valid is not None
    assert valid <= limit < not_valid
    assert not_valid / valid <= 1.15 * 2 ** (1 / 2**refinements)  # loads are round figures


def test_a_search_ends_whatever_the_machine_is() -> None:
    asked: list[float] = []
    assert search(100, lambda load: bool(asked.append(load)), 3) == (None, 6.25)  # type: ignore[func-returns-value]
    assert asked == [100, 50, 25, 12.5, 6.25]
    assert search(100, lambda _: True, 3) == (6400, None)


def test_a_load_is_tried_again_before_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def verdict(_: Any, load: float, __: float) -> tuple[str, tuple[str, ...]]:
        tried.append(load)
        is_hiccup = len(tried) == 1
        return ("suspect", ("a hiccup",)) if is_hiccup or load > 400 else ("valid", ())

    monkeypatch.setattr(calibration, "_verdict", verdict)
    found = calibration._of_kind(calibration.KINDS["requests_per_s"], Settings(refinements=0, tries=2), Silent())
    assert found == Carried(250.0, 500.0, ("a hiccup",))
    assert tried == [250, 250, 500, 500]


@pytest.mark.parametrize("name", calibration.KINDS)
@pytest.mark.parametrize("load", [1, 64, 1000, 64_000])
@pytest.mark.parametrize("settings", [Settings(), calibration.QUICK])
def test_each_load_is_a_scenario_that_asks_for_it(name: str, load: float, settings: Settings) -> None:
    document = calibration.KINDS[name].document(load, settings.duration_s)
    plan = dyncast_plan(parse(document, "calibration"), Path("calibration"))
    asked = calibration.asked(plan.scenario)
    assert asked[name] == pytest.approx(max(load, 50 if "rtp" in name else 0), abs=25)
    assert [load for other, load in asked.items() if other != name] == [0]


def test_a_file_is_read_where_it_was_written_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "results" / calibration.FILE
    assert calibration.read(path) == {}
    found = {"requests_per_s": Carried(500.0, 700.0, ("late",)), "rtp_packets_per_s": Carried(None, 60.0, ("slow",))}
    calibration.write(path, found, Settings())
    assert calibration.read(path) == found
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "machine": {**document["machine"], "cores": 1024}}))
    assert calibration.read(path) == {}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', '{"format": 1, "machine": 3, "carried": 4'])
def test_a_broken_file_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / calibration.FILE
    path.write_text(text)
    with pytest.raises(CalibrationError, match=r"calibration\.json cannot be read .*; run `dyncast calibrate` again"):
        calibration.read(path)


def test_a_scenario_that_asks_for_more_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / calibration.FILE
    assert calibration.warnings(small_plan(), path) == []
    calibration.write(
        path, {"requests_per_s": Carried(15.0, 30.0), "rtp_packets_per_s": Carried(None, 50.0)}, Settings()
    )
    (line,) = calibration.warnings(small_plan(), path)
    assert "asks for 20 requests/s" in line and "carried 15" in line


def test_the_command_line_passes_it_on(tmp_path: Path) -> None:
    calibration.write(tmp_path / calibration.FILE, {"requests_per_s": Carried(15.0, 30.0)}, Settings())
    said = Console(file=StringIO(), width=400)
    calibrate.warn(small_plan(), tmp_path, said)
    (tmp_path / calibration.FILE).write_text("{")
    calibrate.warn(small_plan(), tmp_path, said)
    assert isinstance(said.file, StringIO)
    first, second = said.file.getvalue().splitlines()
    assert first.startswith("dyncast: warning: the scenario asks for 20 requests/s")
    assert second.startswith("dyncast: warning: ") and "cannot be read" in second


def test_loads_count_together_only_where_they_meet() -> None:
    jobs = small_document()["workloads"][0]
    windows = [(0.0, 2.0, 100.0), (1.0, 3.0, 50.0), (2.0, 4.0, 80.0)]
    workloads = [
        {**jobs, "name": f"jobs-{number}", "arrivals": {"rate_per_s": rate, "start_s": begin_s, "end_s": end_s}}
        for number, (begin_s, end_s, rate) in enumerate(windows)
    ]
    scenario = parse(small_document(workloads=workloads), "small")
    assert calibration.asked(scenario)["requests_per_s"] == 150.0
    calls = parse(small_document(), "small")  # a call a second for a second, 50 packets each
    assert math.isclose(calibration.asked(calls)["rtp_packets_per_s"], 50.0)
