"""How every picture of the testbed looks: colours, type, the fidelity mark, the way to a file.

Owns style, and the palette of Okabe and Ito, which colour-blind readers can distinguish, with three of Tol's for more
than eight; a policy or outcome has the same colour in every picture. Uses matplotlib's objects, never pyplot, so that
no state is shared. Knows nothing of what is drawn.
"""

from __future__ import annotations

import itertools
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from testbed.analysis.run_data.loading import RunData
from testbed.errors import TestbedError
from testbed.records import result_files

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#7F7F7F"
WINE, OLIVE, INDIGO = "#882255", "#999933", "#332288"
SERIES = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK, GREY)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
# Light to dark, so that prints without colour keep the order; the lightest still differs from no data.
SHADES = LinearSegmentedColormap.from_list("shades", ["#EDF2F6", SKY, BLUE, "#003557"])
_POLICY_COLOURS = {
    "closest": ORANGE,
    "dyncast": BLUE,
    "least_loaded": GREEN,
    "round_robin": PURPLE,
    "random": GREY,
    "oracle": BLACK,
    "weighted": SKY,
    "power_of_two": VERMILION,
    "dns_ttl": WINE,
    "static": OLIVE,
}

MARK_COLOUR = "#B00020"
WIDE_SPREAD = 20.0  # largest over smallest value from which a logarithmic axis reads better
_CURVE_POINTS = 1500
_MARK_CHARACTERS = 300
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.6,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # a name may hold a dollar sign
    "savefig.dpi": 160,
}


@dataclass(frozen=True)
class Picture:
    """One picture of a report; `path` is None where there was nothing to draw, and `note` says why."""

    name: str
    path: Path | None
    note: str = ""


class NothingToDrawError(TestbedError):
    """There is no data for this picture; the message says which."""


@contextmanager
def canvas(path: Path, width_in: float, height_in: float, title: str, marks: Iterable[str] = ()) -> Iterator[Figure]:
    """Give a styled figure, titled and marked, and write it to `path` when the block ends without an error."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width_in, height_in))
        FigureCanvasAgg(figure)
        lines = [(_cut(title), "black", "bold", 11.0), *((_cut(mark), MARK_COLOUR, "bold", 9.0) for mark in marks)]
        header_in = 0.06
        for text, colour, weight, size in lines:
            wrapped = _wrapped(text, width_in, size)
            figure.text(
                0.08 / width_in, 1 - header_in / height_in, wrapped, color=colour, weight=weight, size=size, va="top"
            )
            header_in += (wrapped.count("\n") + 1) * size * 1.35 / 72
        body = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - (header_in + 0.04) / height_in))
        figure.set_layout_engine(body)
        yield figure
        with result_files.replacing(path) as stream, warnings.catch_warnings():
            # A name in a script that the font lacks is drawn as boxes; that is no news for the terminal.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(stream, format="png")


def marks(*runs: RunData, names: Sequence[str] = ()) -> list[str]:
    """Return what a picture must say of the fidelity of the runs it shows."""
    if not names:
        return [run.mark for run in runs if run.mark]
    return [f"{name} is {run.mark}" for name, run in zip(names, runs, strict=True) if run.mark]


def policy_colours(policies: Iterable[str]) -> dict[str, str]:
    """Give each policy its colour: known ones their own, others what is left, by name, if anything is."""
    names = sorted(set(policies))
    palette = (*SERIES, WINE, OLIVE, INDIGO)
    taken = {_POLICY_COLOURS.get(name) for name in names}
    spare = itertools.cycle([colour for colour in palette if colour not in taken] or palette)
    return {name: _POLICY_COLOURS.get(name) or next(spare) for name in names}


def share_curve(axes: Axes, values: np.ndarray, of: int, until: float, **line: object) -> None:
    """Draw which share of `of` things had at most a value, up to `until`; things without one keep it below 1."""
    ordered = np.sort(values)
    ranks = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), _CURVE_POINTS)).astype(int))
    x = np.concatenate([ordered[ranks[:1]], ordered[ranks], [until]])
    y = np.concatenate([[0.0], (ranks + 1) / of, [len(ordered) / of]])
    axes.plot(x, y, drawstyle="steps-post", **line)  # type: ignore[arg-type]


def share_axis(axes: Axes, what: str) -> None:
    """Label the y axis of `share_curve`s, 0 to 100 %."""
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel(what)


def value_axis(axes: Axes, label: str, values: np.ndarray) -> float:
    """Label the x axis of `share_curve`s, logarithmic where the spread of values is wide; return where it ends."""
    axes.set_xlabel(label)
    top = float(values.max(initial=0.0))
    positive = values[values > 0]
    if len(positive) and len(positive) == len(values):
        low, high = np.quantile(positive, [0.01, 0.99])
        if high / low > WIDE_SPREAD:
            axes.set_xscale("log")
            plain_ticks(axes.xaxis, positive.max() / low)
            axes.set_xlim(low / 2, top * 1.3)
            return top * 1.3
    end = top * 1.05 or 1.0
    axes.set_xlim(0, end)
    return end


def plain_ticks(axis: Axis, spread: float) -> None:
    """Label a logarithmic axis with plain numbers, as many as its spread (largest over smallest) has room for."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if spread < 3000 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def nothing(axes: Axes, why: str) -> None:
    """Say in a panel that there is nothing to see in it."""
    axes.axis("off")
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=GREY)


def _cut(mark: str) -> str:
    return textwrap.shorten(mark, _MARK_CHARACTERS, placeholder=" … (all of it is in manifest.json)")


def _wrapped(text: str, width_in: float, size: float) -> str:
    return "\n".join(textwrap.wrap(text, max(20, int(width_in * 72 / (size * 0.64)))))
