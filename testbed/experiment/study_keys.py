"""The study file: a scenario, what is varied in it, and how often each case is repeated.

Owns the schema (pydantic) and what its keys need of each other; whether the scenario has the keys that are varied is
`study`'s business. The descriptions are the documentation: `dyncast schema --study` prints them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import combinations
from typing import Annotated, Any

from pydantic import Field, model_validator

from testbed.experiment.scenario_parts import Name, Part

_MOST_SEEDS = 1000
_OWN_KEYS = {"policy": "policies", "seed": "seeds", "name": "name", "description": "description"}


class StudyKeys(Part):
    """One study: each combination of the grid, under each policy, with each seed, is a case and gets a run."""

    name: Name
    """Name of the folder under results/."""
    description: str = ""
    """What it asks, in a sentence."""
    scenario: str | dict[str, Any]
    """Path of a scenario file, relative to the study file; or the scenario itself, whose files lie beside the study."""
    set: dict[str, Any] = {}
    """Scenario keys that all cases have otherwise than the scenario, by dotted key: {metrics.interval_s: 0.5,
    instances.0.workers: 4}."""
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Values that are tried, by dotted scenario key: {workloads.0.arrivals.rate_per_s: [80, 120, 160]};
    of several keys, all combinations."""
    policies: Annotated[list[str], Field(min_length=1)] | None = None
    """Policies that are compared; default: that of the scenario."""
    seeds: int | list[int] = 5
    """Seeds, or how many: 5 is 1, 2, 3, 4, 5. Cases of one seed have the same arrivals, so that they are compared pair
    by pair."""
    baseline: str | None = None
    """The policy that others are compared with; default: `dyncast compare` chooses."""

    @model_validator(mode="after")
    def _keys_are_apart(self) -> StudyKeys:
        for place, keys in (("set", self.set), ("grid", self.grid)):
            for key in keys:
                if key in _OWN_KEYS:
                    raise ValueError(f"{place}.{key}: a study has a key of its own for that: {_OWN_KEYS[key]}")
        for (place, key), (other_place, other) in combinations(
            [*(("set", key) for key in self.set), *(("grid", key) for key in self.grid)], 2
        ):
            if f"{other}.".startswith(f"{key}.") or f"{key}.".startswith(f"{other}."):
                raise ValueError(f"{other_place}.{other}: is or overlaps {place}.{key}; state it once")
        return self

    @model_validator(mode="after")
    def _seeds_can_be(self) -> StudyKeys:
        if isinstance(self.seeds, int) and not 1 <= self.seeds <= _MOST_SEEDS:
            raise ValueError(f"seeds: from 1 to {_MOST_SEEDS}, not {self.seeds}")
        if isinstance(self.seeds, list) and (not self.seeds or min(self.seeds) < 0):
            raise ValueError(f"seeds: one or more, none below 0, not {self.seeds}")
        return self

    @model_validator(mode="after")
    def _values_are_stated_once(self) -> StudyKeys:
        for place, values in (*((f"grid.{key}", values) for key, values in self.grid.items()),
                              ("policies", self.policies or []), ("seeds", self.seed_list)):  # fmt: skip
            twice = _stated_twice(values)
            if twice is not None:
                raise ValueError(f"{place}: {twice} is there twice")
        return self

    @model_validator(mode="after")
    def _baseline_is_run(self) -> StudyKeys:
        if self.baseline is not None and self.policies is not None and self.baseline not in self.policies:
            raise ValueError(f"baseline: {self.baseline!r} is none of the policies {', '.join(self.policies)}")
        return self

    @property
    def seed_list(self) -> list[int]:
        """All seeds."""
        return list(range(1, self.seeds + 1)) if isinstance(self.seeds, int) else self.seeds


def _stated_twice(values: Iterable[Any]) -> str | None:
    seen = set()
    for value in values:
        text = json.dumps(value, sort_keys=True, default=str)
        if text in seen:
            return text
        seen.add(text)
    return None
