"""Pictures as SVG inside a page: drawn once, coloured by the page's style sheet in light, in dark and in print.

Owns style and the way from matplotlib to themed markup: what is drawn in a colour of the palette comes out as a CSS
variable of its name, text stays text in the page's type, ids are unique over the page. Knows nothing of what is drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator

from testbed.analysis.html_report.blocks.page import Figure
from testbed.analysis.plots import style

# Colours that stand for something until the style sheet says what it looks like.
INK, FAINT, GROUND, GRID = "#010203", "#515253", "#fdfcfb", "#d1d2d3"
SHADES = tuple(f"#5ade{level:02x}" for level in range(8))
_NAMES = {
    INK: "ink",
    style.BLACK: "ink",
    FAINT: "faint",
    GROUND: "ground",
    GRID: "grid",
    style.BLUE: "blue",
    style.ORANGE: "orange",
    style.GREEN: "green",
    style.VERMILION: "vermilion",
    style.PURPLE: "purple",
    style.SKY: "sky",
    style.GREY: "grey",
    style.MARK_COLOUR: "bad",
} | {colour: f"shade-{level}" for level, colour in enumerate(SHADES)}
VARIABLES = {colour.lower(): f"var(--{name})" for colour, name in _NAMES.items()}

WIDTH_IN, HEIGHT_IN = 4.4, 2.75  # of a picture that is legible on a phone as it is
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",  # to measure by; wider than what browsers take instead
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold a dollar sign
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.facecolor": GROUND,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
}
_MOST_TICKED_SPREAD = 300.0  # of a logarithmic axis, for ticks at 1, 2 and 5
_NAMESPACED = re.compile(r"\{[^}]*\}")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_FRACTION = re.compile(r"-?\d+\.\d+")
_SPACED_COMMAND = re.compile(r"\s*([MLQCz])\s*")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")  # control characters, which a name in a file may hold
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass
class Sketchbook:
    """Draws the pictures of one page, and counts them, so that no id occurs twice."""

    _drawn: int = field(default=0, init=False)

    def draw(
        self,
        title: str,
        note: str,
        paint: Callable[[Canvas], None],
        *,
        size_in: tuple[float, float] = (WIDTH_IN, HEIGHT_IN),
        is_wide: bool = False,
        scale: tuple[str, str] | None = None,
    ) -> Figure:
        """Let `paint` fill an empty canvas of a size in inches; return it with its caption."""
        self._drawn += 1
        text = io.StringIO()
        with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
            canvas = Canvas(figsize=size_in, layout="constrained")
            FigureCanvasSVG(canvas)
            paint(canvas)
            _space_ticks(canvas)
            canvas.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        label = f"{title}. {note}" if note else title
        svg = _themed(ElementTree.fromstring(_NO_XML.sub("\ufffd", text.getvalue())), f"f{self._drawn}-", label)
        return Figure(title, note, svg, is_wide, scale)


def shade(share: float) -> str:
    """Return the shade for a share: the lightest for 0, the darkest for 1 (in a dark page the other way round)."""
    return SHADES[min(len(SHADES) - 1, max(0, int(share * len(SHADES))))]


def legend_below(canvas: Canvas, axes: Axes, columns: int = 2) -> None:
    """Name the curves of some axes below all panels."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        canvas.legend(handles, names, loc="outside lower left", ncols=min(columns, len(names)), borderaxespad=0.2)


def _space_ticks(canvas: Canvas) -> None:
    """Leave out the ticks between powers of ten where a narrow picture has no room for them."""
    for axes in canvas.axes:
        low, high = axes.get_xlim()
        if axes.get_xscale() == "log" and high / low > _MOST_TICKED_SPREAD:
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0,)))


def _themed(root: ElementTree.Element, prefix: str, label: str) -> str:
    for parent in root.iter():
        for child in list(parent):
            if _plain(child.tag) in ("metadata", "style"):
                parent.remove(child)
    wanted = {
        name
        for element in root.iter()
        for key, value in element.attrib.items()
        for name in (_REFERENCE.findall(value) + ([value[1:]] if _plain(key) == "href" else []))
    }
    for element in root.iter():
        element.tag = _plain(element.tag)
        element.tail = None
        if element.tag != "text":
            element.text = None
        attributes = {_plain(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(
            {key: _attribute(key, value, prefix) for key, value in attributes.items() if key != "id" or value in wanted}
        )
    view_box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"class": "picture", "viewBox": view_box, "role": "img", "aria-label": label})
    return ElementTree.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    return _NAMESPACED.sub("", name)


def _attribute(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return prefix + value
    if key == "href":
        return f"#{prefix}{value[1:]}"
    if key == "style":
        parts = (part.strip() for part in value.split(";"))
        kept = ";".join(part for part in parts if part and not part.startswith("font-family"))
        value = _COLOUR.sub(lambda found: VARIABLES.get(found[0], found[0]), kept)
    if key == "d":
        rounded = _FRACTION.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)
        return _SPACED_COMMAND.sub(r"\1", rounded.replace("\n", " ")).strip()
    return _REFERENCE.sub(lambda found: f"url(#{prefix}{found[1]})", value)
