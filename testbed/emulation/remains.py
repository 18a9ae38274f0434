"""What runs have on the machine, whose it is, and whether the owner of it lives.

Owns the search. A thing belongs to a run only by the run's tag: in the environment of a process, in `external_ids` of a
bridge or zone, in the name of an interface or control group, in the register. Whatever carries no tag is never looked
at again. Removes nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.emulation import run_tag
from testbed.emulation import tagged_processes as processes
from testbed.emulation.run_owner import Life, RunOwner, sign_of_life
from testbed.emulation.run_tag import REGISTER, Registration, RunTag
from testbed.emulation.switches import bridges, ct_zones
from testbed.emulation.switches.ct_zones import Zone
from testbed.emulation.tagged_processes import Process

_CGROUP_ROOT = Path("/sys/fs/cgroup")
OWNER_ATTRIBUTE = "trusted.dyncast-run-owner"  # of a control group; testbed.agents.host.cpu_limit writes it


@dataclass(frozen=True)
class Remains:
    """What one run has on the machine; `owner` is None where nothing says whose it is."""

    tag: RunTag
    owner: RunOwner | None
    registration: Registration | None = None
    processes: tuple[Process, ...] = ()
    bridges: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()
    interfaces: tuple[str, ...] = ()
    cgroups: tuple[Path, ...] = ()

    @property
    def life(self) -> Life:
        """Say what can be proved of the run's owner."""
        if self.owner is not None:
            return self.owner.life(self.tag.value)
        if self.interfaces and not (self.processes or self.bridges or self.zones or self.cgroups):
            return sign_of_life(self.tag.value)  # an owner's links begin where its sign is seen
        if self.is_empty:  # a registration that nobody can read
            return Life.DEAD
        return Life.UNKNOWN

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing but a registration."""
        return not (self.processes or self.bridges or self.zones or self.interfaces or self.cgroups)


def find(problems: list[str], *, register: Path = REGISTER) -> list[Remains]:
    """Return what each run has on the machine, by tag; append to `problems` what could not be looked at."""
    # The remains first, the register second: a run that starts in between has its registration already
    # when its first remains appear, so it is never taken for one without an owner.
    found = [*_of_processes(), *_of_switches(problems, register), *_of_cgroups()]
    interfaces = tagged_interfaces(exclude={str(name) for _, _, kind, name in found if kind == "bridges"})
    found += [(tag, None, "interfaces", name) for tag, names in interfaces.items() for name in names]
    registered = run_tag.registrations(register)
    owners = _owner_of_each(found, registered)
    parts: dict[tuple[RunTag, RunOwner | None], dict[str, list[object]]] = {
        (tag, item.owner if item else owners.get(tag)): {} for tag, item in registered.items()
    }
    for tag, owner, kind, item in found:
        parts.setdefault((tag, owner or owners.get(tag)), {}).setdefault(kind, []).append(item)
    remains = [
        Remains(tag, owner, _registration(registered, tag, owner), **{kind: tuple(of) for kind, of in kinds.items()})  # type: ignore[arg-type]
        for (tag, owner), kinds in parts.items()
    ]
    return sorted(remains, key=lambda item: (item.tag, str(item.owner)))


def of(tag: RunTag, *, register: Path = REGISTER) -> Remains | None:
    """Return what is there of run `tag` of whichever owner. Raises BridgeError if Open vSwitch does not answer."""
    problems: list[str] = []
    found = [item for item in find(problems, register=register) if item.tag == tag]
    if problems:
        raise bridges.BridgeError(problems[0])
    return found[0] if found else None


def tagged_interfaces(exclude: Collection[str] = ()) -> dict[RunTag, list[str]]:
    """Return the interfaces of every run in this network namespace."""
    found: dict[RunTag, list[str]] = {}
    for _, name in socket.if_nameindex():
        tag = RunTag.of_interface(name)
        if tag is not None and name not in exclude:
            found.setdefault(tag, []).append(name)
    return found


_Found = tuple[RunTag, "RunOwner | None", str, object]  # tag, owner as far as the thing itself says, kind, the thing


def _owner_of_each(found: Iterable[_Found], registered: Mapping[RunTag, Registration | None]) -> dict[RunTag, RunOwner]:
    """Return who owns what does not itself say so: as the register says, or what is of the same tag."""
    owners = {tag: owner for tag, owner, kind, _ in found if owner is not None and kind in ("bridges", "zones")}
    return owners | {tag: item.owner for tag, item in registered.items() if item is not None}


def _registration(
    registered: Mapping[RunTag, Registration | None], tag: RunTag, owner: RunOwner | None
) -> Registration | None:
    registration = registered.get(tag)
    return registration if registration is not None and registration.owner == owner else None


def _of_processes() -> Iterator[_Found]:
    for tag, running in processes.tagged_processes().items():
        for process in running:
            yield tag, process.owner, "processes", process


def _of_switches(problems: list[str], register: Path) -> list[_Found]:
    try:
        found: list[_Found] = [(item.tag, item.owner, "bridges", item.name) for item in bridges.running_bridges()]
        found += [(zone.tag, zone.owner, "zones", zone) for zone in ct_zones.zones() if zone.tag is not None]
    except bridges.BridgeError as error:
        # Without Open vSwitch there can be no bridge in service; only those that runs registered are worth a word.
        if any(item and item.bridges for item in run_tag.registrations(register).values()):
            problems.append(f"bridges not looked at: {error}")
        return []
    return found


def _of_cgroups() -> Iterator[_Found]:
    # Version 2 has one hierarchy at the root, version 1 one below each controller's name.
    for pattern in ("dyncast-????", "*/dyncast-????"):
        for path in _CGROUP_ROOT.glob(pattern):
            tag = RunTag.parse(path.name.removeprefix("dyncast-"))
            if tag is not None and not path.is_symlink():
                yield tag, _owner_of_cgroup(path), "cgroups", path


def _owner_of_cgroup(path: Path) -> RunOwner | None:
    with suppress(OSError):
        return RunOwner.parse(os.getxattr(path, OWNER_ATTRIBUTE).decode(errors="replace"))
    return None
