"""The folder that a comparison leaves: its tables as CSV, its pictures.

Owns names and formats of the tables. Works out nothing.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from testbed.analysis.study import study_plot
from testbed.analysis.study.study_figures import StudyFigures
from testbed.records import result_files

_RUNS, _COMPARISON = "runs.csv", "comparison.csv"


def write(figures: StudyFigures, comparison: pd.DataFrame, folder: Path) -> list[Path]:
    """Write the runs, their comparison and the pictures into `folder`; return the files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {folder / _RUNS: figures.runs, folder / _COMPARISON: comparison}
    for path, table in tables.items():
        with result_files.replacing(path) as stream:
            table.to_csv(stream, index=False, float_format="%.9g")
    return [*tables, *study_plot.draw(figures, comparison, folder)]
