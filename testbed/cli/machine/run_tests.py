"""`dyncast test`: the checks and the tests of a checkout, tier by tier, ending in one line of counts.

Owns which tiers there are and when a skipped test counts as a failure. The tests themselves and their
markers are pytest's business; nothing here knows what they test.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.cli.machine import checkout, isolation
from testbed.runtime.signals import signals_as_exit

# What a machine may lack without fault, as the reason of a skip says it: `capability netem is missing: …`.
# Everything else the launcher installs or starts, so that its absence in CI is a tier that silently did not run.
# Chromium it installs on Debian; Ubuntu has none that runs in a container.
OPTIONAL_CAPABILITIES = ("netem", "datapath_system", "cgroup", "chromium", "node", "npm", "runc", "bwrap")

CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("mypy", ("-m", "mypy")),
    ("import contracts", ("-c", "from importlinter.cli import lint_imports_command as main; main()")),
)
QUICK = ("tests/unit", "tests/property", "tests/flowtable", "tests/fuzz")
# Those whose files take longest first: so that what is left in the end is short.
ON_NETWORKS = ("tests/front_door", "tests/e2e", "tests/integration")
_MOST_MACHINES = 5


@dataclass(frozen=True)
class Outcome:
    """What one pytest run came to; `skips` are (test, reason)."""

    passed: int = 0
    failed: int = 0
    skips: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.passed + other.passed, self.failed + other.failed, self.skips + other.skips)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {len(self.skips)} skipped"


@dataclass
class _Report:
    lines: list[str] = field(default_factory=list)
    tests: Outcome = Outcome()
    succeeded: bool = True

    def add(self, name: str, succeeded: bool, took_s: float, detail: str = "") -> None:
        self.succeeded = self.succeeded and succeeded
        verdict = detail or ("ok" if succeeded else "FAILED")
        self.lines.append(f"  {name:<34} {verdict:<40} {took_s:6.1f} s")


def read_outcome(junit_xml: str) -> Outcome:
    """Count the test cases of a JUnit report as pytest writes it; an error in set-up or tear-down is a failure."""
    passed = failed = 0
    skips = []
    for case in ElementTree.fromstring(junit_xml).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skipped is not None and skipped.get("type") != "pytest.xfail":
            skips.append((f"{case.get('classname')}::{case.get('name')}", skipped.get("message") or ""))
        else:
            passed += 1
    return Outcome(passed, failed, tuple(skips))


def unexcused(skips: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the skips that no optional capability explains."""
    excuses = tuple(f"capability {name} " for name in OPTIONAL_CAPABILITIES)
    return [(test, reason) for test, reason in skips if not reason.startswith(excuses)]


def run(slow: bool = False, extra: Sequence[str] = ()) -> int:
    """Run checks and tests from the checkout; return 0 if all is well, 1 if not.

    `slow` adds the exhaustive tests. With `extra` pytest arguments only pytest runs, once, with these. Under
    `CI=true` a skip that no optional capability explains is a failure. Raises NoCheckout.
    """
    checkout.check()
    report = _Report()
    selection = ["-m", "slow or not slow"] if slow else []
    if extra:
        _run_tests(report, "pytest", [*selection, *extra])
    else:
        _run_everything(report, selection)
    return _close(report)


def _run_everything(report: _Report, selection: list[str]) -> None:
    for name, arguments in CHECKS:
        started_s = time.monotonic()
        succeeded = _python(name, arguments) == 0
        report.add(name, succeeded, time.monotonic() - started_s)
    _run_tests(report, "unit, property, flow table", [*selection, "-n", "2", *_existing(QUICK)])
    on_networks = [*selection, *_existing(ON_NETWORKS)]
    is_isolated = isolation.is_possible()
    if is_isolated:
        on_networks = [*on_machines_of_their_own(), *on_networks]
    _run_tests(report, "front door, end to end, networks", on_networks, is_isolated=is_isolated)


def on_machines_of_their_own() -> list[str]:
    """Return the arguments by which files of tests are shared out among workers, each on a machine of its own.

    One for each core: with more, runs are late that their tests expect to be on time.
    """
    count = min(max(2, len(os.sched_getaffinity(0))), _MOST_MACHINES)
    worker = f"{count}*popen//python={shlex.join(isolation.INTERPRETER)}"
    return ["--dist", "loadfile", "--no-loadscope-reorder", "--tx", worker]


def _run_tests(report: _Report, name: str, arguments: Sequence[str], *, is_isolated: bool = False) -> None:
    with _Tests(name, arguments, is_isolated=is_isolated) as tests:
        tests.finish(report)


class _Tests:
    """A run of pytest, from its start on. `is_isolated`: its workers are on machines of their own."""

    def __init__(self, name: str, arguments: Sequence[str], *, is_isolated: bool = False) -> None:
        self._name = name
        self._is_isolated = is_isolated
        self._folder = tempfile.TemporaryDirectory(prefix="dyncast-test-")
        self._junit = Path(self._folder.name) / "report.xml"
        self._started_s = time.monotonic()
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", "pytest", f"--junitxml={self._junit}", *arguments]
        self._process = subprocess.Popen(command, cwd=checkout.ROOT)

    def __enter__(self) -> _Tests:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process.poll() is None:
            if self._is_isolated:
                self._process.kill()  # and with it the machines of its workers
            elif kind is SystemExit or not sys.stdin.isatty():
                # Tests take away what they have built; a terminal interrupts them as well as this process.
                self._process.send_signal(signal.SIGINT)
            self._process.wait()
        self._folder.cleanup()

    def finish(self, report: _Report) -> None:
        """Wait until it ends, and report what it came to."""
        with signals_as_exit():
            code = self._process.wait()
        ended_s = time.monotonic()
        tests = read_outcome(self._junit.read_text(encoding="utf-8")) if self._junit.exists() else Outcome()
        report.tests += tests
        detail = str(tests) if code in (0, 1) else f"FAILED: pytest ended with {code}, {tests}"
        report.add(self._name, code == 0, ended_s - self._started_s, detail)


def _close(report: _Report) -> int:
    print("\n== summary", *report.lines, sep="\n")
    tests = report.tests
    silent = unexcused(tests.skips)
    if silent and os.environ.get("CI") == "true":
        print("  FAILED: tests that must run in CI were skipped:")
        for test, reason in silent:
            print(f"    {test}: {reason}")
        tests = Outcome(tests.passed, tests.failed + len(silent), tuple(set(tests.skips) - set(silent)))
    succeeded = report.succeeded and not tests.failed
    print("  all is well" if succeeded else "  FAILED: see above", tests, sep="\n", flush=True)
    return 0 if succeeded else 1


def _existing(folders: Sequence[str]) -> list[str]:
    return [folder for folder in folders if any((checkout.ROOT / folder).glob("**/test_*.py"))]


def _python(name: str, arguments: Sequence[str]) -> int:
    print(f"\n== {name}", flush=True)
    return subprocess.run([sys.executable, *arguments], cwd=checkout.ROOT, check=False).returncode
