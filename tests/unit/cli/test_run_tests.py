"""What `dyncast test` makes of pytest's report."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.cli.machine import run_tests
from testbed.cli.machine.run_tests import Outcome, read_outcome, unexcused
from testbed.runtime.polling import wait_until

REPORT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest">
  <testcase classname="tests.a" name="passes"/>
  <testcase classname="tests.a" name="fails"><failure message="assert 1 == 2"/></testcase>
  <testcase classname="tests.a" name="breaks"><error message="fixture"/></testcase>
  <testcase classname="tests.a" name="expected"><skipped type="pytest.xfail" message="known"/></testcase>
  <testcase classname="tests.b" name="lacks"><skipped message="capability netem is missing: unknown"/></testcase>
  <testcase classname="tests.b" name="silent"><skipped message="Open vSwitch is not running"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted():
    outcome = read_outcome(REPORT)
    assert (outcome.passed, outcome.failed) == (2, 2)
    assert str(outcome) == "2 passed, 2 failed, 2 skipped"


def test_only_a_lacking_optional_capability_excuses_a_skip():
    assert unexcused(read_outcome(REPORT).skips) == [("tests.b::silent", "Open vSwitch is not running")]
    assert unexcused([("t", "needs root, whatever netem says")]) != []


def test_outcomes_of_tiers_add_up():
    assert str(Outcome(1, 0, (("a", "b"),)) + Outcome(2, 1)) == "3 passed, 1 failed, 1 skipped"


_SLOW_TO_CLEAN = """
import time
from pathlib import Path

import pytest


@pytest.fixture
def network():
    Path({up!r}).touch()
    yield
    time.sleep(1)
    Path({gone!r}).touch()


def test_it(network):
    time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_when_interrupted_it_ends_after_the_test_has_taken_away_its_network(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    up, gone, path = tmp_path / "up", tmp_path / "gone", tmp_path / "test_slow.py"
    path.write_text(_SLOW_TO_CLEAN.format(up=str(up), gone=str(gone)))
    command = [sys.executable, "-m", "testbed.cli", "test", str(path), "-q", "-p", "no:cacheprovider"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(up.exists, 60, "the test to begin")
    process.send_signal(number)
    assert process.wait(60) == code
    assert gone.exists()


@pytest.mark.parametrize("arguments", [[], ["-n", "2", "--dist", "loadfile"]], ids=["alone", "shared out"])
def test_what_fails_is_shown_and_counted(
    arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, body in (("right", "assert True"), ("wrong", "assert 1 == 2")):
        (tmp_path / f"test_{name}.py").write_text(f"def test_{name}(): {body}")
    report = run_tests._Report()
    run_tests._run_tests(report, "these", [*arguments, str(tmp_path)])
    said = capfd.readouterr().out
    assert said.index("== these") < said.index("assert 1 == 2")
    assert str(report.tests) == "1 passed, 1 failed, 0 skipped"
    assert not report.succeeded
