"""Names are made of the field's words (docs/glossary.md); old ones do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.scenario import composition
from testbed.experiment.study.study_keys import StudyKeys
from testbed.records.manifest import Manifest
from testbed.records.tables import catalogue

ROOT = Path(__file__).parents[2]
PRODUCT = ("testbed", "topologies", "traffic", "ryu_apps")
PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

# What to say instead.
BANNED = {
    "anew": "again",
    "astray": "unexpected",
    "breaker": "injector",
    "deaf": "overload-tolerant",
    "death": "failure",
    "deaths": "failure detector",
    "dismiss": "stop",
    "gave": "assigned",
    "give": "assign",
    "given": "assigned",
    "hands": "operations",
    "hear": "receive",
    "heard": "received",
    "hearer": "receiver",
    "hearers": "receivers",
    "hears": "accepts, receives",
    "homeward": "reverse",
    "indifferent": "irrelevant",
    "judge": "evaluate, assess",
    "judged": "evaluated, assessed",
    "judgement": "evaluation",
    "mend": "restore",
    "outlook": "view",
    "overtaken": "out of order",
    "reckon": "compute",
    "reckoned": "computed",
    "steadiness": "stability",
    "stray": "host drops",
    "succession": "sequence tracker",
    "swing": "oscillation",
    "tell": "report, advertise",
    "teller": "report stream",
    "tellers": "report streams",
    "telling": "reporting, update trigger",
    "tells": "reports",
    "told": "reported, assigned, received",
    "undisturbed": "deferred signals",
    "unseen": "unreported",
    "unwinding": "signals as exit",
    "whom": "which",
    "at_hand": "context",
    "go_on": "step",
    "of_late": "recent",
    "set_aside": "archive",
    "stated_work": "known demand",
    "way_home": "reverse path",
    "who_lacks": "router without",
}


@cache
def kept() -> frozenset[str]:
    """Return the keys of scenarios, studies and manifests, and the columns of tables: so files stay readable."""
    schemas = [composition.schema().model_json_schema(), StudyKeys.model_json_schema()]
    columns = (column for table in catalogue().values() for column in table.columns)
    of_manifest = (field.name for field in fields(Manifest))
    return frozenset({*(key for schema in schemas for key in keys_of(schema)), *columns, *of_manifest})


def keys_of(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties if isinstance(properties, dict) else ()
        for value in schema.values():
            yield from keys_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys_of(value)


def modules() -> list[Path]:
    return sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> Iterator[str]:
    """Return what a module calls its own: itself, functions, classes, parameters, variables, attributes."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def banned_in(name: str) -> Iterator[str]:
    parts = [part.lower() for part in PART.findall(name)]
    yield from (part for part in parts if part in BANNED)
    yield from (pair for pair in map("_".join, pairwise(parts)) if pair in BANNED)


@cache
def found() -> dict[str, dict[str, list[str]]]:
    """Return the names that have a banned word, and the files where they are."""
    names: dict[str, dict[str, list[str]]] = {word: {} for word in BANNED}
    for path in modules():
        for name in sorted(set(named(path)) - kept()):
            for word in banned_in(name):
                names[word].setdefault(name, []).append(str(path.relative_to(ROOT)))
    return names


@pytest.mark.parametrize("word", BANNED)
def test_a_name_has_no_word_that_the_field_does_not_use(word: str) -> None:
    names = found()[word]
    assert not names, f"say {BANNED[word]!r} instead: {names}"


def test_classes_that_the_glossary_names_are_in_the_product() -> None:
    terms = re.findall(r"^\| [^|]*\(`([A-Z]\w+)`\)", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    missing = {*terms} - {name for path in modules() for name in named(path)}
    assert len(terms) > 10 and not missing, f"the glossary names what is not there: {missing}"


def test_words_are_found_in_names_of_any_form() -> None:
    names = ("on_told", "TOLD_ALL_S", "ToldOutlook", "_AtHand", "has_way_home", "retold", "toldest")
    assert [list(banned_in(name)) for name in names] == [
        ["told"], ["told"], ["told", "outlook"], ["at_hand"], ["way_home"], [], []
    ]  # fmt: skip
