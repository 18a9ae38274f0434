"""What a page of a report consists of, and how it becomes one HTML file.

Owns the blocks and the way through the templates, which escape every text. Knows nothing of runs and studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jinja2


@dataclass(frozen=True)
class Figure:
    """A picture with its caption. `svg` is markup of our own making; `scale` names the ends of the shades in it."""

    title: str
    note: str
    svg: str
    is_wide: bool = False
    scale: tuple[str, str] | None = None


@dataclass(frozen=True)
class Cell:
    """One cell of a table; `share` (0..1) shades it, `href` makes it a link within the report's own files."""

    text: str
    is_figure: bool = False
    share: float | None = None
    href: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first cell of a row names it."""

    caption: str
    headings: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """Pictures side by side where there is room."""

    items: Sequence[Figure]


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Checklist:
    """Statements that hold or do not: (name, whether, detail)."""

    items: Sequence[tuple[str, bool, str]]


@dataclass(frozen=True)
class Folded:
    """Blocks, or a text as it stands, to be opened by who wants to see them."""

    summary: str
    blocks: Sequence[Block] = ()
    text: str = ""


Block = Figures | Table | Note | Checklist | Folded


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading of its own, reachable as #`anchor`."""

    anchor: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Verdict:
    """Whether the figures can be trusted: a level (valid, suspect, invalid, unchecked), a sentence, the reasons."""

    level: str
    sentence: str
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Tile:
    """One figure to be seen at once."""

    value: str
    label: str


@dataclass(frozen=True)
class Page:
    """A report."""

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    verdict: Verdict
    tiles: Sequence[Tile] = ()
    sections: Sequence[Section] = field(default_factory=tuple)


def render(page: Page) -> str:
    """Return the page as HTML."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("testbed.analysis.html_report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.tests["kind"] = lambda block, name: type(block).__name__ == name
    return templates.get_template("page.html").render(page=page)
