"""An HTML report as tests look at it: what it refers to, its ids, headings, tables and pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = frozenset({"meta", "link", "br", "hr", "img", "input"})


@dataclass
class ReportPage(HTMLParser):
    """Parses a page; elements must be closed in the order in which they were opened."""

    ids: Counter[str] = field(default_factory=Counter)
    references: list[str] = field(default_factory=list)
    headings: list[tuple[str, str]] = field(default_factory=list)
    elements: Counter[str] = field(default_factory=Counter)
    attributes: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    @classmethod
    def of(cls, html: str) -> ReportPage:
        page = cls()
        page.feed(html)
        page.close()
        assert not page._open, f"never closed: {page._open}"
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and self._open and self._open[-1] != "style":
            self.texts.append(data.strip())
            if self._open[-1] in ("h1", "h2", "h3"):
                self.headings.append((self._open[-1], data.strip()))

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        named = dict(attrs)
        self.attributes.append((tag, named))
        if named.get("id"):
            self.ids[str(named["id"])] += 1
        self.references += [str(named[key]) for key in ("href", "src", "data", "xlink:href") if named.get(key)]

    def having(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of a kind."""
        return [named for name, named in self.attributes if name == tag]
