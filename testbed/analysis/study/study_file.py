"""What a study's own file says that its comparison needs: the baseline, and which policies a factor does not concern.

Takes what it finds, and leaves out what it cannot read: the file was checked when the study ran. Knows no measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from testbed import yaml_documents
from testbed.analysis.run_data.loading import RunDataError
from testbed.records import result_files
from testbed.records.manifest import VARIANT
from testbed.yaml_documents import YamlError

NAME = "study.yaml"


@dataclass(frozen=True)
class Indifference:
    """Policies whose runs at one value of `keys` (factors that change together) count for all values."""

    keys: tuple[str, ...]
    policies: frozenset[str]


@dataclass(frozen=True)
class StudyFile:
    """See the module."""

    baseline: str | None = None
    indifferent: tuple[Indifference, ...] = ()


def read(path: Path) -> StudyFile:
    """Read the file; one that is not there says nothing. Raises RunDataError, in one line, if it cannot be read."""
    try:
        document = yaml_documents.parse(result_files.read_text(path), str(path))
    except FileNotFoundError:
        return StudyFile()
    except (OSError, UnicodeDecodeError, YamlError):
        raise RunDataError(
            f"{path}: cannot be read, so its baseline, and what its policies are indifferent to, is not known; "
            "sweep to repair it, or name a baseline"
        ) from None
    document = document if isinstance(document, dict) else {}
    baseline = document.get("baseline")
    return StudyFile(baseline if isinstance(baseline, str) else None, tuple(_irrelevant(document)))


def counted(
    runs: pd.DataFrame, factors: Sequence[str], indifferent: Sequence[Indifference], own: Sequence[str] = ()
) -> pd.DataFrame:
    """Return runs of the columns `policy` and `factors`, with those that count for several values there for each.

    `own`: columns that hold for a run's own value alone, and are missing at the others.
    """
    for item in indifferent:
        keys = [key for key in item.keys if key in factors]
        is_theirs = runs["policy"].isin(item.policies)
        if not keys or not is_theirs.any():
            continue
        values = runs[keys].drop_duplicates()
        everywhere = runs[is_theirs].merge(values, how="cross", suffixes=(" of its own", ""))
        elsewhere = pd.concat([everywhere[f"{key} of its own"] != everywhere[key] for key in keys], axis=1).any(axis=1)
        everywhere.loc[elsewhere, list(own)] = float("nan")
        runs = pd.concat([runs[~is_theirs], everywhere[runs.columns]], ignore_index=True)
    return runs


def _irrelevant(document: Mapping[str, object]) -> list[Indifference]:
    said, variants = document.get("indifferent"), document.get("variants")
    steps = [*variants.values()] if isinstance(variants, dict) else variants if isinstance(variants, list) else []
    found = []
    for key, policies in said.items() if isinstance(said, dict) else ():
        together = {VARIANT: None} if key == VARIANT else {}
        together |= next((step for step in steps if isinstance(step, dict) and key in (VARIANT, *step)), {key: None})
        if isinstance(policies, list):
            found.append(Indifference(tuple(map(str, together)), frozenset(map(str, policies))))
    return found
