"""OCI containers: crun or runc, each with a bundle that is written from the view of a container.

Owns `config.json` (OCI runtime specification) and the commands of the runtime. The runtime's state lies in the
cluster's folder, so that it goes with it. No mount is made outside of a container's own mount namespace.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from testbed.agents.cluster.sandboxes import view
from testbed.agents.cluster.sandboxes.control_groups import PROCESSES, ControlGroups
from testbed.agents.cluster.sandboxes.sandbox import Sandbox, SandboxError
from testbed.agents.cluster.sandboxes.view import Container

PROGRAMS = ("crun", "runc")
PID_FILE = "pid"
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
_LOG = "log"  # of the runtime: its warnings are none of the function's output
_UNIFIED = "/sys/fs/cgroup/unified"
_PERIOD_US = 100_000
_PASSED = 2  # descriptors 3 and 4
_MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware")
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_DEVICES = ["nosuid", "strictatime", "mode=755", "size=65536k"]


class OciRuntime(Sandbox):
    """Containers by an OCI runtime; `state` is a folder for what it notes down of them."""

    sort = "oci"

    def __init__(self, program: str, state: Path) -> None:
        if os.geteuid() != 0:
            raise SandboxError("needs root here; bwrap does not")
        found = shutil.which(program)
        if found is None:
            raise SandboxError(f"{program} is not installed (Debian, Ubuntu: apt-get install -y {program})")
        self.name = program
        self._program = found
        self._state = state
        self._available = ControlGroups.available()
        self.is_limited_from_outside = program == "crun"  # runc wants to find a container's groups empty
        # crun refuses a machine that has both versions of control groups; without the newer one it finds the older.
        self.hidden = (_UNIFIED,) if program == "crun" and Path(_UNIFIED).is_mount() else ()

    def command(self, container: Container) -> list[str]:
        """Write the bundle of a container; return what starts it."""
        (container.folder / "rootfs").mkdir(exist_ok=True)
        _prepare_root(container)
        (container.folder / "config.json").write_text(json.dumps(bundle(container, self._limits(container))))
        words = [*self._runtime(), "--log", str(container.folder / _LOG), "run", "--bundle", str(container.folder)]
        words += ["--preserve-fds", str(_PASSED), "--pid-file", str(container.folder / PID_FILE)]
        return [*words, container.name]

    def problem(self, container: Container) -> str:
        """Return the last line that the runtime logged."""
        try:
            lines = (container.folder / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return lines[-1].strip()[:300] if lines else ""

    def kill(self, container: Container, pid: int) -> None:
        """End a container: its first process, with which the kernel ends the others; the runtime then ends, too."""
        try:
            first = int((container.folder / PID_FILE).read_text())
        except (OSError, ValueError):  # it has not got so far
            first = pid
        with suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)

    def clear(self, container: Container) -> None:
        """Have the runtime forget a container whose command was killed."""
        if (self._state / container.name).exists():
            command = [*self._runtime(), "delete", "--force", container.name]
            subprocess.run(command, capture_output=True, check=False, timeout=30)

    def _runtime(self) -> list[str]:
        words = [self._program, "--root", str(self._state)]
        # Its own control groups need a hierarchy that it likes; ours are entered before it starts, and inherited.
        return [*words, "--cgroup-manager=disabled"] if self.name == "crun" else words

    def _limits(self, container: Container) -> dict[str, Any]:
        if self.name == "crun":
            return {}
        quota_us = max(1000, round(container.cpus * _PERIOD_US))
        resources = {
            "memory": {"limit": container.memory_mb << 20},
            "cpu": {"quota": quota_us, "period": _PERIOD_US},
            "pids": {"limit": PROCESSES},
        }
        limited = {name: value for name, value in resources.items() if name in self._available}
        return {"cgroupsPath": f"/{container.group}", "resources": limited}


def bundle(container: Container, linux: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a container."""
    return {
        "ociVersion": "1.0.2",
        "hostname": "container",
        "root": {"path": "rootfs", "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": view.USER, "gid": view.USER},
            "args": view.command(container),
            "env": [f"{key}={value}" for key, value in view.environment(container).items()],
            "cwd": "/action",
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "mounts": _mounts(container),
        "linux": {
            "namespaces": [{"type": kind} for kind in _NAMESPACES],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
            **linux,
        },
    }


def _prepare_root(container: Container) -> None:
    """Make the links among the folders of the system in a container's root."""
    for path, target in view.links().items():
        link = container.folder / "rootfs" / path.lstrip("/")
        if not link.is_symlink():
            link.symlink_to(target)


def _mounts(container: Container) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": _DEVICES},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev"]},
    ]
    mounts += [
        {
            "destination": target,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", "mode=1777", f"size={container.memory_mb}m"],
        }
        for target in ("/tmp", "/action")
    ]
    mounts += [
        {
            "destination": bind.target,
            "type": "bind",
            "source": str(bind.source),
            "options": ["rbind" if bind.source.is_dir() else "bind", "ro", "nosuid", "nodev"],
        }
        for bind in view.binds(container)
    ]
    return mounts
