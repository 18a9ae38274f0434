"""Dyncast's part of the analysis of a run, as the registration of systems names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from testbed.analysis.dyncast import direct_traffic, fault_effects, figures
from testbed.analysis.dyncast.figures import DyncastFigures
from testbed.analysis.dyncast.lost_instances import lost_instances
from testbed.analysis.dyncast.report import regret_plot, sections
from testbed.analysis.flows.consistency import Check
from testbed.analysis.html_report.blocks.page import Tile
from testbed.analysis.measures.columns import TitledFrame
from testbed.analysis.measures.summary import Summary
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import SystemAnalysis


class DyncastAnalysis(SystemAnalysis):
    """Decisions against an oracle, bindings, costs; what D-Routers knew of faults and of lost instances."""

    sections = sections.SECTIONS
    pictures = {regret_plot.NAME: regret_plot.draw}
    measures = figures.MEASURES

    def figures(self, run: RunData) -> DyncastFigures:
        """Return decisions by D-Router, and their evaluation."""
        return figures.figures(run)

    def tiles(self, summary: Summary) -> Iterable[Tile]:
        """Return the mean regret."""
        return sections.tiles(summary)

    def printed(self, summary: Summary) -> Iterable[TitledFrame]:
        """Return the decisions."""
        return sections.printed(summary)

    def measured(self, run: RunData, subjects: pd.Index) -> pd.DataFrame:
        """Return regret, dispersion and bindings."""
        return figures.measured(run, subjects)

    def policy_of(self, run: RunData) -> str | None:
        """Return the policy that decided most."""
        decided = run.decisions["policy"].value_counts()
        return str(decided.index[0]) if decided.sum() else None

    def lost_instances(self, run: RunData) -> Mapping[str, float]:
        """Return when a D-Router lost an instance, and had to bind its flows again."""
        return lost_instances(run)

    def unsteered(self, run: RunData) -> pd.Series | None:
        """Tell which flows clients sent to an instance at its own address."""
        return direct_traffic.direct_flows(run) if run.knows("direct") else None

    def checks(self, run: RunData) -> Iterable[Check]:
        """Hold what clients received from instances against what they asked."""
        return [direct_traffic.no_d_bid_at_a_client(run)] if run.knows("direct") else []

    def chosen_instances(self, run: RunData, flows: pd.DataFrame) -> pd.Series:
        """Return the instance that an ingress chose for each flow."""
        return fault_effects.chosen_instances(run, flows)

    def fault_effects(self, run: RunData) -> pd.DataFrame:
        """Return how soon D-Routers knew of faults, and steered away."""
        return fault_effects.fault_effects(run)


ANALYSIS = DyncastAnalysis()
