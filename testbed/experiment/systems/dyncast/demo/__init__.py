"""Dyncast's demonstration: a hot spot under `closest` and under `dyncast`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.experiment.demonstration import Demonstration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from testbed.analysis.run_data.loading import RunData


def _tables(runs: Sequence[RunData]) -> Iterator[RenderableType]:
    from testbed.analysis.measures import terminal_tables

    yield terminal_tables.comparison_table(runs)


def _picture(runs: Sequence[RunData], path: Path) -> Path:
    from testbed.analysis.plots import plots

    return plots.compare(runs, path)


DEMO = Demonstration(
    about="flows of a regional hot spot, steered by what is close or by load and path",
    title="the hot spot",
    scenario=Path(__file__).with_name("scenario.yaml"),
    cases={policy: {"policy": policy} for policy in ("closest", "dyncast")},
    duration_s=45.0,
    tables=_tables,
    picture=_picture,
)
