"""The tag of one run: four hex digits in the name of everything the run puts on the machine.

Owns the tag, the names made from it, and the register under /run/dyncast that says which process owns
which tag, with the folder of the run's keys beside it. An owner is a process id *and* its start time (and the boot),
so that a reused process id is never taken for a live run. Knows nothing of networks, bridges or how to clean up.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from testbed.errors import TestbedError

REGISTER = Path("/run/dyncast")
ENVIRONMENT_KEY = "DYNCAST_RUN"
_TAG = re.compile(r"[0-9a-f]{4}")
_INTERFACE = re.compile(r"dy([0-9a-f]{4})-[pb]\d+")
_PARTIAL = re.compile(r"\.(\d+)-(\d+)-[0-9a-f]+\.partial")
_ATTEMPTS = 1000


class RunTagError(TestbedError):
    """A run cannot be registered, with the reason and the way out in one line."""


@dataclass(frozen=True, order=True)
class RunTag:
    """Four lower-case hex digits. Raises ValueError for anything else."""

    value: str

    def __post_init__(self) -> None:
        if not _TAG.fullmatch(self.value):
            raise ValueError(f"a run tag is four lower-case hex digits, not {self.value!r}")

    def __str__(self) -> str:
        return self.value

    def port(self, number: int) -> str:
        """Name the root-namespace interface `number` of this run."""
        return f"dy{self.value}-p{number}"

    def bridge(self, number: int) -> str:
        """Name the Open vSwitch bridge `number` of this run."""
        return f"dy{self.value}-b{number}"

    @property
    def cgroup(self) -> str:
        """Name the control group of this run."""
        return f"dyncast-{self.value}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what marks a process as belonging to this run."""
        return {ENVIRONMENT_KEY: self.value}

    @classmethod
    def of_interface(cls, name: str) -> RunTag | None:
        """Return the run that an interface or bridge name belongs to, if any."""
        match = _INTERFACE.fullmatch(name)
        return cls(match[1]) if match else None

    @classmethod
    def parse(cls, value: str) -> RunTag | None:
        """Return the tag that `value` spells, or None if it is not one."""
        return cls(value) if _TAG.fullmatch(value) else None


@dataclass(frozen=True)
class Registration:
    """One run in the register. `start_ticks`: the owner's start, in clock ticks since the boot `boot_id`."""

    tag: str
    pid: int
    start_ticks: int
    boot_id: str
    created: str
    scenario: str
    bridges: tuple[str, ...] = ()

    @property
    def owner_is_alive(self) -> bool:
        """Tell whether the very process that registered the run still exists."""
        return self.boot_id == boot_id() and start_ticks(self.pid) == self.start_ticks


def claim(
    scenario: str, *, register: Path = REGISTER, draw: Callable[[], str] = lambda: secrets.token_hex(2)
) -> RunTag:
    """Register a new run of this process under a tag nobody uses, and return the tag.

    Raises RunTagError if the register cannot be written or every drawn tag is taken.
    """
    interfaces = {RunTag.of_interface(name) for _, name in socket.if_nameindex()}
    for _ in range(_ATTEMPTS):
        tag = RunTag(draw())
        if tag in interfaces:  # left over from a run whose registration is gone
            continue
        registration = Registration(
            tag=tag.value,
            pid=os.getpid(),
            start_ticks=start_ticks(os.getpid()) or 0,
            boot_id=boot_id(),
            created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            scenario=scenario,
        )
        try:
            _write(registration, register, exclusive=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunTagError(
                f"cannot register the run in {register}: {error.strerror}; run as root, with space left there"
            ) from error
        return tag
    raise RunTagError(
        f"no free run tag in {register} after {_ATTEMPTS} draws; remove dead runs with `dyncast clean --all`"
    )


def record_bridges(tag: RunTag, bridges: Iterable[str], *, register: Path = REGISTER) -> None:
    """Note the bridges of a run in its registration; do nothing for a run that is not registered."""
    registration = registrations(register).get(tag)
    if registration is not None:
        _write(replace(registration, bridges=tuple(bridges)), register, exclusive=False)


def keys_folder(tag: RunTag, *, register: Path = REGISTER) -> Path:
    """Make and return the folder for the keys of a registered run, which only its owner may enter."""
    folder = register / f"{tag}.keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def release(tag: RunTag, *, register: Path = REGISTER) -> bool:
    """Take a run out of the register, and its keys off the machine; tell whether it was there."""
    shutil.rmtree(register / f"{tag}.keys", ignore_errors=True)
    try:
        (register / f"{tag}.json").unlink()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def released_on_error(tag: RunTag, *, register: Path = REGISTER) -> Iterator[None]:
    """Release a tag if the block fails, in which nothing that bears it was built."""
    try:
        yield
    except BaseException:
        release(tag, register=register)
        raise


def registrations(register: Path = REGISTER) -> dict[RunTag, Registration | None]:
    """Return every run in the register; None stands for a file that cannot be understood (its owner counts as dead)."""
    found: dict[RunTag, Registration | None] = {}
    for path in sorted(register.glob("*.json")):
        tag = RunTag.parse(path.stem)
        if tag is not None:
            found[tag] = _read(path)
    return found


def remove_partial_files(register: Path = REGISTER) -> None:
    """Remove files that a process killed in the middle of registering left half written."""
    for path in register.glob(".*.partial"):
        owner = _PARTIAL.fullmatch(path.name)
        if owner is None or start_ticks(int(owner[1])) != int(owner[2]):
            path.unlink(missing_ok=True)


def start_ticks(pid: int) -> int | None:
    """Return when process `pid` started, in clock ticks since boot; None if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command, in parentheses, may hold blanks
    return None if fields[0] in ("Z", "X") else int(fields[19])


def boot_id() -> str:
    """Return the identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read(path: Path) -> Registration | None:
    try:
        values = json.loads(path.read_text())
        return Registration(**{**values, "bridges": tuple(values["bridges"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(registration: Registration, register: Path, *, exclusive: bool) -> None:
    # Written aside, then linked into place: a reader sees a whole registration or none.
    register.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = register / f".{registration.pid}-{registration.start_ticks}-{secrets.token_hex(4)}.partial"
    final = register / f"{registration.tag}.json"
    try:
        partial.write_text(json.dumps(asdict(registration), indent=1) + "\n")
        if exclusive:
            os.link(partial, final)
        else:
            partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
