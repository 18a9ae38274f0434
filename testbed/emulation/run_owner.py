"""The process that owns a run, named so that any other process, of another container too, can say whether it lives.

Owns that identity, which stands with everything that a run puts on the machine (the environment of its processes,
`external_ids` of its bridges and zones, an attribute of its control group, the register), and the *sign*: an abstract
Unix socket that the owner holds. All in its network namespace see the sign, whatever they see of its processes, and the
kernel takes it away when the owner ends, however it ends. Knows nothing of what a run consists of.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

_SIGN = "dyncast-run-"
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of the kernel: who is in it sees all processes


class Life(Enum):
    """What can be proved of an owner from here."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, order=True)
class RunOwner:
    """A process: its id in its PID namespace, its start in clock ticks since the boot, and its network namespace."""

    boot_id: str
    pid_namespace: int
    net_namespace: int
    pid: int
    start_ticks: int

    def __str__(self) -> str:
        return f"{self.boot_id}/{self.pid_namespace}/{self.net_namespace}/{self.pid}/{self.start_ticks}"

    @classmethod
    def parse(cls, text: str) -> RunOwner | None:
        """Return the owner that `str` wrote as `text`, or None if it did not."""
        boot, *numbers = text.split("/")
        if len(numbers) != 4 or not all(number.isascii() and number.isdigit() for number in numbers):
            return None
        return cls(boot, *map(int, numbers))

    @classmethod
    def this_process(cls) -> RunOwner:
        """Return this process as an owner."""
        pid = os.getpid()
        return cls(boot_id(), _namespace("self", "pid"), _namespace("self", "net"), pid, start_ticks(pid) or 0)

    @property
    def is_in_this_pid_namespace(self) -> bool:
        """Say whether `pid` is the id that this process would name it by."""
        return self.boot_id == boot_id() and self.pid_namespace == _namespace("self", "pid")

    def life(self, tag: str) -> Life:
        """Say what can be proved from here of the owner of run `tag`."""
        if self.boot_id != boot_id():
            return Life.DEAD
        if self.is_in_this_pid_namespace:
            return _proved(start_ticks(self.pid) == self.start_ticks)
        if self.net_namespace == _namespace("self", "net"):
            return sign_of_life(tag)
        relatives = [pid for pid in _process_ids() if _namespace_or_none(pid, "pid") == self.pid_namespace]
        if relatives or _namespace("self", "pid") == _FIRST_PID_NAMESPACE:  # all of its namespace are seen from here
            return _proved(
                any(_id_inside(pid) == self.pid and start_ticks(pid) == self.start_ticks for pid in relatives)
            )
        return Life.UNKNOWN


def sign_of_life(tag: str) -> Life:
    """Say whether the owner of run `tag`, whose links begin in this network namespace, lives."""
    with Path("/proc/net/unix").open() as lines:
        return _proved(any(line.rstrip("\n").endswith(f" @{_SIGN}{tag}") for line in lines))


def hold_sign(tag: str) -> socket.socket | None:
    """Return the sign of run `tag`, which is seen until it is closed; None if another run of this name holds it."""
    sign = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sign.bind(f"\0{_SIGN}{tag}")
    except OSError:
        sign.close()
        return None
    return sign


def start_ticks(pid: int) -> int | None:
    """Return when process `pid` started, in clock ticks since boot; None if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command, in parentheses, may hold blanks
    return None if fields[0] in ("Z", "X") else int(fields[19])


@cache
def boot_id() -> str:
    """Return the identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _proved(is_alive: bool) -> Life:
    return Life.ALIVE if is_alive else Life.DEAD


def _process_ids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _namespace(process: int | str, kind: str) -> int:
    return Path(f"/proc/{process}/ns/{kind}").stat().st_ino


def _namespace_or_none(process: int, kind: str) -> int | None:
    try:
        return _namespace(process, kind)
    except OSError:  # ended meanwhile, or not ours to look at
        return None


def _id_inside(pid: int) -> int | None:
    """Return the id of process `pid` in its own PID namespace."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), None)
