"""What the cases of a study are compared with: those under one policy, or those with one value of a factor.

Owns how a baseline is named (`closest`, `metrics.interval_s=0.5`, `variant=two sites`) and which runs a case's
differences are taken to. Knows no measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from testbed.analysis.run_data.loading import RunDataError
from testbed.analysis.study import factors

POLICY = "policy"


@dataclass(frozen=True)
class Baseline:
    """The cases with `value` of `column`, a factor or the policy; the factors `with_it` are as they go with that."""

    column: str
    value: Any
    with_it: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How it is named."""
        return str(self.value) if self.column == POLICY else f"{self.column}={factors.word(self.value)}"

    def counterparts(self, runs: pd.DataFrame, columns: Sequence[str]) -> Counterparts:
        """Separate those of `runs` that cases, identified by `columns`, are compared with."""
        shared = [column for column in columns if column not in (self.column, *self.with_it)]
        own = runs[runs[self.column] == self.value]
        # A grouping has an attribute `keys`, so that dict() takes it for a mapping, which it is not.
        parts = {values: part for values, part in own.groupby(shared, dropna=False)}  # noqa: C416
        return Counterparts(self, shared, parts, runs.iloc[:0])


@dataclass(frozen=True)
class Counterparts:
    """Which runs a case is compared with: those of the baseline, `parts`, by what `shared` columns both have."""

    baseline: Baseline
    shared: Sequence[str]
    parts: Mapping[tuple[object, ...], pd.DataFrame]
    none: pd.DataFrame

    def of(self, case: Mapping[str, object]) -> pd.DataFrame | None:
        """Return the runs that a case is compared with, maybe none; None if it is the baseline's own."""
        if case[self.baseline.column] == self.baseline.value:
            return None
        return self.parts.get(tuple(case[column] for column in self.shared), self.none)


def named(name: str, runs: pd.DataFrame, varied: Sequence[str]) -> Baseline:
    """Return the baseline of that name among runs whose factors are `varied`. Raises RunDataError if there is none."""
    key, is_factor, value = name.partition("=")
    if not is_factor:
        _one_of(name, runs[POLICY].unique(), f"baseline {name!r}: no run has that policy")
        return Baseline(POLICY, name)
    leading = factors.independent(runs, varied)
    factor = next((item for item in leading if item == key or item.endswith(f".{key}")), None)
    if factor is None:
        raise RunDataError(f"baseline {name!r}: {key} is no factor here; {_there_are(leading)}")
    found = _one_of(value, runs[factor].unique(), f"baseline {name!r}: no run has that {factor}")
    return Baseline(factor, found, leading[factor])


def _one_of(text: str, values: Iterable[object], problem: str) -> object:
    by_name = {factors.word(value): value for value in values}
    if text not in by_name:
        raise RunDataError(f"{problem}; {_there_are(by_name)}")
    return by_name[text]


def _there_are(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f"there are: {listed}" if listed else "there are none"
