"""Pictures of a study: each measure by policy and factor, with confidence intervals; one picture per case of the rest.

Owns how many there are. What a panel shows is `study_plot`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure as Canvas

from testbed.analysis.html_report.blocks import sketches
from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.measures.run_measures import measures
from testbed.analysis.study import study_plot
from testbed.analysis.study.study_figures import StudyFigures
from testbed.analysis.system import Measure

_MOST_PICTURES, _MOST_IN_ALL = 24, 96  # of a service, and of all; the tables have everything
_NOTE = "Means over seeds with 95 % confidence intervals."
_DOUBT = "Ringed means rest on runs in doubt."


def by_factor(book: Sketchbook, figures: StudyFigures, comparison: pd.DataFrame, keys: Sequence[str]) -> list[Figure]:
    """Draw those of the measures `keys` that a service has; takes its part of a comparison."""
    layout = study_plot.layout_of(figures, comparison)
    cases = list(study_plot.cases_of(comparison, layout.rows))
    most = min(_MOST_PICTURES, _MOST_IN_ALL // figures.runs["service"].nunique())
    drawn: list[Figure] = []
    for key in keys:
        means = comparison[comparison["measure"] == key]
        if means.empty:
            continue
        for name, of_case in cases:
            shown = of_case[of_case["measure"] == key]
            if not shown.empty and len(drawn) < most:
                drawn.append(_picture(book, measures()[key], name, shown, means, layout))
    return drawn


def _picture(
    book: Sketchbook, measure: Measure, case: str, shown: pd.DataFrame, means: pd.DataFrame, layout: study_plot.Layout
) -> Figure:
    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        study_plot.draw_panel(axes, shown, layout)
        axes.set_ylabel(measure.unit)
        study_plot.value_axis(axes, means)  # the same for all cases, so that pictures can be compared
        study_plot.place_axis(axes, layout)
        if layout.x != "policy":
            sketches.legend_below(canvas, axes, columns=3)

    said = [*([f"{case}."] if case else []), _NOTE, *([_DOUBT] if study_plot.is_doubtful(shown).any() else [])]
    return book.draw(measure.title[:1].upper() + measure.title[1:], " ".join(said), paint)
