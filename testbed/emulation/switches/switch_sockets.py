"""The sockets through which userspace Open vSwitch reads its ports: their room, and what found none.

Open vSwitch gives them the kernel's default, room for some 270 small packets: 5 ms at 50,000 packets/s, less than a
busy machine keeps a process waiting. What is lost there is lost by the machine, not by the emulated network. Where the
kernel shows no default (a container's network namespace), the room stays as it is.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.emulation.switches.shared_lock import locked

ROOM_BYTES = 32 << 20
_LOCK = "sockets"
_DEFAULT = Path("/proc/sys/net/core/rmem_default")
_FORMER = Path("/var/run/openvswitch/dyncast-rmem-default")  # what the default is to be again, while it is another
_SOCKET = re.compile(r"^p_raw\s+\d+\s+\d+\s+\S*?:(\S+)\s.*\bskmem:\(.*?\bd(\d+)\)", re.MULTILINE)


@contextmanager
def roomy() -> Iterator[None]:
    """Have sockets that Open vSwitch opens meanwhile hold more; the machine's default is put back afterwards."""
    with locked(_LOCK):  # two runs at once must not take each other's for the default
        with suppress(OSError):
            _put_back()
            default = _DEFAULT.read_text()
            if int(default) < ROOM_BYTES:
                _FORMER.write_text(default)
                _DEFAULT.write_text(str(ROOM_BYTES))
        try:
            yield
        finally:
            with suppress(OSError):
                _put_back()


def put_back_default() -> None:
    """Put the machine's default back, should a process have been killed before it could."""
    if _FORMER.exists():
        with locked(_LOCK), suppress(OSError):
            _put_back()


def _put_back() -> None:
    with suppress(FileNotFoundError):
        if former := _FORMER.read_text():  # else whoever wrote it was killed before it changed anything
            with suppress(PermissionError):  # of a network namespace, where it cannot have been changed either
                _DEFAULT.write_text(former)
        _FORMER.unlink()


def lost(interfaces: Collection[str]) -> int | None:
    """Return how many packets found no room at these ports, 0 with the kernel datapath; None if `ss` does not say."""
    try:
        done = subprocess.run(["ss", "-0", "-m", "-H"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    wanted = set(interfaces)
    return sum(int(count) for interface, count in _SOCKET.findall(done.stdout) if interface in wanted)
