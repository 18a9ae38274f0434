"""The control socket of Open vSwitch's switch daemon, which may run in another container than whoever asks.

Owns how `ovs-appctl` is told where to ask: by the socket itself. By the daemon's name, it looks for the process first,
and in another PID namespace finds none, or a stranger's. Stdlib only.
"""

from __future__ import annotations

from pathlib import Path

_NAME = "ovs-vswitchd"
_FOLDER = Path("/var/run/openvswitch")


def appctl(timeout_s: int, *words: str, folder: Path = _FOLDER) -> list[str]:
    """Return the command that asks the switch daemon."""
    return ["ovs-appctl", f"--timeout={timeout_s}", "-t", target(folder), *words]


def target(folder: Path = _FOLDER) -> str:
    """Return where the switch daemon is asked: its socket, or just its name where no file says which that is."""
    try:
        pid = int((folder / f"{_NAME}.pid").read_text())
    except (OSError, ValueError):
        return _NAME
    return str(folder / f"{_NAME}.{pid}.ctl")
