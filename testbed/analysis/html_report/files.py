"""Which page a folder gets, and the writing of it: `report.html` in the folder itself.

Owns how a run's folder differs from a study's. A page is written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from testbed.analysis.html_report.blocks.page import Page, render
from testbed.analysis.html_report.run.page import run_page
from testbed.analysis.html_report.study.page import study_page
from testbed.analysis.measures.summary import Summary, summarise
from testbed.analysis.run_data.loading import RunDataError, load
from testbed.analysis.study import study_figures
from testbed.analysis.study.study_figures import StudyFigures
from testbed.records import result_files
from testbed.records.tables import catalogue

NAME = "report.html"
_STUDY_FILES = {"study.yaml", "sweep.json"}

Progress = Callable[[int, int], object]


def _to_nobody(done: int, of: int) -> None:
    del done, of


def is_study(folder: Path) -> bool:
    """Return whether a folder is of a study, not of a run, whole or half. Raises RunDataError if it is neither."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names & _STUDY_FILES:
        return True
    if names & {"manifest.json", "scenario.yaml", *(f"{table}.csv" for table in catalogue())} or not folder.is_dir():
        return False  # what a run's folder lacks is said when it is read
    if any("manifest.json" in names for _, _, names in os.walk(folder)):
        return True
    raise RunDataError(f"{folder} is no run, and there is none below; name results/<study> or a run's folder")


def write_run(summary: Summary) -> Path:
    """Write the report of a run into its folder. Raises RunDataError, OSError."""
    return _write(run_page(summary), summary.run.run_dir)


def read_study(folder: Path, progress: Progress = _to_nobody) -> StudyFigures:
    """Read the runs below a folder; `progress` takes how many of how many. Raises RunDataError if none can be read."""
    figures = study_figures.read([folder], progress)
    if figures.runs.empty:
        why = f": {figures.skipped[0]}" if figures.skipped else ""
        raise RunDataError(f"{folder}: there is no finished run below{why}")
    return figures


def write_runs(figures: StudyFigures, progress: Progress = _to_nobody) -> list[Path]:
    """Write the report of each run of a study into the run's folder. Raises RunDataError, OSError."""
    run_dirs = list(dict.fromkeys(figures.runs["run_dir"]))
    written = []
    for number, run_dir in enumerate(run_dirs):
        progress(number, len(run_dirs))
        written.append(write_run(summarise(load(run_dir))))
    progress(len(run_dirs), len(run_dirs))
    return written


def write_study(folder: Path, figures: StudyFigures, baseline: str | None = None) -> Path:
    """Write the report of a study into its folder. Raises RunDataError for a `baseline` that no run has, OSError."""
    return _write(study_page(folder, figures, baseline), folder)


def _write(page: Page, folder: Path) -> Path:
    path = folder / NAME
    result_files.write_text(path, render(page))
    return path
