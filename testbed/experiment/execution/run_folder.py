"""The folder of a run that goes on: where its files lie, and its manifest, written whole whenever the run got further.

Owns that layout, and that a manifest always says how the run ended.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from testbed.experiment.execution.ownership import hand_over, make_folder
from testbed.experiment.launch.processes import RunError
from testbed.records import manifest as manifests
from testbed.records.manifest import FAILED, INTERRUPTED, Manifest

_LEAST_FREE_BYTES = 200 * 2**20
_RESERVE = ".reserve"  # what the last manifest takes, when the disk is full
_RESERVED_BYTES = 2**20


class NoRoomError(RunError):
    """The disk is too full for a run."""


class RunFolder:
    """The files of one run. `manifest` is what is known so far; `write_manifest` puts it on the disk."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.work = path / "work"  # what processes write while they run; gone when the run has finished
        self.logs = path / "logs"
        self.captures = path / "captures"

    def write_manifest(self) -> None:
        """Write what is known so far. Raises OSError."""
        manifests.write(self.manifest, self.path)

    def remove_work(self) -> None:
        """Remove what the tables were made from."""
        shutil.rmtree(self.work)

    @contextmanager
    def until_the_end(self) -> Iterator[None]:
        """Write the manifest now and after the block, with how that ended; the files belong to who called sudo then."""
        begun_s = time.monotonic()
        made = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        reserve = self.path / _RESERVE
        try:
            self.work.mkdir()
            reserve.write_bytes(os.urandom(_RESERVED_BYTES))
            self.write_manifest()
            yield
        except BaseException as error:
            status = INTERRUPTED if isinstance(error, KeyboardInterrupt | SystemExit) else FAILED
            cause = "" if status == INTERRUPTED else _full_disk(error, self.path)
            said = f"{cause}{str(error) or type(error).__name__}"
            self.manifest = replace(self.manifest, status=status, error=said)
            if cause:
                raise NoRoomError(said) from error
            raise
        finally:
            reserve.unlink(missing_ok=True)
            self.manifest = self.manifest.with_durations(whole=round(time.monotonic() - begun_s, 3))
            with suppress(OSError):  # a full disk must not hide why the run failed
                self.write_manifest()
                hand_over(made)
            os.close(made)


def _full_disk(error: BaseException, folder: Path) -> str:
    """Return that the disk is full, if that is why something went wrong, maybe in a process that could not say so."""
    disk = os.statvfs(folder)
    free_bytes = disk.f_bfree * disk.f_frsize
    has_said = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if has_said or free_bytes < _RESERVED_BYTES or (disk.f_files and not disk.f_ffree):
        return f"the disk of {folder} is full: make room, or use --out: "
    return ""


def create(parent: Path, manifest: Manifest) -> RunFolder:
    """Make a folder of a run's own below `parent`, named by the time. Raises RunError, NoRoomError."""
    try:
        make_folder(parent)
        free = shutil.disk_usage(parent).free
        if free < _LEAST_FREE_BYTES:
            raise NoRoomError(
                f"{parent}: {free // 2**20} MiB free; a run wants {_LEAST_FREE_BYTES // 2**20}: make room or use --out"
            )
        stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            path = parent / f"{stamp}{suffix}"
            with suppress(FileExistsError):
                path.mkdir()
                return RunFolder(path, manifest)
    except OSError as error:
        raise RunError(
            f"{parent}: cannot write results there: {error.strerror}; choose another place with --out"
        ) from error
    raise RunError(f"{parent}: too many runs in one second")
