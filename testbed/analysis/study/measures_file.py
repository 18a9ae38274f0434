"""One finished run as a study sees it, and `measures.json` beside the run, which spares working it out again.

Owns what is read of a run folder for comparison, and when the file is to be believed: while every file that it was made
from has the size and time of then. A folder that cannot be written to just has none.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed import yaml_documents
from testbed.analysis.measures import run_measures
from testbed.analysis.run_data.loading import RunDataError, load, read_manifest
from testbed.analysis.study import factors
from testbed.records import result_files
from testbed.records.manifest import FINISHED, VARIANT, Manifest
from testbed.records.manifest import NAME as MANIFEST_NAME
from testbed.records.tables import catalogue
from testbed.yaml_documents import YamlError

NAME = "measures.json"
# To be raised whenever a measure is redefined or another is kept: what is on disk is then worked out again.
_FORMAT = 2
_SCENARIO = "scenario.yaml"
_RUNS_PER_WORKER, _MOST_WORKERS = 16, 4  # at least, and at most: a large run takes a gigabyte
_UNCHECKED = "unchecked"

_Stamps = dict[str, list[int]]


@dataclass(frozen=True)
class RunMeasures:
    """What a study knows of a run: how it was set up, whether it was faithful, and its measures by service."""

    policy: str
    seed: int
    verdict: str
    reasons: tuple[str, ...]
    settings: factors.Settings
    services: Mapping[str, Mapping[str, float]]


def read(run_dir: Path) -> RunMeasures:
    """Return what a finished run came to. Raises RunDataError, in one line, for a folder that holds none."""
    before = _stamps(run_dir)
    found = _kept(run_dir / NAME, before)
    if found is None:
        found = _worked_out(run_dir)
        if before == _stamps(run_dir):
            _keep(found, run_dir / NAME, before)
    return found


def read_each(run_dirs: Sequence[Path]) -> Iterator[RunMeasures | RunDataError]:
    """Return what `read` returns or raises for each of many runs, in order; several cores work at it."""
    workers = min(len(run_dirs) // _RUNS_PER_WORKER, os.cpu_count() or 1, _MOST_WORKERS)
    if workers < 2:
        yield from map(_attempt, run_dirs)
        return
    # Who interrupts us wants us to end; workers have nothing to say to that.
    pool = ProcessPoolExecutor(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    done = 0
    try:
        for outcome in pool.map(_attempt, run_dirs, chunksize=4):
            done += 1
            yield outcome
    except BrokenProcessPool:  # for want of memory, as a rule: one run at a time needs less
        yield from map(_attempt, run_dirs[done:])
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(run_dir: Path) -> RunMeasures | RunDataError:
    try:
        return read(run_dir)
    except RunDataError as error:
        return error
    except Exception as error:  # whatever is in it: one folder must not cost all the others
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return RunDataError(f"{run_dir}: cannot be evaluated ({why}); leave it out, or run the scenario again")


def _worked_out(run_dir: Path) -> RunMeasures:
    manifest = read_manifest(run_dir / MANIFEST_NAME)
    if manifest.status not in (None, FINISHED):  # said first: what its tables lack follows from it
        error = f" ({manifest.error})" if manifest.error else ""
        raise RunDataError(f"{run_dir}: the run is {manifest.status}{error}; run the scenario again")
    run = load(run_dir)
    settings = factors.settings(_scenario(run_dir / _SCENARIO)) | _variant(manifest)
    seed = run.manifest.seed if run.manifest.seed is not None else settings.get("seed")
    if not isinstance(seed, int):
        path = run_dir / MANIFEST_NAME
        raise RunDataError(f"{path}: gives no seed, so the run cannot be paired; run the scenario again")
    table = run_measures.of_services(run)
    return RunMeasures(
        policy=factors.policy_of(manifest.policies, run.policy),
        seed=seed,
        verdict=run.manifest.verdict or _UNCHECKED,
        reasons=run.manifest.reasons,
        settings=settings,
        services={str(service): {key: float(value) for key, value in row.items()} for service, row in table.iterrows()},
    )


def _variant(manifest: Manifest) -> dict[str, factors.Value]:
    """Return the name that the run's study gave what it set, if it did."""
    settings = (manifest.case or {}).get("settings")
    name = settings.get(VARIANT) if isinstance(settings, dict) else None
    return {VARIANT: name} if isinstance(name, str) else {}


def _scenario(path: Path) -> Mapping[str, object]:
    try:
        document = yaml_documents.parse(result_files.read_text(path), str(path))
    except OSError as error:
        raise RunDataError(f"{path} cannot be read ({error.strerror}); run the scenario again") from None
    except YamlError as error:
        raise RunDataError(f"{error}; run the scenario again") from None
    if not isinstance(document, dict):
        raise RunDataError(f"{path} holds no keys; run the scenario again")
    return document


# -- the file -----------------------------------------------------------------------------------------


def _stamps(run_dir: Path) -> _Stamps:
    """Return size and time of each file that measures are made from; those that are missing are left out."""
    stamps: _Stamps = {}
    tables = (f"{table}.csv" for table in catalogue())
    for name in (_SCENARIO, MANIFEST_NAME, *tables):
        with suppress(OSError):
            status = (run_dir / name).stat()
            stamps[name] = [status.st_size, status.st_mtime_ns]
    return stamps


def _kept(path: Path, stamps: _Stamps) -> RunMeasures | None:
    try:
        document = json.loads(result_files.read_text(path))
        if document["format"] != _FORMAT or document["made_from"] != stamps:
            return None
        run = document["run"]
        services = {
            service: {key: float(value) for key, value in measures.items()}
            for service, measures in run["services"].items()
        }
        if any(set(measures) != {"offered", *run_measures.measures()} for measures in services.values()):
            return None
        reasons = tuple(map(str, run["reasons"]))
        settings = {str(key): value for key, value in run["settings"].items()}
        return RunMeasures(str(run["policy"]), int(run["seed"]), str(run["verdict"]), reasons, settings, services)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ):  # whatever is wrong with it: it is made again
        return None


def _keep(found: RunMeasures, path: Path, stamps: _Stamps) -> None:
    document = {"format": _FORMAT, "made_from": stamps, "run": asdict(found)}
    with suppress(OSError):  # a folder that cannot be written to just has none
        result_files.write_text(path, json.dumps(document) + "\n")
