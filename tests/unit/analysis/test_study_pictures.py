"""The pictures and the terminal table of a study: what stands where, and what is said of runs in doubt."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from testbed.analysis.study import study_plot, study_table
from testbed.analysis.study.study_figures import StudyFigures, compare
from tests.study_runs import figures_of

MARK = (0xB0 / 255, 0x00 / 255, 0x20 / 255)


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def by_load(*loads: float) -> StudyFigures:
    """Return a study of two policies over loads, of two seeds."""
    return figures_of(
        {load: {"closest": {1: 10 * load, 2: 14 * load}, "dyncast": {1: 9 * load, 2: 10 * load}} for load in loads}
    )


def with_words(figures: StudyFigures, factor: str, *words: str) -> StudyFigures:
    """Return a study with one more factor, whose values are words, run by run in turn."""
    runs = figures.runs.assign(**{factor: [words[row % len(words)] for row in range(len(figures.runs))]})
    return StudyFigures((*figures.factors, factor), runs)


def shown(figures: StudyFigures) -> str:
    console = Console(width=150, record=True, file=io.StringIO())
    study_table.show(figures, compare(figures), console)
    return console.export_text()


def test_the_numeric_factor_is_the_axis_and_others_are_rows(tmp_path: Path) -> None:
    figures = with_words(by_load(1.0, 2.0, 3.0), "mode", "reactive", "datapath")
    layout = study_plot.layout_of(figures, compare(figures))
    assert (layout.x, layout.is_numeric, layout.places, layout.rows) == ("load", True, (1.0, 2.0, 3.0), ("mode",))
    assert layout.policies == ("closest", "dyncast")
    drawn = study_plot.draw(figures, compare(figures), tmp_path)
    assert [path.name for path in drawn] == ["comparison-web.png"]
    assert matplotlib.image.imread(drawn[0])[..., :3].std() > 0.01


def test_without_a_numeric_factor_policies_are_the_axis() -> None:
    figures = by_load(1.0)
    assert study_plot.layout_of(figures, compare(figures)).x == "load"
    only_policies = StudyFigures((), figures.runs.drop(columns="load"))
    layout = study_plot.layout_of(only_policies, compare(only_policies))
    assert (layout.x, layout.places, layout.rows) == ("policy", ("closest", "dyncast"), ())
    one_policy = with_words(StudyFigures((), figures.runs[figures.runs["policy"] == "dyncast"]), "mode", "a", "b")
    layout = study_plot.layout_of(one_policy, compare(one_policy))
    assert (layout.x, layout.places, layout.is_numeric) == ("mode", ("a", "b"), False)


def test_a_factor_that_changes_with_the_axis_is_named_there() -> None:
    figures = by_load(1.0, 2.0)
    both = StudyFigures(("load", "rate"), figures.runs.assign(rate=10 * figures.runs["load"]))
    layout = study_plot.layout_of(both, compare(both))
    assert (layout.x, layout.twins, layout.rows) == ("load", ("rate",), ())
    assert "factors: load (with it rate)" in shown(both)


def test_many_cases_are_drawn_on_several_pages(tmp_path: Path) -> None:
    figures = with_words(by_load(*map(float, range(1, 5))), "mode", *(f"mode{number}" for number in range(8)))
    drawn = study_plot.draw(figures, compare(figures), tmp_path)
    assert [path.name for path in drawn] == ["comparison-web.png", "comparison-web-2.png"]


def test_runs_in_doubt_are_marked(tmp_path: Path) -> None:
    figures = by_load(1.0, 40.0)
    (valid,) = study_plot.draw(figures, compare(figures), tmp_path)
    assert _marked(valid) == 0
    assert "SUSPECT" not in shown(figures)
    figures.runs.loc[0, ["verdict", "reasons"]] = ["suspect", "late"]
    (doubtful,) = study_plot.draw(figures, compare(figures), tmp_path)
    assert _marked(doubtful) > 100
    text = shown(figures)
    assert "1 of 8 runs SUSPECT: late" in text
    assert "1 suspect" in text


def test_figures_are_rounded_by_how_sure_they_are() -> None:
    text = shown(figures_of({45.0: {"closest": {1: 100.0, 2: 103.0}, "dyncast": {1: 50.1234, 2: 53.1234}}}))
    assert "102 ± 19" in text  # 101.5 ± 19.06
    assert "-49.9 ± 0.0, -49 %" in text  # the same at both seeds
    text = shown(figures_of({45.0: {"closest": {1: 100.0}, "dyncast": {1: 50.1234}}}))
    assert "50.1" in text
    assert "all cases have one seed: no interval" in text


def test_a_figure_that_the_baseline_has_none_of_is_no_want_of_runs() -> None:
    figures = by_load(1.0)
    regret_ms = figures.runs["policy"].map({"closest": math.nan, "dyncast": 5.0})
    assert "have no pair" not in shown(replace(figures, runs=figures.runs.assign(regret_mean_ms=regret_ms)))
    assert "seeds 2 have no pair under closest" in shown(replace(figures, runs=figures.runs.drop(index=1)))


def _marked(path: Path) -> int:
    pixels = matplotlib.image.imread(path)
    return int(np.logical_and.reduce([abs(pixels[..., index] - MARK[index]) < 0.02 for index in range(3)]).sum())
