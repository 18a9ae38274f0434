"""What a system adds to the analysis of runs: the one class to write, and the way to all that are registered.

A system's analysis is a subclass of `SystemAnalysis` with an instance called `ANALYSIS`, in the module that its
registration (`testbed.systems`) names. What it leaves out adds nothing to a report. It works from the files of a run
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from testbed import systems as registry

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from testbed.analysis.flows.consistency import Check
    from testbed.analysis.html_report.blocks.page import Block, Tile
    from testbed.analysis.html_report.run.report import RunReport
    from testbed.analysis.measures.columns import TitledFrame
    from testbed.analysis.measures.summary import Summary
    from testbed.analysis.run_data.loading import RunData


@dataclass(frozen=True)
class Measure:
    """A figure of one service in one run; `key` is its name in files and frames.

    `is_headline`: a study's page draws it, and does not fold it away. `is_printed`: the terminal has room for it.
    """

    key: str
    title: str
    unit: str
    is_headline: bool = False
    is_printed: bool = True


@dataclass(frozen=True)
class ReportSection:
    """A section of a run's page, left out where it has no blocks.

    Sections are put in the order of `order`, those of every run at multiples of ten; what has the same anchor is one.
    """

    order: int
    anchor: str
    title: str
    blocks: Callable[[RunReport], Iterable[Block]]


class SystemAnalysis:
    """A system's part of the analysis. Frames are tidy, times in seconds on CLOCK_MONOTONIC, instances by name."""

    # -- figures: worked out once for a summary, and kept as `summary.of[name]` ----------------------------------------

    def figures(self, run: RunData) -> Any:
        """Return its figures of a run."""
        return None

    # -- where they are shown: the page, the terminal, pictures --------------------------------------------------------

    sections: ClassVar[Sequence[ReportSection]] = ()
    pictures: ClassVar[Mapping[str, Callable[[RunData, Path], None]]] = {}  # by file name; drawn as in `plots`

    def tiles(self, summary: Summary) -> Iterable[Tile]:
        """Return its figures to be seen at once."""
        return ()

    def printed(self, summary: Summary) -> Iterable[TitledFrame]:
        """Return its tables for the terminal."""
        return ()

    # -- measures, by which runs are compared --------------------------------------------------------------------------

    measures: ClassVar[Sequence[Measure]] = ()

    def measured(self, run: RunData, subjects: pd.Index) -> pd.DataFrame:
        """Return a column per measure, and a row per subject: a service, or `service (kind)` if it has several."""
        raise NotImplementedError("a system with measures says how they are worked out")

    # -- what its tables say of the stage's things ---------------------------------------------------------------------

    def policy_of(self, run: RunData) -> str | None:
        """Return the policy that a run was under, where its manifest does not say."""
        return None

    def lost_instances(self, run: RunData) -> Mapping[str, float]:
        """Return when a node of the system first lost an instance, so that flows had to move from it, by its name."""
        return {}

    def unsteered(self, run: RunData) -> pd.Series | None:
        """Tell which rows of `affinity` are flows that the system did not steer, though it steers their service."""
        return None

    def checks(self, run: RunData) -> Iterable[Check]:
        """Return its statements that must hold of every sound run."""
        return ()

    def chosen_instances(self, run: RunData, flows: pd.DataFrame) -> pd.Series | None:
        """Return the instance that the system sent each flow to, where it is known; None if it sends none."""
        return None

    def fault_effects(self, run: RunData) -> pd.DataFrame | None:
        """Return `number`, `event` (begin or end) and columns of `faults` that only the system's tables have."""
        return None


def systems() -> dict[str, SystemAnalysis]:
    """Return the analyses of all systems that have one, by the system's name."""
    return registry.parts("analysis")
