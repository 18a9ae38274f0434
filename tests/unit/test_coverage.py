"""docs/dyncast/coverage.md: every behaviour has a test that exists, or says "not yet"."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
COVERAGE = TESTS.parent / "docs/dyncast/coverage.md"
_BEHAVIOUR = re.compile(r"\* (?P<source>[CDR][^:]*): (?P<words>.+)")
_SHOWN = re.compile(r"  - `(?P<file>(?:[a-z0-9_]+/)+[a-z0-9_]+\.py)::(?P<test>\w+)`")
_NOT_YET = re.compile(r"  - not yet: .+")


def behaviours() -> dict[str, list[str]]:
    """Return the lines below each behaviour."""
    found: dict[str, list[str]] = {}
    for line in COVERAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("* "):
            found[line] = []
        elif line.startswith(" "):
            next(reversed(found.values())).append(line)
    return found


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


@pytest.mark.parametrize(("behaviour", "lines"), behaviours().items())
def test_each_behaviour_is_shown_by_tests_that_exist_or_not_yet(behaviour: str, lines: list[str]) -> None:
    assert _BEHAVIOUR.fullmatch(behaviour), "a behaviour starts with where it is stated"
    assert lines, "neither a test nor `not yet`"
    for line in lines:
        shown = _SHOWN.fullmatch(line)
        if shown is None:
            assert _NOT_YET.fullmatch(line), line
        else:
            assert shown["test"] in collected(shown["file"]), line
            assert Path(shown["file"]).name.startswith("test_"), line


def test_all_requirements_and_the_sections_that_state_behaviour_are_there() -> None:
    sources = [_BEHAVIOUR.fullmatch(line) for line in behaviours()]
    stated = {word for match in sources if match for word in match["source"].split(", ")}
    assert {f"R{number}" for number in range(1, 26)} <= stated
    assert {"C1", "C2", "C3", "C4.1", "C4.2", "C4.3", "C4.4", "C4.5", "C5", "C6"} <= stated
    assert {"D1", "D2", "D3", "D4.1", "D4.2", "D6", "D7"} <= stated
