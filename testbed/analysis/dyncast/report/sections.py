"""Dyncast's share of the page and of the terminal: decisions, and what steering cost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from testbed.analysis.dyncast.decisions.evaluation import Evaluation
from testbed.analysis.dyncast.figures import of
from testbed.analysis.dyncast.report import columns, decision_figures
from testbed.analysis.html_report.blocks.page import Block, Figures, Tile
from testbed.analysis.html_report.blocks.tabulate import table
from testbed.analysis.html_report.run.report import RunReport
from testbed.analysis.measures.columns import TitledFrame
from testbed.analysis.measures.summary import Summary
from testbed.analysis.system import ReportSection


def _decisions(report: RunReport) -> Iterator[Block]:
    found = of(report.summary)
    pictures = decision_figures.evaluated(report.book, found.evaluation, report.time)
    if pictures:
        yield Figures(pictures)
    for caption, frame, shown in (
        ("Regret", found.evaluation.regret, columns.REGRET),
        ("Stability", found.evaluation.stability, columns.STABILITY),
        ("Decisions by D-Router", found.decisions, columns.DECISIONS),
    ):
        if not frame.empty:
            yield table(caption, frame, shown)


def _costs(report: RunReport) -> Iterator[Block]:
    costs = of(report.summary).evaluation.costs.dropna(subset="value")
    if not costs.empty:
        yield table("What steering cost", costs, columns.COSTS)


SECTIONS = (
    ReportSection(65, "decisions", "Decisions", _decisions),
    ReportSection(85, "signalling", "Signalling", _costs),
)


def tiles(summary: Summary) -> Iterator[Tile]:
    """Return the mean regret."""
    regret = of(summary).evaluation.regret
    if regret["decisions"].sum():
        regret_ms = np.average(regret["regret_mean_ms"], weights=regret["decisions"])
        yield Tile(f"{regret_ms:,.1f} ms", "regret of a decision, mean")


def printed(summary: Summary) -> Iterator[TitledFrame]:
    """Return the decisions by D-Router and against an oracle."""
    found = of(summary)
    yield TitledFrame("Decisions", found.decisions, columns.DECISIONS)
    title = "Decisions against an oracle (docs/dyncast/evaluation.md)"
    yield TitledFrame(title, _evaluated(found.evaluation), {**columns.REGRET, **columns.STABILITY})


def _evaluated(evaluation: Evaluation) -> pd.DataFrame:
    return evaluation.regret.merge(evaluation.stability, on="service")
