"""What a study leaves below results/<study>/: the study as it was run, its runs by case, and their register.

    study.yaml             the study with every default written out
    sweep.json             one entry per case: settings, seed, status, run folder, fingerprint, seconds, verdict, error
    runs/<case>/<run-id>/  an ordinary run folder each

Owns that layout, the locks of a sweep, and what counts as done. The manifests of the runs alone say what is done:
sweep.json is made from them, for readers, and is never read here, so that whatever becomes of it loses no run.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testbed
from testbed import yaml_documents
from testbed.errors import TestbedError
from testbed.experiment.execution import ownership
from testbed.experiment.study.study import Case, Study
from testbed.records import manifest as manifests
from testbed.records import result_files
from testbed.records.manifest import FAILED, FINISHED, INTERRUPTED, Manifest, ManifestError

MACHINE_LOCK = Path("/run/dyncast-sweep.lock")
_FORMAT = 1  # of sweep.json


class SweepError(TestbedError):
    """A sweep that cannot go on; one line that names the folder and the way out."""


@dataclass(frozen=True)
class CaseRun:
    """What the manifest of a run of some case says. `status`: finished, failed or interrupted."""

    run_dir: Path
    fingerprint: str
    status: str
    begun_at: str
    seconds: float | None
    duration_s: float | None
    verdict: str | None
    error: str | None
    git_commit: str | None

    @property
    def is_finished(self) -> bool:
        """Return whether it need not be run again."""
        return self.status == "finished"


class StudyFolder:
    """The folder of one study."""

    def __init__(self, results: Path, study: Study) -> None:
        self.path = results / study.keys.name
        self.runs = self.path / "runs"
        self._study = study

    def latest_runs(self) -> dict[str, CaseRun]:
        """Return the run that counts of each case that was ever run, by fingerprint: the latest that finished, if any.

        A folder that is half written or of another version does not count.
        """
        found = [run for path in self.runs.glob("*/*/manifest.json") if (run := read_run(path.parent))]
        return {run.fingerprint: run for run in sorted(found, key=lambda run: (run.is_finished, run.begun_at))}

    def make(self) -> None:
        """Make the folder and describe the study in it. Raises SweepError."""
        with _naming(self.path):
            ownership.make_folder(self.runs)

    def describe(self) -> None:
        """Write study.yaml: a study that runs again as it is. Raises SweepError."""
        document = self._study.keys.model_dump(mode="json")
        if isinstance(document["scenario"], str):
            scenario = self._study.path.parent / document["scenario"]
            document["scenario"] = os.path.relpath(scenario.resolve(), self.path.resolve())
        self._write("study.yaml", yaml_documents.dump(document))

    def register(self, runs: Mapping[str, CaseRun], errors: Mapping[str, str], running: str | None = None) -> None:
        """Write sweep.json. Raises SweepError.

        `runs` that count, `errors` of this sweep and the case that is `running` are identified by fingerprint.
        """
        document = {
            "format": _FORMAT,
            "study": self._study.keys.name,
            "baseline": self._study.keys.baseline,
            "testbed": testbed.__version__,
            "cases": [
                self._entry(case, runs.get(case.fingerprint), errors.get(case.fingerprint), case.fingerprint == running)
                for case in self._study.cases
            ],
        }
        self._write("sweep.json", json.dumps(document, indent=1, default=str) + "\n")

    def run_dirs(self, case: Case) -> Iterator[Path]:
        """Return the folders of all runs of a case."""
        return (self.runs / case.name).glob("*")

    def manifest_entry(self, case: Case) -> dict[str, Any]:
        """Return what the manifest of a run says of the case that it is of."""
        return {
            "study": self._study.keys.name,
            "name": case.name,
            "settings": dict(case.settings),
            "fingerprint": case.fingerprint,
        }

    def _entry(self, case: Case, run: CaseRun | None, error: str | None, is_running: bool) -> dict[str, Any]:
        status = run.status if run else "waiting"
        if error and status != "finished":
            status = "failed"
        return {
            "case": case.name,
            "settings": dict(case.settings),
            "seed": case.seed,
            "status": "running" if is_running else status,
            "run_dir": str(run.run_dir.relative_to(self.path)) if run else None,
            "fingerprint": case.fingerprint,
            "seconds": run.seconds if run else None,
            "verdict": run.verdict if run else None,
            "error": error or (run.error if run else None),
        }

    def _write(self, name: str, text: str) -> None:
        """Replace a file as a whole or not at all."""
        path = self.path / name
        with _naming(path), result_files.replacing(path) as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())

    @contextmanager
    def locked(self, machine_lock: Path = MACHINE_LOCK) -> Iterator[None]:
        """Hold the machine and the study for one sweep. Raises SweepError if another has either."""
        with ExitStack() as held:
            with _naming(machine_lock):
                machine = held.enter_context(machine_lock.open("a+", encoding="utf-8"))
                folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
                held.callback(os.close, folder)
            if not _lock(machine.fileno()):
                machine.seek(0)
                raise SweepError(
                    f"another sweep runs on this machine ({machine.read().strip() or 'just started'}), and each run "
                    "needs the machine for itself; wait until it has ended"
                )
            machine.truncate(0)
            machine.write(f"process {os.getpid()}, {self.path}\n")
            machine.flush()
            if not _lock(folder):
                raise SweepError(f"{self.path}: another sweep works in this folder; wait for it, or take another --out")
            yield


def read_run(run_dir: Path) -> CaseRun | None:
    """Return what the manifest of a case's run says; None unless the folder is whole and of this version."""
    try:
        manifest = manifests.read(run_dir / manifests.NAME)
    except ManifestError:  # cut short, or written by somebody else
        return None
    fingerprint = (manifest.case or {}).get("fingerprint")
    if fingerprint is None or manifest.status is None or manifest.begun_at is None:
        return None
    if manifest.status == FINISHED and not _is_whole(run_dir, manifest):
        return None
    return CaseRun(
        run_dir=run_dir,
        fingerprint=str(fingerprint),
        # Nobody is at work in the folder while it is locked: one that says "running" was cut short.
        status=manifest.status if manifest.status in (FINISHED, FAILED) else INTERRUPTED,
        begun_at=manifest.begun_at,
        seconds=manifest.durations_s.get("whole"),
        duration_s=manifest.duration_s,
        verdict=manifest.verdict,
        error=manifest.error,
        git_commit=manifest.environment.get("git_commit"),
    )


def _is_whole(run_dir: Path, manifest: Manifest) -> bool:
    tables = manifest.rows or {}
    return bool(manifest.durations_s and tables) and all((run_dir / f"{table}.csv").is_file() for table in tables)


def finished(cases: Iterable[Case], runs: Mapping[str, CaseRun]) -> dict[str, CaseRun]:
    """Return the finished runs of these cases, by fingerprint."""
    fingerprints = {case.fingerprint for case in cases}
    return {key: run for key, run in runs.items() if key in fingerprints and run.is_finished}


def durations_s(runs: Iterable[CaseRun]) -> list[tuple[float, float]]:
    """Return what finished runs took, whole and with traffic, in seconds."""
    return [
        (run.seconds, run.duration_s)
        for run in runs
        if run.is_finished and run.seconds is not None and run.duration_s is not None
    ]


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what the system refuses into one line that names the place."""
    try:
        yield
    except OSError as error:
        raise SweepError(
            f"{path}: cannot be written: {error.strerror or error}; finished runs are as they were. "
            "Make room or choose another place with --out, and give the same command again"
        ) from error
