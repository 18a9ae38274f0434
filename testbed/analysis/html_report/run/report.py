"""What every section of a run's page is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from testbed.analysis.html_report.blocks.sketches import Sketchbook
from testbed.analysis.html_report.blocks.time_axis import TimeAxis
from testbed.analysis.measures import mos
from testbed.analysis.measures.summary import Summary
from testbed.analysis.run_data.loading import RunData


@dataclass(frozen=True)
class RunReport:
    """A summary, and the book that pictures are drawn in, as they are asked for."""

    summary: Summary
    book: Sketchbook = field(default_factory=Sketchbook)

    @property
    def run(self) -> RunData:
        """The run itself."""
        return self.summary.run

    @cached_property
    def time(self) -> TimeAxis:
        """The time of the run across its pictures."""
        return TimeAxis.of(self.run, self.summary.faults)

    @cached_property
    def calls(self) -> pd.DataFrame:
        """The quality of each RTP stream (`mos.call_quality`)."""
        return mos.call_quality(self.run)
