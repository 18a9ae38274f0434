"""The time of a run across a picture: where it begins and ends, its steps, and its faults as marks.

Owns how long series are binned, so that a picture is as small for an hour as for a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from testbed.analysis.plots import style
from testbed.analysis.run_data.loading import RunData

MOST_STEPS = 240
_MOST_NUMBERS = 24  # of faults; more would be written over each other
_ROUND_S = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True)
class TimeAxis:
    """The workloads' time in equal steps; `faults` are those of the summary, in the order of its table."""

    start_s: float
    end_s: float
    faults: pd.DataFrame

    @classmethod
    def of(cls, run: RunData, faults: pd.DataFrame) -> TimeAxis:
        """Return the axis of a run."""
        return cls(run.start_s, max(run.end_s, run.start_s + 1e-3), faults)

    @property
    def duration_s(self) -> float:
        """How long the workloads lasted."""
        return self.end_s - self.start_s

    def edges_s(self, least_step_s: float = 0.5, most_steps: int = MOST_STEPS) -> np.ndarray:
        """Return the edges of the steps, from 0; round figures, as many as a picture can show."""
        wanted = max(least_step_s, self.duration_s / most_steps)
        step_s = next((step for step in _ROUND_S if step >= wanted), wanted)
        return np.arange(ceil(self.duration_s / step_s - 1e-9) + 1) * step_s

    def steps(self, time_s: pd.Series, edges_s: np.ndarray) -> np.ndarray:
        """Return the number of the step in which each time lies; -1 for those before, after and absent ones."""
        at_s = time_s.to_numpy(dtype=float) - self.start_s
        inside = (at_s >= 0) & (at_s < edges_s[-1])
        return np.where(inside, np.searchsorted(edges_s, np.where(inside, at_s, 0.0), side="right") - 1, -1)

    def dress(self, *panels: Axes) -> None:
        """Give panels that share their time its limits, its name, and the faults."""
        panels[-1].set_xlabel("time (s)")
        panels[-1].set_xlim(0, self.duration_s)
        for number, fault in enumerate(self.faults.itertuples(), start=1):
            begin_s, end_s = fault.begin_s, fault.end_s
            if pd.isna(begin_s) or begin_s > self.duration_s:
                continue
            for axes in panels:
                axes.axvline(begin_s, color=style.VERMILION, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1.5)
                if not pd.isna(end_s):
                    until_s = min(end_s, self.duration_s)
                    axes.axvspan(begin_s, until_s, color=style.VERMILION, alpha=0.1, linewidth=0, zorder=0.5)
            if number <= _MOST_NUMBERS:
                panels[0].annotate(
                    str(number), (begin_s, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 1.5),
                    textcoords="offset points", ha="center", va="bottom", fontsize=7.5, color=style.VERMILION,
                )  # fmt: skip

    @property
    def note(self) -> str:
        """What a caption must say of the marks."""
        return "Dashed: faults, numbered as in their table." if len(self.faults) else ""
