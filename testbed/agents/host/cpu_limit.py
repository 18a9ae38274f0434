"""A CPU limit on some processes, by a control group named after the run.

Owns finding the hierarchy that can limit CPU (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`) and making and
removing `dyncast-<tag>/<name>` in it. Knows nothing of what the processes do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from testbed.records.file_names import file_name
from testbed.runtime.lifecycle import ProcessFailure

RUN_TAG_VARIABLE, RUN_OWNER_VARIABLE = "DYNCAST_RUN", "DYNCAST_RUN_OWNER"
_OWNER_ATTRIBUTE = "trusted.dyncast-run-owner"  # of the run's group; testbed.emulation.remains reads it
_PERIOD_US = 100_000
_MIN_QUOTA_US = 1_000  # the kernel takes no less
_WAY_OUT = "run as root where control groups are writable, set cpu_limit to null, or use mode 'clock'"


class CpuLimit:
    """At most `cores` of CPU for the processes added. Raises ProcessFailure if nothing here can hold it."""

    def __init__(self, name: str, cores: float) -> None:
        tag = os.environ.get(RUN_TAG_VARIABLE) or str(os.getpid())
        root, is_v2 = _find_hierarchy()
        self._parent = root / f"dyncast-{tag}"
        self._group = self._parent / file_name(name)
        quota_us = max(_MIN_QUOTA_US, round(cores * _PERIOD_US))
        try:
            if is_v2:
                _enable_cpu(root)
                _make_group_of_run(self._parent)
                _enable_cpu(self._parent)
                self._group.mkdir(exist_ok=True)
                (self._group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
            else:
                _make_group_of_run(self._parent)
                self._group.mkdir(exist_ok=True)
                (self._group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (self._group / "cpu.cfs_quota_us").write_text(str(quota_us))
        except OSError as error:
            self.remove()
            raise ProcessFailure(f"cpu_limit: cannot set up {self._group}: {error.strerror}; {_WAY_OUT}") from error

    def add(self, pid: int) -> None:
        """Put a process under the limit."""
        try:
            (self._group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise ProcessFailure(f"cpu_limit: cannot use {self._group}: {error.strerror}; {_WAY_OUT}") from error

    def remove(self) -> None:
        """Remove the group, and the run's own once it is empty. The processes must have ended."""
        for folder in (self._group, self._parent):
            # Gone already, or other instances of the run are still in it: the last one removes it.
            with contextlib.suppress(OSError):
                folder.rmdir()


def hierarchy(mounts: Iterable[str]) -> tuple[Path, bool] | None:
    """Return the mount point that can limit CPU and whether it is cgroup v2, by lines of /proc/mounts."""
    found_v1 = None
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 4:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if not (point / "cgroup.procs").exists():  # hidden below another mount, or out of reach
            continue
        if fields[2] == "cgroup2" and "cpu" in _words(point / "cgroup.controllers"):
            return point, True
        if fields[2] == "cgroup" and "cpu" in fields[3].split(","):
            found_v1 = found_v1 or (point, False)
    return found_v1


def _find_hierarchy() -> tuple[Path, bool]:
    found = hierarchy(Path("/proc/mounts").read_text().splitlines())
    if found is None:
        raise ProcessFailure(f"cpu_limit: no mounted control group hierarchy has the cpu controller; {_WAY_OUT}")
    return found


def _make_group_of_run(folder: Path) -> None:
    """Make the group of a whole run, and write down whose it is: a cleaner may see it from another container."""
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):  # without attributes it is removed by its run alone
        os.setxattr(folder, _OWNER_ATTRIBUTE, os.environ.get(RUN_OWNER_VARIABLE, "").encode())


def _enable_cpu(folder: Path) -> None:
    if "cpu" not in _words(folder / "cgroup.subtree_control"):
        (folder / "cgroup.subtree_control").write_text("+cpu")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
