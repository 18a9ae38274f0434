"""Scripted costs: a file that says which cost is another one from when on.

Knows the form of the file; the clock and the server are others' business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import yaml_documents
from testbed.alto.costs.cost_type import Cost, CostMode, CostType
from testbed.alto.directory.directory import Directory
from testbed.alto.errors import AltoDataError
from testbed.alto.media_types import COST_MAP
from testbed.alto.service.knowledge import Knowledge
from testbed.errors import InputError

_KEYS = ("at_s", "cost-map", "from", "to", "cost")


class ScriptError(InputError):
    """A script that cannot be followed; the text names file, change and key."""


@dataclass(frozen=True)
class Change:
    """One cost from a moment on; None: it is no longer defined."""

    at_s: float
    network_map: str
    cost_type: CostType
    source: str
    destination: str
    cost: Cost | None

    def applied(self, known: Knowledge) -> Knowledge:
        """Return what is known then. Raises AltoDataError."""
        return known.with_cost(self.network_map, self.cost_type, self.source, self.destination, self.cost)


def read(path: Path, directory: Directory, known: Knowledge) -> list[Change]:
    """Return the changes in a file, in the order of their time, each tried on what is known. Raises ScriptError."""
    try:
        document = yaml_documents.read(path)
    except OSError as error:
        raise ScriptError(f"{path}: {error.strerror or error}; is the path right?") from error
    if not isinstance(document, list):
        raise ScriptError(f"{path}: must be a list of changes, each with the keys {', '.join(_KEYS)}")
    changes = [_change(f"{path}: [{number}]", said, directory) for number, said in enumerate(document)]
    for number, change in enumerate(changes):
        try:
            change.applied(known)
        except AltoDataError as error:
            raise ScriptError(f"{path}: [{number}]: {error}") from error
    return sorted(changes, key=lambda change: change.at_s)


def _change(place: str, said: Any, directory: Directory) -> Change:
    if not isinstance(said, dict) or said.keys() != set(_KEYS):
        raise ScriptError(f"{place} must have the keys {', '.join(_KEYS)}, and no other")
    at_s, cost = said["at_s"], said["cost"]
    if not _is_number(at_s) or at_s < 0:
        raise ScriptError(f"{place}.at_s must be a number of seconds >= 0, not {at_s!r}")
    if cost is not None and not _is_number(cost):
        raise ScriptError(f"{place}.cost must be a number, or null where there is no cost any more, not {cost!r}")
    maps = _numerical_maps(directory)
    if not isinstance(said["cost-map"], str) or said["cost-map"] not in maps:
        raise ScriptError(f"{place}.cost-map must be one of {', '.join(maps)}, whose ranks follow from it")
    for key in ("from", "to"):
        if not isinstance(said[key], str):
            raise ScriptError(f"{place}.{key} must be a PID, not {said[key]!r}")
    network_map, cost_type = maps[said["cost-map"]]
    return Change(float(at_s), network_map, cost_type, said["from"], said["to"], cost)


def _numerical_maps(directory: Directory) -> dict[str, tuple[str, CostType]]:
    """Return network map and cost type of each whole numerical cost map."""
    maps = {
        entry.resource_id: (entry.uses[0], directory.cost_types[entry.capabilities.cost_type_names[0]])
        for entry in directory.entries
        if entry.media_type == COST_MAP and not entry.accepts
    }
    return {name: found for name, found in maps.items() if found[1].mode is CostMode.NUMERICAL}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
