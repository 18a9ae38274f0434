"""Scenario files: read, overridden key by key, checked, written out; every error in one line.

Owns the wording of errors. Touches no machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from testbed import yaml_documents
from testbed.errors import InputError
from testbed.experiment.scenario import composition, rules
from testbed.experiment.scenario.scenario import Scenario
from testbed.yaml_documents import YamlError

_SHOWN_CHARACTERS = 100  # of a wrong value

_Keys = TypeVar("_Keys", bound=BaseModel)


class ScenarioError(InputError):
    """A scenario that cannot run; one line that names file, key and way out."""


def load(path: Path, overrides: dict[str, Any] | None = None) -> Scenario:
    """Read a scenario file, with `overrides` by dotted key. Raises ScenarioError in one line."""
    document = read(path)
    for key, value in (overrides or {}).items():
        override(document, key, value, f"--set {key}", path)
    return parse(document, str(path))


def read(path: Path) -> dict[str, Any]:
    """Return the document in a YAML file, unchecked. Raises ScenarioError in one line."""
    try:
        document = yaml_documents.read(path)
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}; is the path right?") from error
    except YamlError as error:
        raise ScenarioError(str(error)) from error
    if not isinstance(document, dict):
        raise ScenarioError(f"{path}: must hold keys and values, such as 'name: my-first'")
    return document


def parse(document: dict[str, Any], source: str) -> Scenario:
    """Check a document; `source` names it in errors. Raises ScenarioError in one line."""
    scenario = checked(composition.schema(), document, source)
    try:
        rules.check(scenario)
    except ValueError as error:
        raise ScenarioError(f"{source}: {error}") from error
    return scenario


def checked(keys: type[_Keys], document: dict[str, Any], source: str) -> _Keys:
    """Check a document against any of the schemas; `source` names it in errors. Raises ScenarioError in one line."""
    try:
        return keys.model_validate(document)
    except ValidationError as error:
        raise ScenarioError(f"{source}: {_worded(error, keys)}") from error


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Read all `key.sub=value` of `--set`, each key once. Raises ScenarioError."""
    settings: dict[str, Any] = {}
    for key, value in map(parse_setting, texts):
        if key in settings:
            raise ScenarioError(f"--set {key}: is set twice; say it once")
        settings[key] = value
    return settings


def parse_setting(text: str) -> tuple[str, Any]:
    """Read `key.sub=value` of `--set`. Raises ScenarioError."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ScenarioError(f"--set {text}: write key=value, such as --set metrics.interval_s=0.5")
    try:
        return key.strip(), yaml_documents.parse(value, f"--set {key.strip()}")
    except YamlError as error:
        raise ScenarioError(str(error)) from error


def dump(scenario: Scenario) -> str:
    """Return the scenario with every default written out, as YAML."""
    return yaml_documents.dump(scenario.model_dump(mode="json"))


def override(document: dict[str, Any], key: str, value: Any, said: str, source: Path) -> None:
    """Set a dotted key of a document in place; errors name it as `said`. Raises ScenarioError in one line."""
    place: Any = document
    parts = key.split(".")
    for part in parts[:-1]:
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise ScenarioError(f"{said}: {source} has no element {part!r} there")
            place = place[int(part)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
        else:
            raise ScenarioError(f"{said}: there is nothing below {part!r} in {source}")
    last = parts[-1]
    if isinstance(place, list):
        if not last.isdigit() or int(last) >= len(place):
            raise ScenarioError(f"{said}: {source} has no element {last!r} there")
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ScenarioError(f"{said}: there is nothing below {parts[-2]!r} in {source}")


def _worded(error: ValidationError, keys: type[BaseModel]) -> str:
    problem = error.errors()[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    location = [part for part in problem["loc"] if not str(part).startswith(composition.CHOICE)]
    place = _place(location)
    if problem["type"] == "extra_forbidden":
        fields = _fields_at(location[:-1], keys)
        near = difflib.get_close_matches(str(location[-1]), fields, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(fields)}"
        return f"{place}: unknown key; {hint}{more}"
    message = problem["msg"].removeprefix("Value error, ")
    got = problem.get("input")
    if problem["type"] == "string_type" and isinstance(got, int | float | None):
        message = f"must be a word, and {'nothing is there' if got is None else f'{got!r} is none to YAML'}"
        return f"{place}: {message}; put it in quotes{more}"
    is_shown = isinstance(got, str | int | float) and problem["type"] != "value_error"
    shown = f", not {_shortened(repr(got))}" if is_shown else ""
    return f"{place}: {message}{shown}{more}" if place else f"{message}{more}"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _place(location: Sequence[Any]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def _fields_at(location: Sequence[Any], keys: type[BaseModel]) -> list[str]:
    """Return the keys the schema knows at a place, for the hint on a mistyped one."""
    schema = keys.model_json_schema()
    here = schema
    for part in location:
        here = _dereferenced(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        elif part in here.get("properties", {}):
            here = here["properties"][part]
        else:
            here = next(iter(here.get("patternProperties", {}).values()), {})
    return list(_dereferenced(here, schema).get("properties", {}))


def _dereferenced(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "oneOf" in here:
        kinds = [_dereferenced(kind, schema) for kind in here["oneOf"]]
        return {"properties": {name: key for kind in kinds for name, key in kind.get("properties", {}).items()}}
    for option in here.get("anyOf", []):
        if "$ref" in option:
            here = option
    if "$ref" in here:
        return dict(schema["$defs"][here["$ref"].rsplit("/", 1)[-1]])
    return here
