"""The machine and the software a run happened on, recorded with its numbers. Reads the system only."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import testbed

_PACKAGES = ("os-ken", "ryu", "mininet", "scapy", "networkx", "topohub", "pandas", "pydantic", "eventlet")
_ROOT = Path(__file__).resolve().parents[3]


def describe() -> dict[str, Any]:
    """Return kernel, processors, memory, versions and the git commit."""
    return {
        "testbed": testbed.__version__,
        "kernel": platform.release(),
        "distribution": _distribution(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "open_vswitch": _first_line(["ovs-vswitchd", "--version"]).rpartition(" ")[2],
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "git_commit": _first_line(["git", "-C", str(_ROOT), "rev-parse", "HEAD"]),
        "git_dirty": bool(_first_line(["git", "-C", str(_ROOT), "status", "--porcelain", "-uno"])),
    }


@dataclass(frozen=True)
class CpuTimes:
    """Processor time of the whole machine since boot, in ticks."""

    total: int
    idle: int
    steal: int

    @classmethod
    def now(cls) -> CpuTimes:
        """Read the counters."""
        fields = [int(text) for text in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
        return cls(sum(fields), fields[3] + fields[4], fields[7])

    def shares_since(self, earlier: CpuTimes) -> tuple[float, float]:
        """Return the busy share and the stolen share (0..1) since an earlier reading."""
        total = max(1, self.total - earlier.total)
        return 1 - (self.idle - earlier.idle) / total, (self.steal - earlier.steal) / total


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, env=_without_git(), capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().split("\n", 1)[0] if done.returncode == 0 else ""


def _without_git() -> dict[str, str]:
    """Return the environment without what would have git look at another repository than that of the testbed."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""
