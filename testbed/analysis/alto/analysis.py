"""Function delivery's part of the analysis of a run, as the registration of systems names it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from testbed.analysis.alto import fault_effects, figures, response_picture, sections, time_picture
from testbed.analysis.alto.figures import AltoFigures
from testbed.analysis.html_report.blocks.page import Tile
from testbed.analysis.measures.columns import TitledFrame
from testbed.analysis.measures.summary import Summary
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import SystemAnalysis


class AltoAnalysis(SystemAnalysis):
    """Response times of invocations in their parts, by function, cluster and what they found."""

    sections = sections.SECTIONS
    pictures = {response_picture.NAME: response_picture.draw, time_picture.NAME: time_picture.draw}
    measures = figures.MEASURES

    def figures(self, run: RunData) -> AltoFigures:
        """Return mean parts and quantiles of response times, and deliveries."""
        return figures.figures(run)

    def tiles(self, summary: Summary) -> Iterable[Tile]:
        """Return the cold starts."""
        return sections.tiles(summary)

    def printed(self, summary: Summary) -> Iterable[TitledFrame]:
        """Return response times and their parts."""
        return sections.printed(summary)

    def measured(self, run: RunData, subjects: pd.Index) -> pd.DataFrame:
        """Return cold starts and mean parts."""
        return figures.measured(run, subjects)

    def fault_effects(self, run: RunData) -> pd.DataFrame:
        """Return how long users were still sent to what a fault hit."""
        return fault_effects.fault_effects(run)


ANALYSIS = AltoAnalysis()
