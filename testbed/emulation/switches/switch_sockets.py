"""The sockets through which userspace Open vSwitch reads its ports: their room, and what found none.

Open vSwitch gives them the kernel's default, room for some 270 small packets: 5 ms at 50,000 packets/s, less than a
busy machine keeps a process waiting. What is lost there is lost by the machine, not by the emulated network. Where the
kernel shows no default (a container's network namespace), the room stays as it is.
"""

from __future__ import annotations

import fcntl
import re
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.emulation.run_tag import REGISTER

ROOM_BYTES = 32 << 20
_DEFAULT = Path("/proc/sys/net/core/rmem_default")
_SOCKET = re.compile(r"^p_raw\s+\d+\s+\d+\s+\S*?:(\S+)\s.*\bskmem:\(.*?\bd(\d+)\)", re.MULTILINE)


@contextmanager
def roomy() -> Iterator[None]:
    """Have sockets that Open vSwitch opens meanwhile hold more; the machine's default is put back afterwards."""
    REGISTER.mkdir(mode=0o755, parents=True, exist_ok=True)
    with Path(REGISTER, ".sockets.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once must not take each other's for the default
        try:
            default = _DEFAULT.read_text()
            if int(default) < ROOM_BYTES:
                _DEFAULT.write_text(str(ROOM_BYTES))
        except OSError:
            yield
            return
        try:
            yield
        finally:
            with suppress(OSError):
                _DEFAULT.write_text(default)


def lost(interfaces: Collection[str]) -> int:
    """Return how many packets found no room at these ports; 0 where that cannot be told (kernel datapath, no `ss`)."""
    try:
        done = subprocess.run(["ss", "-0", "-m", "-H"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    wanted = set(interfaces)
    return sum(int(count) for interface, count in _SOCKET.findall(done.stdout) if interface in wanted)
