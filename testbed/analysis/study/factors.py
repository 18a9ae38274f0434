"""What differs between the scenarios of several runs: the factors of a study.

Owns how a scenario becomes settings by dotted key (as `--set` names them), which of them are factors, and how values
are shown. A run's policy is no factor: it is what is compared. Knows no measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from testbed.records.manifest import VARIANT

Value = str | int | float | bool | None
Settings = Mapping[str, Value]

_SCENARIO = "name"
_NO_FACTORS = frozenset({_SCENARIO, "description", "seed", "policy"})
# From so many settings that change with the scenario's name alone, these are several scenarios rather than one varied.
_ANOTHER_SCENARIO = 8
# What only one policy looks at; where it changes with the policy alone, it is part of that policy.
_OF_A_POLICY = ("policy_parameters.", "dns.")


def settings(document: Mapping[str, object]) -> dict[str, Value]:
    """Return a scenario's settings by dotted key, such as `instances.0.workers`; a list of plain values is one."""
    return dict(_flattened("", document))


def policy_of(policies: Mapping[str, str], otherwise: str) -> str:
    """Name the policy of a run by those of its services; where these differ, it has the name of all of them."""
    distinct = set(policies.values()) or {otherwise}
    if len(distinct) == 1:
        return distinct.pop()
    return ", ".join(f"{service} {policy}" for service, policy in sorted(policies.items()))


def factors(runs: Sequence[Settings], policies: Sequence[str]) -> tuple[str, ...]:
    """Return the keys whose values differ between runs, in the order of the scenario file.

    What an absent key would be is not known here: it counts as a value of its own, as null does. What a study's named
    variants set is identified by one factor, `variant`; scenarios that differ in many ways by one factor, `name`.
    """
    keys = dict.fromkeys(key for run in runs for key in run)
    found = [key for key in keys if _may_be_factor(key) and _differs(key, runs, policies)]
    if VARIANT in found:
        variants = [run.get(VARIANT) for run in runs]
        found = [key for key in found if key == VARIANT or not _goes_with(variants, [run.get(key) for run in runs])]
    names = [run.get(_SCENARIO) for run in runs]
    of_scenario = [key for key in found if _goes_with(names, [run.get(key) for run in runs])]
    if len(of_scenario) >= _ANOTHER_SCENARIO:
        return (_SCENARIO, *(key for key in found if key not in of_scenario))
    return tuple(found)


def column(runs: Sequence[Settings], factor: str) -> pd.Series:
    """Return the values of a factor, run by run: numbers if all are, else words."""
    values = [run.get(factor) for run in runs]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return pd.Series(values)
    return pd.Series([word(value) for value in values], dtype=object)


def independent(runs: pd.DataFrame, named: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return those factors that distinguish runs, each with those whose values follow from its own."""
    groups = {factor: runs.groupby(factor, dropna=False, sort=False).ngroup() for factor in named}
    following: dict[str, list[str]] = {}
    for factor in sorted(named, key=lambda name: -groups[name].nunique()):
        leader = next((other for other in following if _determines(groups[other], groups[factor])), None)
        if leader is None:
            following[factor] = []
        else:
            following[leader].append(factor)
    return {factor: tuple(following[factor]) for factor in named if factor in following}


def _determines(first: pd.Series, second: pd.Series) -> bool:
    return bool(len(pd.DataFrame({"first": first, "second": second}).drop_duplicates()) == first.nunique())


def case_name(named: Sequence[str], values: Sequence[object], between: str = ", ") -> str:
    """Say which values factors have, each factor by the last parts of its key that distinguish it from the others."""
    return between.join(f"{_short(key, named)} {word(value)}" for key, value in zip(named, values, strict=True))


def _short(key: str, among: Sequence[str]) -> str:
    parts = key.split(".")
    others = [f".{other}" for other in among if other != key]
    ends = (".".join(parts[-length:]) for length in range(1, len(parts)))
    return next((end for end in ends if not any(other.endswith(f".{end}") for other in others)), key)


def _flattened(prefix: str, value: object) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flattened(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from _flattened(f"{prefix}.{index}", item)
    elif isinstance(value, list):
        if value:
            yield prefix, ", ".join(map(word, value))
    else:
        yield prefix, value if value is None or isinstance(value, str | int | float) else str(value)


def _may_be_factor(key: str) -> bool:
    first, _, rest = key.partition(".")
    return key not in _NO_FACTORS and not (first == "services" and rest.endswith(".policy") and rest.count(".") == 1)


def _differs(key: str, runs: Sequence[Settings], policies: Sequence[str]) -> bool:
    values = [run.get(key) for run in runs]
    if len(set(values)) < 2:
        return False
    return not (key.startswith(_OF_A_POLICY) and _goes_with(policies, values))


def _goes_with(causes: Sequence[Value], values: Sequence[Value]) -> bool:
    return len(set(zip(causes, values, strict=True))) == len(set(causes))


def word(value: object) -> str:
    """Return a value as it is shown and named."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
