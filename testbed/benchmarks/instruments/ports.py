"""Ports of this machine that a control process listens at."""

from __future__ import annotations

import socket
from pathlib import Path


def free_port() -> int:
    """Return a TCP port of this machine that is free."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def is_listening(port: int) -> bool:
    """Tell whether a process of this network namespace listens at a TCP port."""
    listening = f":{port:04X} 00000000:0000 0A"
    return listening in Path("/proc/net/tcp").read_text()
