"""One at a time among all that use this Open vSwitch, in whichever container: each has a register of its own.

Owns the lock files, which stand beside Open vSwitch's own sockets. Knows nothing of what is done under them.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDER = Path("/var/run/openvswitch")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name`."""
    _FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (_FOLDER / f"dyncast-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
