"""Many runs as one study: what was varied, what each run came to, and how sure one can be of the differences.

Owns which folders are runs of a study, and the statistics of a comparison. Measures are those of `run_measures`,
factors those of `factors`. Prints and draws nothing.

* Each run gives one value of each measure (a p95 is that of the run's own flows; flows of several runs are never
  pooled). What is compared are the means of these values over seeds, with Student's 95 % confidence interval.
* Runs of one seed have the same arrivals under every policy, so differences to the baseline are taken seed by seed, at
  equal values of all (other) factors, and the interval is that of these differences. Seeds that only one side has are
  named.
* A run whose policy does not care about a factor counts for each of its values, as the study's file says.
* Several runs of one case and seed count once, by their mean: they face the same arrivals, so they are no new evidence.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from testbed.analysis.measures import run_measures
from testbed.analysis.run_data.loading import RunDataError
from testbed.analysis.study import baselines, measures_file, study_file
from testbed.analysis.study import factors as scenario_factors
from testbed.analysis.study.baselines import POLICY, Baseline
from testbed.analysis.study.measures_file import RunMeasures
from testbed.analysis.study.study_file import Indifference, StudyFile
from testbed.analysis.system import Measure
from testbed.analysis.theory.confidence import half_width
from testbed.records import result_files

VERDICTS = ("valid", "suspect", "invalid", "unchecked")
_USUAL_BASELINE = "closest"
_MOST_REASONS = 3
_FIGURE = re.compile(r"\d+(\.\d+)?")
_RUN_FILES = ("manifest.json", "scenario.yaml")
_FINISHED = "finished"
_REGISTER = "sweep.json"
_OF_RUN = ("signalling_bytes_per_s",)  # depends on what policies do not care about


@dataclass(frozen=True)
class StudyFigures:
    """The runs of a study; `compare` turns them into differences.

    `factors`: the dotted scenario keys that differ, in the scenario's order; the policy is not among them. `runs`: one
    row per run and service, with the columns `run_dir`, those of `factors`, `policy`, `seed`, `verdict`, `reasons`,
    `service`, `offered` (flows), and one per measure of `run_measures.measures`, NaN where a service has none.
    `skipped`: why folders were left out, one line each. `baseline` and
    `indifferent`: what the study file calls so.
    """

    factors: tuple[str, ...]
    runs: pd.DataFrame
    skipped: tuple[str, ...] = ()
    baseline: str | None = None
    indifferent: tuple[Indifference, ...] = ()

    def only_valid(self) -> StudyFigures:
        """Return the same without runs whose fidelity is in doubt. Factors that differ no more are none."""
        runs = self.runs[self.runs["verdict"] == "valid"].reset_index(drop=True)
        left = tuple(factor for factor in self.factors if runs[factor].nunique(dropna=False) > 1)
        return replace(self, factors=left, runs=runs.drop(columns=[item for item in self.factors if item not in left]))

    def baseline_among(self, name: str | None = None) -> Baseline:
        """Return what to compare with: what is named, the study's, `closest`, or the first policy that some run has.

        A name is a policy, or a factor and its value: `metrics.interval_s=0.5`. Raises RunDataError if no run has the
        one that is named.
        """
        if name is not None:
            return baselines.named(name, self.runs, self.factors)
        for usual in (self.baseline, _USUAL_BASELINE, *self.runs[POLICY]):
            if usual is not None:
                with suppress(RunDataError):
                    return baselines.named(usual, self.runs, self.factors)
        return Baseline(POLICY, _USUAL_BASELINE)


def read(folders: Sequence[Path], progress: Callable[[int, int], object] | None = None) -> StudyFigures:
    """Read all finished runs that lie in `folders` or below; `progress` takes how many are done, of how many.

    A run that cannot be read is left out, and `skipped` says why. Raises RunDataError for a folder that does not exist.
    """
    run_dirs, skipped = _run_dirs(folders)
    found: list[tuple[Path, RunMeasures]] = []
    for number, (run_dir, run) in enumerate(zip(run_dirs, measures_file.read_each(run_dirs), strict=True), 1):
        if isinstance(run, RunDataError):
            skipped.append(str(run))
        elif run.services:
            found.append((run_dir, run))
        else:
            skipped.append(f"{run_dir}: no flow was offered to any service")
        if progress is not None:
            progress(number, len(run_dirs))
    said = [_study_file(folder, skipped) for folder in folders]
    baseline = next((one.baseline for one in said if one.baseline is not None), None)
    indifferent = tuple(item for one in said for item in one.indifferent)
    return replace(_figures(found, skipped), baseline=baseline, indifferent=indifferent)


def load_study(*folders: Path | str) -> StudyFigures:
    """Read all finished runs that lie in these folders or below. Raises RunDataError for one that does not exist."""
    return read([Path(folder) for folder in folders])


def compare(figures: StudyFigures, baseline: str | None = None) -> pd.DataFrame:
    """Return one row per case (values of all factors), service, policy and measure, in that order; the baseline first.

    Columns: those of `factors`, `policy`, `service`, `measure`, `unit`, `seeds` (how many), `mean`, `ci95_low`,
    `ci95_high`, `baseline`, `pairs` (seeds that both have), `unpaired_seeds` (which only one has, as words),
    `difference`, `difference_ci95_low`, `difference_ci95_high`, `change_percent` (of the baseline's mean over the
    pairs), `runs`, and how many of these are of each verdict. With one seed, intervals are NaN. Raises RunDataError for
    a baseline that no run has.
    """
    factors = list(figures.factors)
    columns = [*factors, "policy", "service", "measure", "unit", "seeds", "mean", "ci95_low", "ci95_high", "baseline"]
    columns += ["pairs", "unpaired_seeds", "difference", "difference_ci95_low", "difference_ci95_high"]
    columns += ["change_percent", "runs", *VERDICTS]
    if figures.runs.empty:
        return pd.DataFrame(columns=columns)
    against = figures.baseline_among(baseline)
    rows = []
    runs = study_file.counted(figures.runs, factors, figures.indifferent, _OF_RUN)
    counterparts = against.counterparts(runs, [*factors, "service", POLICY])
    for values, of_case in _groups(runs, [*factors, "service"]):
        for policy in sorted(of_case[POLICY].unique(), key=lambda name: (name != against.value, name)):
            case = {**dict(zip([*factors, "service"], values, strict=True)), POLICY: policy}
            own, others = of_case[of_case[POLICY] == policy], counterparts.of(case)
            verdicts = own["verdict"].value_counts()
            head = {**case, "runs": len(own), **{verdict: verdicts.get(verdict, 0) for verdict in VERDICTS}}
            ours, theirs = _by_seed(own), None if others is None else _by_seed(others)
            for measure in run_measures.measures().values():
                key = measure.key
                if ours[key].notna().any():
                    compared = _against(ours[key].dropna(), None if theirs is None else theirs[key].dropna())
                    rows.append(head | _row(measure, ours[key].dropna()) | compared | {"baseline": against.name})
    return pd.DataFrame(rows, columns=columns)


def marks(figures: StudyFigures) -> list[str]:
    """Return what tables and pictures of a study must say of the fidelity of its runs: a line per verdict in doubt."""
    runs = figures.runs.drop_duplicates("run_dir")
    lines = []
    for verdict in VERDICTS[1:]:
        doubtful = runs[runs["verdict"] == verdict]
        if len(doubtful):
            said = _reasons([reason for reasons in doubtful["reasons"] for reason in reasons.split("; ") if reason])
            lines.append(f"{len(doubtful)} of {len(runs)} runs {verdict.upper()}{f': {said}' if said else ''}")
    return lines


def _reasons(reasons: Sequence[str]) -> str:
    """Say what was reason most often, the same reason with other figures once."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        alike.setdefault(_FIGURE.sub("", reason), []).append(reason)
    often = sorted(alike.values(), key=len, reverse=True)
    said = [f"{first}{f' (and {len(more)} like it)' if more else ''}" for first, *more in often[:_MOST_REASONS]]
    if len(often) > _MOST_REASONS:
        said.append(f"and {len(often) - _MOST_REASONS} other reasons")
    return "; ".join(said)


def _groups(frame: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    return iter(frame.groupby(keys, sort=True, dropna=False))


def _by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.groupby("seed")[[*run_measures.measures()]].mean()


def _row(measure: Measure, values: pd.Series) -> dict[str, object]:
    mean, half = values.mean(), half_width(values.to_numpy())
    interval = {"mean": mean, "ci95_low": mean - half, "ci95_high": mean + half}
    return {"measure": measure.key, "unit": measure.unit, "seeds": len(values), **interval}


def _against(values: pd.Series, others: pd.Series | None) -> dict[str, object]:
    """Compare with the baseline's values, both by seed; None where these are the baseline's own."""
    if others is None:
        return {"pairs": 0, "unpaired_seeds": ""}
    seeds = values.index.intersection(others.index)
    differences = values[seeds] - others[seeds]
    unpaired = sorted(values.index.symmetric_difference(others.index))
    row: dict[str, object] = {"pairs": len(seeds), "unpaired_seeds": " ".join(map(str, unpaired))}
    if len(seeds):
        mean, half, base = differences.mean(), half_width(differences.to_numpy()), others[seeds].mean()
        row |= {"difference": mean, "difference_ci95_low": mean - half, "difference_ci95_high": mean + half}
        row["change_percent"] = 100 * mean / base if base else math.nan
    return row


# -- from folders to runs -----------------------------------------------------------------------------


def _run_dirs(folders: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the run folders, each once, in order of their names, and what is to be said of the others."""
    skipped: list[str] = []
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise RunDataError(f"{folder} {what}; name run folders, or folders that runs lie in: results/<scenario>")
        here = _counted(list(_below(folder, skipped)), folder, skipped)
        if not here:
            skipped.append(f"{folder}: there is no run in it, nor below")
        for run_dir in here:
            found.setdefault(run_dir.resolve(), run_dir)
    return sorted(found.values()), skipped


def _below(folder: Path, skipped: list[str]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.append(f"{error.filename}: cannot be looked into ({error.strerror}); check its permissions")

    for path, folders, files in os.walk(folder, onerror=unreadable):
        is_study = any(name in files for name in (study_file.NAME, _REGISTER))
        if not is_study and any(name in files for name in _RUN_FILES):
            folders.clear()
            yield Path(path)


def _counted(run_dirs: list[Path], folder: Path, skipped: list[str]) -> list[Path]:
    """Return those runs that no study, by its register, has newer ones for: of other settings, files or versions."""
    studies = {parent for run_dir in run_dirs for parent in run_dir.parents if parent.is_relative_to(folder)}
    for register in sorted(study / _REGISTER for study in studies):
        try:
            cases = json.loads(result_files.read_text(register))["cases"]
            of_cases = {register.parent / case["run_dir"] for case in cases if case["run_dir"]}
            waiting = sum(case.get("status") != _FINISHED for case in cases)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            skipped.append(f"{register}: cannot be read, so all runs below count, older ones too; sweep to repair it")
            continue
        if waiting:
            skipped.append(f"{register}: {waiting} of {len(cases)} cases have no finished run yet; sweep to have them")
        older = [run_dir for run_dir in run_dirs if register.parent in run_dir.parents and run_dir not in of_cases]
        if older:
            skipped.append(f"{register}: has no case for {len(older)} older runs; name their folders to have them, too")
        run_dirs = [run_dir for run_dir in run_dirs if run_dir not in older]
    return run_dirs


def _study_file(folder: Path, skipped: list[str]) -> StudyFile:
    try:
        return study_file.read(folder / study_file.NAME)
    except RunDataError as error:
        skipped.append(str(error))
        return StudyFile()


def _figures(found: Sequence[tuple[Path, RunMeasures]], skipped: Sequence[str]) -> StudyFigures:
    settings, policies = [run.settings for _, run in found], [run.policy for _, run in found]
    factors = scenario_factors.factors(settings, policies)
    varied = pd.DataFrame({factor: scenario_factors.column(settings, factor) for factor in factors})
    rows = [
        {
            "index": index,
            "run_dir": str(run_dir),
            "policy": run.policy,
            "seed": run.seed,
            "verdict": run.verdict if run.verdict in VERDICTS else "unchecked",
            "reasons": "; ".join(run.reasons),
            "service": service,
            **measures,
        }
        for index, (run_dir, run) in enumerate(found)
        for service, measures in run.services.items()
    ]
    columns = ["run_dir", *factors, "policy", "seed", "verdict", "reasons", "service", "offered"]
    columns += run_measures.measures()
    runs = pd.DataFrame(rows, columns=["index", *(name for name in columns if name not in factors)])
    runs = runs.join(varied, on="index")[columns]
    ordered = runs.sort_values([*factors, "policy", "seed", "run_dir", "service"], ignore_index=True)
    return StudyFigures(factors, ordered, tuple(skipped))
