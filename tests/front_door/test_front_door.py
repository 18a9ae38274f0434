"""Every command that README, docs and help show runs through the launcher in a fresh clone; long ones in a short form.

A command that is shown without a known form fails in tests/unit/test_documented_commands.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from testbed.runtime.polling import wait_until
from tests import theory_run
from tests.documented_commands import RUN, TINY_STUDY, documented, form_of, short_form
from tests.fresh_clone import FreshClone
from tests.study_runs import write_study_run

pytestmark = pytest.mark.timeout(600)

_STUDY = {
    "name": "tiny",
    "scenario": "docs/examples/first.yaml",
    "grid": {"duration_s": [2]},
    "policies": ["closest", "dyncast"],
    "seeds": 1,
}


def _cases() -> Iterator[object]:
    short: dict[tuple[str, ...], str] = {}
    for command in documented():
        short.setdefault(tuple(short_form(command)), command)
    for arguments, command in short.items():
        form = form_of(command)
        assert form is not None
        marks = [*([pytest.mark.root] if form.root else []), *([pytest.mark.slow] if form.slow else [])]
        yield pytest.param(command, arguments, id=command, marks=marks)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshClone]:
    """A fresh clone with finished runs and a study of two runs."""
    before = os.environ.pop("DYNCAST_VENV", None)
    folder = tmp_path_factory.mktemp("fresh clone")
    fresh = FreshClone(folder)
    (folder / TINY_STUDY).write_text(yaml.safe_dump(_STUDY))
    results = folder / "results"
    for study in {path.stem for path in (folder / "docs" / "examples" / "studies").glob("*.yaml")}:
        _write_study(results / study)
    write_study_run(results / "first" / RUN)
    write_study_run(results / "first" / "20260102-030406", "dyncast", completions_ms=(9.0, 8.0))
    theory_run.write(results / "theory" / RUN)
    yield fresh
    shutil.rmtree(folder)
    if before is not None:
        os.environ["DYNCAST_VENV"] = before


def _write_study(folder: Path) -> None:
    for variant in ("two sites", "each 2 s"):
        for policy in ("closest", "dyncast"):
            run_dir = folder / "runs" / f"{policy} {variant}" / RUN
            write_study_run(
                run_dir, policy, manifest={"case": {"study": folder.name, "settings": {"variant": variant}}}
            )


@pytest.fixture(scope="module")
def running(clone: FreshClone) -> Iterator[None]:
    """A run that is up in the clone; interrupted at the end, it leaves nothing."""
    command = clone.command("run", "docs/examples/first.yaml", "--set", "duration_s=900")
    run = subprocess.Popen(command, cwd=clone.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: clone.dyncast("bindings", "--json").stdout.count("d_bid") > 3 or run.poll(), 180, "bindings")
        assert run.poll() is None
        yield
    finally:
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "interrupted; everything was removed" in said


def test_the_modules_are_the_clone_s_own(clone: FreshClone) -> None:
    code = "import testbed, traffic, topologies, ryu_apps; print(testbed, traffic, topologies, ryu_apps)"
    python = str(clone.path / ".venv" / "bin" / "python")
    shown = subprocess.run([python, "-c", code], cwd="/", capture_output=True, text=True, check=True).stdout
    assert shown.count(str(clone.path)) == 4


@pytest.mark.parametrize(("command", "arguments"), [*_cases()])
def test_what_is_shown_runs(
    command: str, arguments: tuple[str, ...], clone: FreshClone, request: pytest.FixtureRequest
) -> None:
    form = form_of(command)
    assert form is not None
    if form.inside_a_run:
        request.getfixturevalue("running")
    done = clone.dyncast(*arguments, timeout_s=580)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.root
def test_a_function_is_invoked_by_curl(clone: FreshClone) -> None:
    command = clone.command("faas", "--port", "0", "--auth", "me:secret")
    served = subprocess.Popen(command, cwd=clone.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        first = served.stdout.readline()
        assert first.startswith("apihost=http://127.0.0.1:") and first.endswith(" auth=me:secret\n")
        action = f"{first.split()[0].removeprefix('apihost=')}/api/v1/namespaces/_/actions/hello"
        curl = [
            "curl",
            "--silent",
            "--fail",
            "--noproxy",
            "*",
            "-u",
            "me:secret",
            "-H",
            "Content-Type: application/json",
        ]
        code = '{"exec": {"kind": "python:3", "code": "def main(args): return {\\"hello\\": args}"}}'
        subprocess.run([*curl, "-X", "PUT", "-d", code, action], check=True, capture_output=True, timeout=60)
        invoke = [*curl, "-X", "POST", "-d", '{"name": "edge"}', f"{action}?blocking=true&result=true"]
        answer = subprocess.run(invoke, check=True, capture_output=True, text=True, timeout=60).stdout
        assert answer == '{"hello":{"name":"edge"}}'
    finally:
        served.send_signal(signal.SIGTERM)
        served.communicate(timeout=60)
    assert served.returncode == 0
