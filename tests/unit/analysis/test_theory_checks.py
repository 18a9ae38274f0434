"""Runs in virtual time against theory: what is true holds, what is not fails, what does not apply says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from testbed.analysis.run_data.loading import RunDataError, load
from testbed.analysis.theory.theory_checks import theory_checks
from testbed.analysis.theory.theory_outcomes import TheoryReport
from testbed.cli.app import app
from tests import theory_run

_SECONDS = 30.0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return theory_run.write(tmp_path_factory.mktemp("theory") / "run", duration_s=_SECONDS)


def _checked(run_dir: Path) -> TheoryReport:
    return theory_checks(load(run_dir))


def _failed(report: TheoryReport) -> set[tuple[str, str]]:
    return {(check.name.partition(":")[0], check.subject) for check in report.checks if not check.holds}


def _altered(run_dir: Path, out: Path, **changes: Any) -> Path:
    out.mkdir()
    for path in run_dir.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    document = {**theory_run.manifest_of(run_dir), **changes}
    (out / "manifest.json").write_text(json.dumps(document))
    return out


def test_a_run_by_the_models_holds_and_every_theory_has_its_check(sound: Path) -> None:
    report = _checked(sound)
    assert _failed(report) == set()
    assert report.left_out == ()
    names = [check.name for check in report.checks]
    for words in (
        "Little",
        "M/M/1",
        "M/M/3",
        "Erlang C",
        "utilisation",
        "service time",
        "RTP jitter",
        "frames",
        "RTP packets",
    ):
        assert any(words in name for name in names), words
    sojourns = {check.subject: check for check in report.checks if "sojourn" in check.name}
    assert sojourns["single-1@east"].expected == pytest.approx(25.0)  # 1 / (1 / 10 ms - 60/s)
    assert all(check.figure.low < check.figure.mean < check.figure.high for check in sojourns.values())


@pytest.mark.parametrize("hidden_speed", [1.15, 1 / 1.15])
def test_an_error_in_the_service_process_fails(tmp_path: Path, hidden_speed: float) -> None:
    failed = _failed(_checked(theory_run.write(tmp_path / "run", hidden_speed=hidden_speed, duration_s=_SECONDS)))
    if hidden_speed > 1:
        assert {name for name, _ in failed} >= {"service time less the work, of who does not wait", "utilisation"}
        assert {subject for _, subject in failed} == {"single-1@east", "pool-1@middle"}
    else:  # the machine only ever adds: some slowness is believed to be its
        assert ("service time less the work, of who does not wait", "pool-1@middle") in failed
    assert not any("number in the system" in name for name, _ in failed)  # Little's law holds of any queue


def test_packets_that_nobody_counted_fail(sound: Path, tmp_path: Path) -> None:
    links = theory_run.manifest_of(sound)["links"]
    ((label, ways),) = links["links"].items()
    lost = ways["a_to_b"]["dropped_loss"]
    fewer = {**ways, "a_to_b": {**ways["a_to_b"], "dropped_loss": lost - 3}}
    altered = _altered(sound, tmp_path / "fewer", links={**links, "links": {label: fewer}})
    assert {name for name, _ in _failed(_checked(altered))} == {
        "frames out, waiting and lost", "RTP packets lost by links and instances",
    }  # fmt: skip


def test_jitter_that_no_link_was_told_to_make_fails(sound: Path, tmp_path: Path) -> None:
    altered = _altered(sound, tmp_path / "calm")
    path = altered / "topology.yaml"
    path.write_text(path.read_text().replace("jitter_ms: 5.0", "jitter_ms: 3.5"))
    assert {name for name, _ in _failed(_checked(altered))} == {"RTP jitter"}


def test_what_does_not_apply_says_why(sound: Path, tmp_path: Path) -> None:
    with_faults = _checked(_altered(sound, tmp_path / "faults", faults=[{"number": 0, "kind": "link_down"}]))
    assert {item.subject for item in with_faults.left_out} == {"single-1@east", "pool-1@middle", "RTP packets"}
    assert all("faults" in item.why for item in with_faults.left_out)
    scenario = (sound / "scenario.yaml").read_text()
    bursty = _altered(sound, tmp_path / "bursty")
    (bursty / "scenario.yaml").write_text(scenario.replace("process: poisson", "process: on_off"))
    assert any("not Poisson" in item.why for item in _checked(bursty).left_out)
    constant = _altered(sound, tmp_path / "constant")
    (constant / "scenario.yaml").write_text(scenario.replace("distribution: exponential", "distribution: constant"))
    report = _checked(constant)
    assert any("not exponential" in item.why for item in report.left_out)
    assert {check.name.partition(":")[0] for check in report.checks} >= {"number in the system"}
    netem = _altered(sound, tmp_path / "netem", links={"backend": "netem", "links": {}})
    assert any("netem" in item.why for item in _checked(netem).left_out)


def test_what_a_run_was_meant_to_be_must_be_there(sound: Path, tmp_path: Path) -> None:
    altered = _altered(sound, tmp_path / "half")
    (altered / "topology.yaml").unlink()
    with pytest.raises(RunDataError, match=r"topology\.yaml is missing"):
        _checked(altered)
    (altered / "topology.yaml").write_text("nodes: [")
    with pytest.raises(RunDataError, match=r"topology\.yaml"):
        _checked(altered)
    (altered / "scenario.yaml").write_text("name: x\n")
    with pytest.raises(RunDataError, match="no resolved scenario"):
        _checked(altered)


def test_the_command_prints_and_ends_with_its_verdict(sound: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["check", str(sound)])
    assert said.exit_code == 0, said.output
    assert "checks against theory hold" in said.output
    faster = theory_run.write(tmp_path / "run", hidden_speed=1.15, duration_s=_SECONDS)
    told = CliRunner().invoke(app, ["check", str(faster), "--json"])
    document = json.loads(told.stdout)
    assert told.exit_code == 1 and not document["holds"]
    assert {"check", "subject", "figure", "low", "high", "expected", "holds", "unit"} == set(document["checks"][0])
