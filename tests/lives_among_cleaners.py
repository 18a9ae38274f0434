"""Runs start, end and are killed in two containers, among three cleaners: who lives loses nothing, nothing is left.

The containers share a machine's network and Open vSwitch (`together`) or have their own (`apart`); now and then one is
killed as a whole, and another takes its place. The machine cleans, too. All of it is in namespaces of its own. As root:

    python -m tests.lives_among_cleaners --containers together --seconds 600 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.agents.host.cpu_limit import hierarchy
from testbed.cli.machine import isolation
from testbed.runtime.polling import wait_until
from tests.contained_runs import Cleaner, Events, clean, mounts
from tests.containers import ARRANGEMENTS, TOGETHER, contained
from tests.machine import CHECKOUT, state

SHORT_S, LONG_S = 45.0, 600.0
_NAMES = ("a", "b")
_CONTAINER_LIVES_S = (40.0, 160.0)  # one in two of them, before it is killed; the others live to the end
_END_S = 400.0  # for runs that have begun, and the last clean-up


@dataclass(frozen=True)
class Found:
    """What came of it: how often each thing happened, and what should not have."""

    counts: Counter[str]
    problems: list[str]

    def __str__(self) -> str:
        said = ", ".join(f"{number} {what}" for what, number in sorted(self.counts.items()))
        return "\n".join([said, *self.problems])


def carry_out(arrangement: str, seconds: float, seed: int, folder: Path) -> Found:
    """Have runs live among cleaners for so long, on a machine of their own."""
    (folder / "tmp").mkdir(parents=True)
    with _control_groups() as groups:
        command = [sys.executable, "-m", "tests.lives_among_cleaners", "--containers", arrangement]
        command += ["--seconds", str(seconds), "--seed", str(seed), "--within", str(folder), "--groups", *groups]
        done = subprocess.run(
            isolation.isolated(command), cwd=CHECKOUT, env={**os.environ, "TMPDIR": str(folder / "tmp")},
            stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=seconds + 2 * _END_S, check=False,
        )  # fmt: skip
    found = events_in(folder)
    problems = [
        f"{event['who']} at {event['at_s']}: {event['detail']}" for event in found if event["what"] == "problem"
    ]
    if done.returncode != 0:
        problems.append(f"the machine ended with {done.returncode}")
    return Found(Counter(event["what"] for event in found), problems)


def events_in(folder: Path) -> list[dict[str, str]]:
    """Return all that happened, in its order; a line that was being written when its container was killed is none."""
    lines = (line for path in folder.rglob("events.jsonl") for line in path.read_text().splitlines())
    return sorted((json.loads(line) for line in lines if line.endswith("}")), key=lambda event: float(event["at_s"]))


@contextmanager
def _control_groups() -> Iterator[list[str]]:
    """Make a control group that stands for all of the machine's; yield its place and itself, nothing if none can be."""
    found = hierarchy(Path("/proc/mounts").read_text().splitlines())
    if found is None:
        yield []
        return
    group = found[0] / f"lives-{secrets.token_hex(4)}"
    group.mkdir()
    try:
        yield [str(found[0]), str(group)]
    finally:
        for path, _, _ in os.walk(group, topdown=False):
            Path(path).rmdir()


def _cover_control_groups(groups: Sequence[str]) -> None:
    """Hide the machine's control groups, among which runs of others may be, but for the one made for this."""
    place, aside = Path("/sys/fs/cgroup"), Path(tempfile.mkdtemp())
    if groups:
        subprocess.run(["mount", "--bind", groups[1], str(aside)], check=True)
    if place.is_dir():
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    if groups:
        Path(groups[0]).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--move", str(aside), groups[0]], check=True)
    aside.rmdir()


class Container:
    """A container in which runs live, and those that take its place when it is killed."""

    def __init__(self, name: str, arrangement: str, seed: str, folder: Path, limit: str) -> None:
        self._name, self._arrangement, self._folder, self._limit = name, arrangement, folder, limit
        self._rng = random.Random(f"{seed} {name}")
        self._events = Events(folder / "events.jsonl", "machine")
        self._number = 0

    def start(self, until_s: float) -> None:
        self._number += 1
        name = f"{self._name}{self._number}"
        seed = str(self._rng.random())
        arguments = [name, seed, str(until_s), str(self._folder / name), self._limit]
        self._until_s = until_s
        self._dies_s = time.monotonic() + self._rng.uniform(*_CONTAINER_LIVES_S)
        self._temporary = self._folder / f"{name}-tmp"
        self._temporary.mkdir()
        self._process = subprocess.Popen(
            contained(self._arrangement, [sys.executable, "-m", "tests.contained_runs", *arguments]),
            cwd=CHECKOUT, env={**os.environ, "TMPDIR": str(self._temporary)},
        )  # fmt: skip

    def look(self) -> None:
        """Kill it if its time has come, and have another one take its place."""
        now_s = time.monotonic()
        if self._dies_s < now_s < self._until_s:
            self._process.kill()
            self._process.wait()
            shutil.rmtree(self._temporary, ignore_errors=True)  # they go with a container
            self._events.say("container killed")
            self.start(self._until_s)
        elif self._process.poll() not in (None, 0) and now_s < self._until_s:
            self._events.say("problem", f"container {self._name} ended with {self._process.returncode}")
            self.start(self._until_s)

    def has_ended(self) -> bool:
        return self._process.poll() is not None


def on_the_machine(arrangement: str, seconds: float, seed: int, folder: Path, groups: Sequence[str]) -> None:
    """Have two containers live, clean up among them and after them; say what is left."""
    _cover_control_groups(groups)
    before = everything(folder, groups)
    events = Events(folder / "events.jsonl", "machine")
    until_s = time.monotonic() + seconds
    limit = "cpu-limit" if groups else "no-limit"
    containers = [Container(name, arrangement, str(seed), folder, limit) for name in _NAMES]
    for container in containers:
        container.start(until_s)
    cleaner = Cleaner(events, random.Random(f"{seed} machine"))
    while time.monotonic() < until_s:
        time.sleep(0.5)
        for container in containers:
            container.look()
    wait_until(lambda: all(container.has_ended() for container in containers), _END_S, "the end of all containers")
    cleaner.close()
    said = clean(events)
    if "so it stays" in said:  # of a container whose end nothing here proves: a user knows that it is over
        events.say("asked for all", said)
        clean(events, "--all", "--yes")
    for what, things in everything(folder, groups).items():
        if things != before[what]:
            events.say("problem", f"{what} changed: before {before[what]}, after {things}")


def everything(folder: Path, groups: Sequence[str]) -> dict[str, list[str]]:
    """Return what runs could leave on this machine."""
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return {
        **state(),
        "mounts": sorted(mounts()),
        "all processes": sorted(filter(None, map(_program, processes))),
        "namespaces of processes": sorted({*filter(None, map(_namespaces, processes))}),
        "control groups": sorted(map(str, Path(groups[1]).glob("**/"))) if groups else [],
        "temporary files": sorted(map(str, (folder / "tmp").iterdir())),
        "register": sorted(map(str, Path("/run/dyncast").rglob("*"))),
        "signs": [line for line in Path("/proc/net/unix").read_text().splitlines() if "@dyncast" in line],
        "tables of Open vSwitch": _tables(),
    }


def _program(process: Path) -> str | None:
    try:
        return (process / "cmdline").read_text().replace("\0", " ") or None
    except OSError:
        return None


def _namespaces(process: Path) -> str | None:
    try:
        return " ".join(str((process / "ns" / kind).readlink()) for kind in ("net", "mnt", "pid"))
    except OSError:
        return None


def _tables() -> list[str]:
    done = subprocess.run(
        ["ovsdb-client", "dump", "--format=csv", "--no-headings"], capture_output=True, text=True, check=True
    )
    rows = Counter[str]()
    table = ""
    for line in done.stdout.splitlines():
        if line.endswith(" table"):
            table = line
        elif line:
            rows[table] += 1
    settings = subprocess.run(
        ["ovs-vsctl", "get", "Open_vSwitch", ".", "other_config"], capture_output=True, text=True, check=True
    )
    return [*(f"{name}: {number}" for name, number in sorted(rows.items())), settings.stdout]


def main() -> None:
    """Carry out what the command line says; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", choices=ARRANGEMENTS, default=TOGETHER)
    parser.add_argument("--seconds", type=float, default=SHORT_S)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--groups", nargs="*", default=[], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.within is not None:
        on_the_machine(asked.containers, asked.seconds, asked.seed, asked.within, asked.groups)
        return
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print(carry_out(asked.containers, asked.seconds, asked.seed, Path(folder)))


if __name__ == "__main__":
    main()
