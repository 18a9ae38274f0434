"""A run that an earlier version left behind is read, and what it does not tell is said of nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from testbed import systems
from testbed.analysis.flows.consistency import Check
from testbed.analysis.measures.summary import summarise
from testbed.analysis.run_data.loading import RunDataError, load
from tests.analysis_data import write_run
from tests.machine import dyncast

# Written by the version of 2026-11-30 before `direct` and `affinity.ended` were there. Two connections of somebody's
# curl by the same port, one after the other, are in it: one ended, or it moved; the run does not tell.
EARLIER = Path(__file__).parent / "run_of_an_earlier_version"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EARLIER, tmp_path / "synthetic" / "20261129-120000"))


def check_of(checks: tuple[Check, ...], name: str) -> Check | None:
    return next((check for check in checks if check.name == name), None)


def test_what_came_later_is_unknown_and_the_rest_is_there(earlier: Path) -> None:
    run = load(earlier)
    assert run.unknown == {"direct", "affinity.ended", *systems.parts("tables")["alto"]}
    assert not run.knows("direct") and not run.knows("direct.asked") and not run.knows("affinity.ended")
    assert run.knows("affinity") and run.knows("affinity.last_s") and run.knows("flows")
    assert run.affinity["ended"].isna().all() and run.affinity["ended"].dtype.name == "Int64"
    assert len(run.affinity) == 29 and len(run.flows) == 27 and len(run.direct) == 0


def test_figures_that_need_what_is_unknown_are_not_shown(earlier: Path) -> None:
    checks = summarise(load(earlier)).checks
    assert check_of(checks, "no client receives packets from a D-BID that it did not ask") is None
    one_instance = check_of(checks, "packets of one flow reach one instance")
    assert one_instance is not None and one_instance.ok
    assert "of 2 that no generator offered, a run of this age does not tell" in one_instance.detail
    assert all(check.ok for check in checks)


def test_the_same_rows_of_a_run_that_tells_are_a_violation(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", duration_s=4, requests_per_s=5, calls=1)
    with (run_dir / "affinity.csv").open("a") as table:
        for row in (EARLIER / "affinity.csv").read_text().splitlines()[-2:]:
            table.write(f"{row},0\n")
    checks = summarise(load(run_dir)).checks
    assert check_of(checks, "no client receives packets from a D-BID that it did not ask") is not None
    one_instance = check_of(checks, "packets of one flow reach one instance")
    assert one_instance is not None and not one_instance.ok


def test_it_is_reported_and_compared_with_a_run_of_today(earlier: Path, tmp_path: Path) -> None:
    write_run(earlier.parent / "20261201-120000", policy="dyncast", duration_s=4, requests_per_s=5, calls=1)
    done = dyncast("report", str(earlier))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (earlier / "report.html").is_file()
    done = dyncast("compare", str(earlier.parent), "--out", str(tmp_path / "compared"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20261129-120000" not in done.stderr


def test_a_column_that_was_there_from_the_beginning_may_not_be_missing(earlier: Path) -> None:
    table = earlier / "affinity.csv"
    table.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in table.read_text().splitlines()))
    with pytest.raises(RunDataError, match=r"affinity\.csv is not a table of this version: its header lacks bytes;"):
        load(earlier)
