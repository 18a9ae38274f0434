"""The coverage pages of the systems: every behaviour has a test that exists, or says "not yet"."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
DOCS = TESTS.parent / "docs"
# How each page names where a behaviour is stated: a draft's letter or an RFC's number, and the section.
SOURCES = {"dyncast": r"[CDR][^:]*", "alto": r"(7285|8189|8895|9240|9439|D) [^:]+"}
_SHOWN = re.compile(r"  - `(?P<file>(?:[a-z0-9_]+/)+[a-z0-9_]+\.py)::(?P<test>\w+)`")
_NOT_YET = re.compile(r"  - not yet: .+")
# Sections of RFC 7285 that say MUST or SHOULD to a server or a client.
_RFC7285 = """
    6.1 6.1.1.1 6.1.2 6.3 7.1.1 8.3 8.3.2 8.3.3 8.3.4.2 8.3.5 8.3.7 8.5 8.5.2 8.5.3 9.1.1 9.2 9.2.2 10.1 10.2 10.3
    10.4.2 10.5 10.6 10.7 10.8.1 10.8.2 11.2.1 11.2.1.6 11.2.1.7 11.2.2 11.2.3 11.2.3.4 11.2.3.5 11.2.3.6 11.3.1.3
    11.3.1.6 11.3.2.3 11.3.2.4 11.3.2.6 11.4.1.3 11.4.1.4 11.4.1.6 11.5.1.3 11.5.1.5 11.5.1.6 13.3 15.1.2 15.4
"""


def behaviours(system: str) -> dict[str, list[str]]:
    """Return the lines below each behaviour."""
    found: dict[str, list[str]] = {}
    for line in (DOCS / system / "coverage.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("* "):
            found[line] = []
        elif line.startswith(" "):
            next(reversed(found.values())).append(line)
    return found


def source(system: str, behaviour: str) -> str:
    """Return where a behaviour is stated."""
    match = re.fullmatch(rf"\* (?P<source>{SOURCES[system]}): .+", behaviour)
    assert match, f"a behaviour starts with where it is stated: {behaviour}"
    return match["source"]


@cache
def collected(file: str) -> frozenset[str]:
    """Return what pytest finds at the top of a test file: functions, classes, and state machines by assignment."""
    names = []
    for node in ast.parse((TESTS / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return frozenset(name for name in names if name.startswith(("test_", "Test")))


@pytest.mark.parametrize(
    ("system", "behaviour", "lines"),
    [(system, behaviour, lines) for system in SOURCES for behaviour, lines in behaviours(system).items()],
)
def test_each_behaviour_is_shown_by_tests_that_exist_or_not_yet(system: str, behaviour: str, lines: list[str]) -> None:
    assert source(system, behaviour)
    assert lines, "neither a test nor `not yet`"
    for line in lines:
        shown = _SHOWN.fullmatch(line)
        if shown is None:
            assert _NOT_YET.fullmatch(line), line
        else:
            assert shown["test"] in collected(shown["file"]), line
            assert Path(shown["file"]).name.startswith("test_"), line


def test_all_requirements_and_the_sections_that_state_behaviour_are_there() -> None:
    stated = {word for behaviour in behaviours("dyncast") for word in source("dyncast", behaviour).split(", ")}
    assert {f"R{number}" for number in range(1, 26)} <= stated
    assert {"C1", "C2", "C3", "C4.1", "C4.2", "C4.3", "C4.4", "C4.5", "C5", "C6"} <= stated
    assert {"D1", "D2", "D3", "D4.1", "D4.2", "D6", "D7"} <= stated


def test_all_sections_of_rfc_7285_that_demand_something_are_there() -> None:
    sources = [source("alto", behaviour).partition(" ") for behaviour in behaviours("alto")]
    stated = {section for rfc, _, sections in sources if rfc == "7285" for section in sections.split(", ")}
    assert set(_RFC7285.split()) <= stated


def test_every_coverage_page_is_held() -> None:
    assert {page.parent.name for page in DOCS.glob("*/coverage.md")} == set(SOURCES)
