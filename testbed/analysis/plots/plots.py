"""The pictures of a run: which there are, and how they are redrawn from its files alone.

A new picture is one module with NAME and draw(run, path), and one entry in `_STAGE`, or in its system's analysis.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from testbed.analysis.plots import completion_plot, load_plot, placement_plot, rtp_plot
from testbed.analysis.plots.compare_plot import compare
from testbed.analysis.plots.style import NothingToDrawError, Picture
from testbed.analysis.run_data.loading import RunData, load
from testbed.analysis.system import systems

__all__ = ["Picture", "all_pictures", "compare", "pictures", "report"]

_STAGE = {module.NAME: module.draw for module in (completion_plot, load_plot, placement_plot, rtp_plot)}


def all_pictures() -> dict[str, Callable[[RunData, Path], None]]:
    """Return how each picture is drawn, by its file's name: those of every run, then those of each system."""
    return {**_STAGE, **{name: draw for system in systems().values() for name, draw in system.pictures.items()}}


def pictures(run: RunData, folder: Path) -> list[Picture]:
    """Draw every picture of a run into `folder`; one with nothing to show is left out, and its old file removed."""
    drawn = []
    for name, draw in all_pictures().items():
        path = folder / name
        try:
            draw(run, path)
        except NothingToDrawError as reason:
            path.unlink(missing_ok=True)
            drawn.append(Picture(name, None, f"{name} left out: {reason}"))
        else:
            drawn.append(Picture(name, path))
    return drawn


def report(run_dir: Path) -> list[Path]:
    """Redraw a run's pictures from its files. Raises RunDataError when these cannot be read."""
    return [picture.path for picture in pictures(load(run_dir), Path(run_dir)) if picture.path]
