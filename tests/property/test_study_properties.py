"""What holds for every study: a case for each combination, balanced at any time; a fingerprint of all that counts."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.experiment.scenario.file import ScenarioError, parse
from testbed.experiment.study import study
from tests.scenarios import small_document
from tests.studies import RATE, write_study

_GRIDS = st.fixed_dictionaries(
    {},
    optional={
        RATE: st.lists(st.integers(1, 99), min_size=1, max_size=3, unique=True),
        "instances.0.workers": st.lists(st.integers(1, 9), min_size=1, max_size=2, unique=True),
    },
)
_POLICIES = st.lists(st.sampled_from(["closest", "random", "dyncast"]), min_size=1, max_size=3, unique=True)
_SEEDS = st.integers(1, 4) | st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_GRIDS, _POLICIES, _SEEDS, st.data())
def test_each_combination_is_a_case_and_any_beginning_is_balanced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid: Any, policies: list[str], seeds: Any, data: st.DataObject
) -> None:
    # To lay out networks takes a while, and is not what this is about.
    monkeypatch.setattr(study, "make_plan", lambda *_: None)
    loaded = study.load(write_study(tmp_path, grid=grid, policies=policies, seeds=seeds))
    numbers = list(range(1, seeds + 1)) if isinstance(seeds, int) else seeds
    told = [(case.seed, *(case.settings[key] for key in grid), case.settings["policy"]) for case in loaded.cases]
    assert sorted(told) == sorted(product(numbers, *grid.values(), policies))
    assert len({case.fingerprint for case in loaded.cases}) == len({case.name for case in loaded.cases}) == len(told)
    begun = Counter(tuple(rest) for _, *rest in told[: data.draw(st.integers(1, len(told)))])
    counts = [begun[combination] for combination in product(*grid.values(), policies)]
    assert max(counts) - min(counts) <= 1


def _shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: _shuffled(value[key], rng) for key in rng.sample(list(value), len(value))}
    return [_shuffled(item, rng) for item in value] if isinstance(value, list) else value


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter_to_a_fingerprint(rng: random.Random) -> None:
    files = {f"{name}.csv": name for name in "abc"}
    first = study.fingerprint(parse(small_document(), "small"), files, "1")
    assert study.fingerprint(parse(_shuffled(small_document(), rng), "small"), _shuffled(files, rng), "1") == first


def _leaves(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [leaf for key, item in items for leaf in _leaves(item, (*place, key))]
    return below if isinstance(value, dict | list) else [place]


_SMALL = parse(small_document(), "small")
_PLACES = [place for place in _leaves(_SMALL.model_dump(mode="json")) if place not in (("name",), ("description",))]
_WORDS = ("closest", "threshold", "datapath", "burn", "constant", "video", "hmac", "edge", "netem", "reset", "explicit")


def _other_values(value: Any) -> list[Any]:
    """Return values that may stand in place of one, some of which its schema refuses."""
    numbers = [value + 1, value / 2, value * 2] if isinstance(value, int | float) else []
    return [*numbers, not value, None, 1, "b", "198.51.100.1", *_WORDS]


def test_any_value_that_changes_changes_the_fingerprint() -> None:
    first = study.fingerprint(_SMALL, {}, "1")
    tried = set()
    for place in _PLACES:
        document = _SMALL.model_dump(mode="json")
        here = document
        for key in place[:-1]:
            here = here[key]
        for value in _other_values(here[place[-1]]):
            here[place[-1]] = value
            with suppress(ScenarioError):
                changed = parse(document, "changed")
                if changed != _SMALL:
                    assert study.fingerprint(changed, {}, "1") != first, place
                    tried.add(place)
                    break
    assert len(tried) > 80, tried  # the others need more than one value to change at once


_FILES = st.dictionaries(st.text(max_size=3), st.text(max_size=3))


@given(_FILES, _FILES)
def test_other_files_or_contents_are_another_fingerprint(one: dict[str, str], other: dict[str, str]) -> None:
    same = study.fingerprint(_SMALL, one, "1") == study.fingerprint(_SMALL, other, "1")
    assert same == (one == other)
