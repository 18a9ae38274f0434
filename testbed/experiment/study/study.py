"""From a study file to its cases: what each one runs, in which order, what is done, how long the rest takes.

Pure but for reading the study and the files it refers to. Everything is checked here, before the first run. Knows
nothing of how cases are run or where their results lie.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import testbed
from testbed.experiment.plan.plan import make_plan, topology_reference
from testbed.experiment.scenario import file as scenario_file
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.study.study_keys import OWN_KEYS, Step, StudyKeys
from testbed.experiment.system import systems

# What a run takes beside its traffic, until one has been measured: start, the way of the last flows, stop, tables.
USUAL_OVERHEAD_S = 10.0
_LONGEST_NAME = 120  # a file name may have 255 octets


@dataclass(frozen=True)
class Case:
    """One run to be: `settings` are its values of what the study varies, by dotted scenario key, the policy included;
    of a variant that has a name, that.

    `source` is the file that paths in the scenario are relative to. Two cases of one fingerprint would run the same.
    """

    name: str
    settings: Mapping[str, Any]
    seed: int
    scenario: Scenario
    source: Path
    fingerprint: str


@dataclass(frozen=True)
class Study:
    """A study file with its cases, in the order in which they run."""

    path: Path
    keys: StudyKeys
    cases: tuple[Case, ...]


def load(path: Path) -> Study:
    """Read a study and check all of its cases. Raises ScenarioError in one line that names file, case and key."""
    keys = scenario_file.checked(StudyKeys, scenario_file.read(path), str(path))
    source = path if isinstance(keys.scenario, dict) else path.parent / keys.scenario
    document = keys.scenario if isinstance(keys.scenario, dict) else scenario_file.read(source)
    digest_of = _Digests()
    by_setting = []
    for steps in _combinations(keys):
        varied = {key: value for step in steps for key, value in step.factors.items()}
        scenario = _scenario(document, keys, steps, _named(varied, path, source), path, source)
        for key in varied:
            for why in filter(None, (system.unheeded(scenario, key) for system in systems())):
                raise ScenarioError(f"{path}: {OWN_KEYS.get(key, key)}: {why.format(scenario=source)}")
        by_setting.append((varied, scenario, digest_of.files_of(scenario, source.parent)))
    # Seeds are outermost: whenever a study ends early, all that it compares has had about the same number of runs.
    cases = tuple(
        _case(varied, seed, scenario.model_copy(update={"seed": seed}), source, files)
        for seed in keys.seed_list
        for varied, scenario, files in by_setting
    )
    _check_distinct(cases, path)
    return Study(path, keys, cases)


def fingerprint(scenario: Scenario, files: Mapping[str, str], version: str) -> str:
    """Return what identifies all that a run depends on.

    `files`: the digests of the contents of the files that the scenario refers to. How it is called changes nothing.
    """
    resolved = scenario.model_dump(mode="json", exclude={"name", "description"})
    text = json.dumps({"version": version, "scenario": resolved, "files": dict(files)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def left(cases: Iterable[Case], done: Collection[str]) -> tuple[Case, ...]:
    """Return the cases that no finished run (`done`: their fingerprints) is of, in their order."""
    return tuple(case for case in cases if case.fingerprint not in done)


def overhead_s(runs_s: Collection[tuple[float, float]]) -> float:
    """Return what a run takes beside its traffic, by what runs so far took: whole and traffic, in seconds each."""
    if not runs_s:
        return USUAL_OVERHEAD_S
    return sum(whole_s - traffic_s for whole_s, traffic_s in runs_s) / len(runs_s)


def estimate_s(cases: Iterable[Case], overhead_s: float) -> float:
    """Return how long cases take, one after another."""
    return sum(case.scenario.duration_s + overhead_s for case in cases)


def _combinations(keys: StudyKeys) -> Iterator[tuple[Step, ...]]:
    """Return what makes each case of one seed, the policy last."""
    axes, policies = keys.axes, [Step({"policy": policy}) for policy in keys.policies or ()] or [Step({})]
    for *steps, policy in product(*axes, policies):
        spared = [key for key, policies in keys.indifferent.items() if policy.settings.get("policy") in policies]
        pairs = zip(steps, axes, strict=True)
        if all(step is axis[0] or not any(step.varies(key) for key in spared) for step, axis in pairs):
            yield (*steps, policy)


def _scenario(
    document: dict[str, Any],
    keys: StudyKeys,
    steps: Iterable[Step],
    named: str,
    path: Path,
    source: Path,
) -> Scenario:
    """Return the scenario of one case, which errors call `named`, checked as far as it can be without running it."""
    document = deepcopy(document)
    if source == path:
        document.setdefault("name", keys.name)
    changes = {key: value for step in steps for key, value in step.settings.items()}
    for key, value in {**keys.set, **changes}.items():
        place = "set" if key in keys.set else "grid" if key in keys.grid else "variants"
        scenario_file.override(document, key, deepcopy(value), f"{path}: {place}.{key}", source)
    scenario = scenario_file.parse(document, named)
    try:
        make_plan(scenario, source)
    except ScenarioError as error:
        raise ScenarioError(f"{named}: {str(error).removeprefix(f'{source}: ')}") from error
    for number, workload in enumerate(scenario.workloads):
        trace = workload.arrivals.path
        if trace is not None and not (source.parent / trace).is_file():
            place = f"workloads[{number}].arrivals.path"
            raise ScenarioError(f"{named}: {place}: there is no file {source.parent / trace}; is the path right?")
    return scenario


def _case(varied: Mapping[str, Any], seed: int, scenario: Scenario, source: Path, files: Mapping[str, str]) -> Case:
    name = _folder_name({**varied, "seed": seed})
    return Case(name, varied, seed, scenario, source, fingerprint(scenario, files, testbed.__version__))


def _check_distinct(cases: Iterable[Case], path: Path) -> None:
    first: dict[str, Case] = {}
    for case in cases:
        for what, identity in (("run the same", case.fingerprint), ("have the same name", case.name)):
            other = first.setdefault(identity, case)
            if other is not case:
                both = f"{_label(other.settings)} and {_label(case.settings)}"
                raise ScenarioError(f"{path}: cases {both} {what}; leave one of them out")


def _named(varied: Mapping[str, Any], path: Path, source: Path) -> str:
    return f"{path}: case {_label(varied)} of {source}" if varied else f"{path}: {source}"


def _label(varied: Mapping[str, Any]) -> str:
    """Return settings in words, each key as short as it is clear."""
    return ",".join(f"{_short(key, varied)}={_worded(value)}" for key, value in varied.items()) or "alone"


def _folder_name(varied: Mapping[str, Any]) -> str:
    """Return the settings as a file name that is theirs alone."""
    words = {key: re.sub(r"[^A-Za-z0-9_.+-]+", "_", _worded(value)) for key, value in varied.items()}
    name = ",".join(f"{re.sub(r'[^A-Za-z0-9_.+-]', '_', _short(key, varied))}={word}" for key, word in words.items())
    if len(name) <= _LONGEST_NAME and all(word == _worded(varied[key]) for key, word in words.items()):
        return name
    digest = hashlib.sha256(json.dumps(varied, sort_keys=True, default=str).encode()).hexdigest()
    return f"{name[:_LONGEST_NAME]}-{digest[:8]}"


def _short(key: str, among: Iterable[str]) -> str:
    """Return the shortest end of a dotted key that no other key has."""
    parts = key.split(".")
    others = [f".{other}" for other in among if other != key]
    for length in range(1, len(parts)):
        end = ".".join(parts[-length:])
        if not any(other.endswith(f".{end}") for other in others):
            return end
    return key


def _worded(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


class _Digests:
    """Digests of the files that scenarios refer to; each file is read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def files_of(self, scenario: Scenario, folder: Path) -> dict[str, str]:
        """Return the digest of each file that a scenario refers to, by its name there. `folder` is the scenario's."""
        return {name: self._of(path) for name, path in sorted(_references(scenario, folder)) if _is_file(path)}

    def _of(self, path: Path) -> str:
        if path not in self._known:
            try:
                self._known[path] = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise ScenarioError(f"{path}: cannot be read: {error.strerror or error}") from error
        return self._known[path]


def _references(scenario: Scenario, folder: Path) -> Iterator[tuple[str, Path]]:
    yield scenario.topology, Path(topology_reference(scenario.topology, folder))
    for workload in scenario.workloads:
        if workload.arrivals.path is not None:
            yield workload.arrivals.path, folder / workload.arrivals.path
    for system in systems():
        for name in system.references(scenario):
            yield from _files(name, folder / name)
    # Whatever else names a file beside the scenario, so that none is forgotten that a key to come refers to.
    for text in _texts(scenario.model_dump(mode="json", exclude={"name", "description"})):
        for word in text.split():
            if ("." in word or "/" in word) and not word.startswith("/"):
                yield word, folder / word


def _files(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield a file, or all files of a folder, by their names."""
    yield name, path
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            yield f"{name}/{inner.relative_to(path)}", inner


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name of a file: too long, or with an octet that names cannot have
        return False
