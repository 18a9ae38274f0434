"""What a user can get wrong: one line on stderr that says what and the way out, and nothing left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.machine import dyncast, dyncast_without_root, small_disk, unchanged
from tests.scenarios import EXAMPLES, small_document


def _one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("dyncast: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "none.yaml"], ["none.yaml", "is the path right"]),
        (["validate", str(EXAMPLES / "first.yaml"), "--set", "polcy=closest"], ["polcy", "did you mean 'policy'"]),
        (["validate", str(EXAMPLES / "first.yaml"), "--set", "topology=topozoo/Nowhere"], ["topozoo/Nowhere"]),
        (["topology", "topozoo/Nowhere"], ["topozoo/Nowhere"]),
        (["report", "nowhere"], ["nowhere"]),
        (["frobnicate"], ["frobnicate", "--help"]),
        (["run"], ["SCENARIO", "--help"]),
        (["run", str(EXAMPLES / "first.yaml"), "--seed", "minus"], ["--seed"]),
    ],
)
def test_wrong_usage_or_input_is_one_line_and_code_2(arguments: list[str], words: list[str]) -> None:
    _one_line(dyncast(*arguments), 2, *words)


@pytest.mark.parametrize("command", ["demo", "run", "validate", "report", "topology", "doctor", "clean", "schema"])
def test_help_teaches(command: str) -> None:
    done = dyncast(command, "--help")
    assert done.returncode == 0
    assert f"dyncast {command}" in done.stdout


@pytest.mark.root
def test_without_root_a_run_says_so() -> None:
    scenario = str(EXAMPLES / "first.yaml")
    done = dyncast_without_root(["validate", scenario], "run", scenario, "--out", "/tmp/dyncast-nobody")
    _one_line(done, 1, "root", "sudo")


@pytest.mark.root
def test_no_room_for_results(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as small, unchanged():
        done = dyncast("run", str(EXAMPLES / "first.yaml"), "--out", str(small))
    _one_line(done, 1, str(small), "MiB free", "--out")


@pytest.mark.root
def test_results_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _one_line(dyncast("run", str(EXAMPLES / "first.yaml"), "--out", str(tmp_path / "file")), 1, "file", "--out")


@pytest.mark.root
def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small_document(emulation={"link": "netem"})))
    from testbed.emulation.machine.capabilities import probe

    if probe().has("netem"):
        pytest.skip("capability netem is there: no backend to miss")
    with unchanged():
        done = dyncast("run", str(path), "--out", str(tmp_path / "results"))
    _one_line(done, 1, "netem")
