"""The tag of one run: four hex digits in the name of everything the run puts on the machine.

Owns the tag, the names made from it, and the register under /run/dyncast that says which process owns which tag, with
the folders of the run's keys and containers beside it. In a network namespace a tag is held by one run alone, whatever
registers there are: its owner's sign has it. Knows nothing of networks, bridges or how to clean up.
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

from testbed.emulation import run_owner
from testbed.emulation.run_owner import RunOwner, start_ticks
from testbed.errors import TestbedError

REGISTER = Path("/run/dyncast")
ENVIRONMENT_KEY, OWNER_KEY = "DYNCAST_RUN", "DYNCAST_RUN_OWNER"
_TAG = re.compile(r"[0-9a-f]{4}")
_INTERFACE = re.compile(r"dy([0-9a-f]{4})-[pb]\d+")
_PARTIAL = re.compile(r"\.(\d+)-(\d+)-(\d+)-[0-9a-f]+\.partial")
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
        """Return what marks a process as belonging to this run of this process."""
        return {ENVIRONMENT_KEY: self.value, OWNER_KEY: str(RunOwner.this_process())}

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
    """One run in the register."""

    tag: str
    owner: RunOwner
    created: str
    scenario: str
    bridges: tuple[str, ...] = ()


_signs: dict[str, socket.socket] = {}  # of the runs of this process, by tag


def claim(
    scenario: str, *, register: Path = REGISTER, draw: Callable[[], str] = lambda: secrets.token_hex(2)
) -> RunTag:
    """Register a new run of this process under a tag nobody uses, hold its sign, and return the tag.

    Raises RunTagError if the register cannot be written or every drawn tag is taken.
    """
    interfaces = {RunTag.of_interface(name) for _, name in socket.if_nameindex()}
    for _ in range(_ATTEMPTS):
        tag = RunTag(draw())
        if tag in interfaces:  # left over from a run whose registration is gone
            continue
        if _register(tag, scenario, register):
            return tag
    raise RunTagError(
        f"no free run tag in {register} after {_ATTEMPTS} draws; remove dead runs with `dyncast clean --all`"
    )


def _register(tag: RunTag, scenario: str, register: Path) -> bool:
    """Register a run of this process; return False if its tag is taken."""
    sign = run_owner.hold_sign(tag.value)
    if sign is None:
        return False
    created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    try:
        _write(Registration(tag.value, RunOwner.this_process(), created, scenario), register, exclusive=True)
    except FileExistsError:
        sign.close()
        return False
    except OSError as error:
        sign.close()
        raise RunTagError(
            f"cannot register the run in {register}: {error.strerror}; run as root, with space left there"
        ) from error
    _signs[tag.value] = sign
    return True


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


def containers_folder(tag: RunTag, *, register: Path = REGISTER) -> Path:
    """Make and return the folder for the containers of a registered run, which only its owner may enter."""
    folder = register / f"{tag}.containers"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def release(tag: RunTag, *, register: Path = REGISTER) -> bool:
    """Take a run out of the register, its keys off the machine, and its sign down; say whether it was registered."""
    for name in ("keys", "containers"):
        shutil.rmtree(register / f"{tag}.{name}", ignore_errors=True)
    try:
        (register / f"{tag}.json").unlink()
    except FileNotFoundError:
        return False
    finally:
        sign = _signs.pop(tag.value, None)
        if sign is not None:
            sign.close()
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
    here = RunOwner.this_process().pid_namespace
    for path in register.glob(".*.partial"):
        writer = _PARTIAL.fullmatch(path.name)
        if writer is not None and int(writer[1]) == here and start_ticks(int(writer[2])) != int(writer[3]):
            path.unlink(missing_ok=True)


def _read(path: Path) -> Registration | None:
    try:
        values = json.loads(path.read_text())
        return Registration(**{**values, "owner": RunOwner(**values["owner"]), "bridges": tuple(values["bridges"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(registration: Registration, register: Path, *, exclusive: bool) -> None:
    # Written aside, then linked into place: a reader sees a whole registration or none.
    register.mkdir(mode=0o755, parents=True, exist_ok=True)
    owner = registration.owner
    partial = register / f".{owner.pid_namespace}-{owner.pid}-{owner.start_ticks}-{secrets.token_hex(4)}.partial"
    final = register / f"{registration.tag}.json"
    try:
        partial.write_text(json.dumps(asdict(registration), indent=1) + "\n")
        if exclusive:
            os.link(partial, final)
        else:
            partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
