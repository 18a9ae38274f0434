"""The report of a study: what was varied, what came out, how far to trust it, and the way to its runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from testbed.analysis.html_report import files
from testbed.analysis.run_data.loading import RunDataError
from tests.report_page import ReportPage
from tests.study_runs import rated, verdict, write_study_run

HOSTILE = "</title><script>alert('1')</script>&"


def _write(folder: Path, seeds: int, rates_per_s: tuple[float, ...]) -> Path:
    """Write two policies; `dyncast` lacks the last of several seeds at the last rate."""
    for seed in range(1, seeds + 1):
        for rate_per_s in rates_per_s:
            for policy, mean_ms in (("closest", 60.0), ("dyncast", 20.0)):
                if seed > 1 and (policy, rate_per_s, seed) == ("dyncast", rates_per_s[-1], seeds):
                    continue
                late = verdict("suspect", f"1 % of packets left their link {seed}.5 ms late") if seed > 1 else {}
                run_dir = folder / "runs" / f"{policy} {rate_per_s} {seed}" / "20260101-000000"
                completions_ms = [mean_ms + seed, mean_ms + rate_per_s]
                write_study_run(run_dir, policy, seed, completions_ms, scenario=rated(rate_per_s), manifest=late)
    return folder


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of two policies at two loads with three seeds."""
    folder = _write(tmp_path_factory.mktemp("studies") / "loads", 3, (45, 90))
    (folder / "study.yaml").write_text(yaml.safe_dump({"name": "loads", "description": "Which is best?"}))
    return _report(folder)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A study of two runs."""
    return _write(tmp_path / "a study", 1, (45,))


def _report(folder: Path, baseline: str | None = None) -> str:
    return files.write_study(folder, files.read_study(folder), baseline).read_text(encoding="utf-8")


def test_a_study_has_its_factors_its_services_and_its_runs(html: str) -> None:
    page = ReportPage.of(html)
    assert page.headings == [("h1", "loads"), ("h2", "What was varied"), ("h2", "web"), ("h2", "Runs")]
    varied = {"workloads.0.arrivals.rate_per_s", "45, 90", "closest, dyncast", "1, 2, 3"}
    assert varied | {"Which is best?"} <= set(page.texts)
    assert page.elements["svg"] == page.elements["figure"] >= 3


def test_means_and_paired_differences_stand_beside_each_other(html: str) -> None:
    texts = ReportPage.of(html).texts
    row = texts.index("dyncast", texts.index("completion, mean"))
    # At 45/s the means are 43, 43.5 and 44 ms; those of closest are 40 ms more, seed by seed.
    assert texts[row + 1 : row + 6] == ["3", "43.5", "42.26 to 44.74", "-40", "-40 to -40"]
    assert "Seeds that only one side has, left out of differences: 3." in texts


def test_a_study_is_as_good_as_its_worst_runs_and_says_why(html: str) -> None:
    texts = ReportPage.of(html).texts
    assert "suspect" in texts
    assert any("Of 11 runs: 4 valid, 7 suspect." in text for text in texts)
    assert "7 runs: … % of packets left their link … ms late" in texts, "the same reason, whatever its figures"
    assert "var(--bad)" in "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL)), "means in doubt are not marked"


def test_pictures_know_no_colours_but_those_of_the_page(html: str) -> None:
    assert [name for name, times in ReportPage.of(html).ids.items() if times > 1] == []
    assert re.findall(r"#[0-9a-fA-F]{6}\b", "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))) == []


def test_runs_are_linked_to_once_they_have_a_report(small: Path) -> None:
    page = ReportPage.of(_report(small))
    assert [item for item in page.references if not item.startswith(("#", "data:"))] == []
    assert "Runs without a link have no report yet: dyncast report --runs makes them." in page.texts
    files.write_runs(files.read_study(small))
    page = ReportPage.of(_report(small))
    links = [item for item in page.references if not item.startswith(("#", "data:"))]
    assert sorted(links) == [f"runs/{policy}%2045%201/20260101-000000/report.html" for policy in ("closest", "dyncast")]


def test_names_are_escaped_and_what_was_left_out_is_named(small: Path) -> None:
    (small / "study.yaml").write_text(yaml.safe_dump({"name": HOSTILE, "description": HOSTILE}))
    half = small / "runs" / "half" / "20260101-000000"
    half.mkdir(parents=True)
    (half / "scenario.yaml").write_text("name: half")
    page = ReportPage.of(_report(small))
    assert not page.elements["script"]
    assert page.headings[0] == ("h1", HOSTILE)
    assert any("manifest.json is missing" in text for text in page.texts)


def test_another_baseline_can_be_named_but_must_exist(small: Path) -> None:
    assert "against dyncast (ms)" in ReportPage.of(_report(small, "dyncast")).texts
    with pytest.raises(RunDataError, match="baseline 'oracle': no run has that policy; there are: closest, dyncast"):
        _report(small, "oracle")
