"""docs/alto/coverage-updates.md: every demand has a test that exists, or says "not yet"; all bounds are in the page."""

from __future__ import annotations

import re
from dataclasses import fields

from testbed.alto.updates.bounds import Bounds
from tests.unit.test_coverage import TESTS, collected

PAGES = TESTS.parent / "docs/alto"
_SHOWN = re.compile(r"  - `(?P<file>[a-z0-9_/]+\.py)::(?P<test>\w+)`")


def test_each_demand_is_shown_by_tests_that_exist_or_not_yet() -> None:
    demands: dict[str, list[str]] = {}
    for line in (PAGES / "coverage-updates.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("* "):
            assert re.match(r"\* (\d+(\.\d+)*|RFC \d+|HTML \d+\.\d+)(, .+?)?: ", line), line
            demands[line] = []
        elif line.startswith("  - "):
            demands[next(reversed(demands))].append(line)
    assert len(demands) > 25 and all(demands.values())
    for line in (line for lines in demands.values() for line in lines):
        shown = _SHOWN.fullmatch(line)
        assert shown or line.startswith("  - not yet: "), line
        assert not shown or shown["test"] in collected(shown["file"]), line


def test_the_page_has_every_bound_and_its_default() -> None:
    page = (PAGES / "updates.md").read_text(encoding="utf-8")
    for bound in fields(Bounds):
        assert re.search(rf"\| `{bound.name}`[^|]*\| {bound.default:,g} \|", page), bound.name
