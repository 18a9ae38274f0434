"""What pages of the documentation refer to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_pages_of_studies_are_listed_and_name_their_files() -> None:
    listed = (ROOT / "docs/studies/README.md").read_text(encoding="utf-8")
    pages = [page for page in (ROOT / "docs/studies").glob("*.md") if page.name != "README.md"]
    assert pages
    for page in pages:
        assert f"({page.name})" in listed
        assert f"../examples/studies/{page.stem}.yaml)" in page.read_text(encoding="utf-8")
