"""The study file: a scenario, what is varied in it, and how often each case is repeated.

Owns the schema (pydantic) and what its keys need of each other; whether the scenario has the keys that are varied is
`study`'s business. The descriptions are the documentation: `dyncast schema --study` prints them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import combinations
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from testbed.analysis.study.factors import word
from testbed.experiment.schema_parts import Name, Part
from testbed.records.manifest import VARIANT

_MOST_SEEDS = 1000
OWN_KEYS = {"policy": "policies", "seed": "seeds", "name": "name", "description": "description"}


class Step(NamedTuple):
    """Scenario settings, by dotted key, that are made together; results name a variant by its name alone."""

    settings: dict[str, Any]
    variant: str | None = None

    @property
    def factors(self) -> dict[str, Any]:
        """What results say of it."""
        return {VARIANT: self.variant} if self.variant else self.settings

    def varies(self, key: str) -> bool:
        """Return whether it is about this key."""
        return key in self.settings or key in self.factors


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
    variants: dict[str, dict[str, Any]] | list[dict[str, Any]] = {}
    """What sets several keys at once; all are tried, as the values of one more key of the grid are. A list, where each
    sets the same keys: [{metrics.interval_s: 1, duration_s: 30}, {metrics.interval_s: 15, duration_s: 60}]; or each by
    a name, under which it is compared: {small: {instances.0.workers: 2}, large: {instances.0.workers: 8}}."""
    policies: Annotated[list[str], Field(min_length=1)] | None = None
    """Policies that are compared; default: that of the scenario."""
    indifferent: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    """Policies to which a key of `grid` or `variants` makes no difference: {metrics.interval_s: [closest, random]}.
    They run with its first value (the first variant), and these runs count for the other values, too."""
    seeds: int | list[int] = 5
    """Seeds, or how many: 5 is 1, 2, 3, 4, 5. Cases of one seed have the same arrivals, so that they are compared pair
    by pair."""
    baseline: str | None = None
    """The policy that others are compared with, or a key and its value: variant=small, metrics.interval_s=0.5; default:
    `dyncast compare` chooses."""

    @model_validator(mode="after")
    def _keys_are_apart(self) -> StudyKeys:
        fixed = [*(("set", key) for key in self.set), *(("grid", key) for key in self.grid)]
        for step in self.variant_steps or [Step({})]:
            stated = [*fixed, *(("variants", key) for key in step.settings)]
            for place, key in stated:
                if key in OWN_KEYS:
                    raise ValueError(f"{place}.{key}: a study has a key of its own for that: {OWN_KEYS[key]}")
            for (place, key), (other_place, other) in combinations(stated, 2):
                if f"{other}.".startswith(f"{key}.") or f"{key}.".startswith(f"{other}."):
                    raise ValueError(f"{other_place}.{other}: is or overlaps {place}.{key}; state it once")
        return self

    @model_validator(mode="after")
    def _variants_differ(self) -> StudyKeys:
        steps = self.variant_steps
        for number, step in enumerate(steps):
            place = f"variants.{step.variant}" if step.variant else f"variants[{number}]"
            if not step.settings:
                raise ValueError(f"{place}: sets nothing; name the scenario keys that are other here")
            differing = ", ".join(sorted(step.settings.keys() ^ steps[0].settings.keys()))
            if differing and not step.variant:
                raise ValueError(f"{place}: all set the same keys, but not all set {differing}; or give each a name")
        return self

    @model_validator(mode="after")
    def _indifference_is_of_what_varies(self) -> StudyKeys:
        for key, policies in self.indifferent.items():
            if not any(step.varies(key) for axis in self.axes for step in axis):
                raise ValueError(f"indifferent.{key}: neither grid nor variants has that key")
            for policy in policies:
                if policy not in (self.policies or ()):
                    raise ValueError(f"indifferent.{key}: {policy!r} is none of the policies of the study")
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
        lists = {f"grid.{key}": values for key, values in self.grid.items()}
        lists |= {
            "variants": [step.settings for step in self.variant_steps],
            "policies": self.policies or [],
            "seeds": self.seed_list,
        }
        for place, values in lists.items():
            twice = _stated_twice(values)
            if twice is not None:
                raise ValueError(f"{place}: {twice} is there twice")
        return self

    @model_validator(mode="after")
    def _baseline_is_run(self) -> StudyKeys:
        if self.baseline is None:
            return self
        key, is_key, value = self.baseline.partition("=")
        if is_key:
            values = [word(step.factors[key]) for axis in self.axes for step in axis if key in step.factors]
            if not values:
                raise ValueError(f"baseline: neither grid nor variants has the key {key}")
            if value not in values:
                raise ValueError(f"baseline: {value!r} is none of the values of {key}: {', '.join(values)}")
        elif self.policies is not None and self.baseline not in self.policies:
            raise ValueError(f"baseline: {self.baseline!r} is none of the policies {', '.join(self.policies)}")
        return self

    @property
    def variant_steps(self) -> list[Step]:
        """All variants."""
        if isinstance(self.variants, dict):
            return [Step(settings, name) for name, settings in self.variants.items()]
        return [Step(settings) for settings in self.variants]

    @property
    def axes(self) -> list[list[Step]]:
        """What is varied independently, but for policies and seeds: the steps of each."""
        grid = [[Step({key: value}) for value in values] for key, values in self.grid.items()]
        return [*grid, *([self.variant_steps] if self.variants else [])]

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
