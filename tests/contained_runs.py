"""Runs in a container, one after the other: each ends, is interrupted or is killed, while somebody cleans up.

Owns one container's share of `tests.lives_among_cleaners`: what becomes of each run, and that a run that lives loses
nothing meanwhile. What happens is a line of JSON each, as it happens: the container may be killed, too.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from testbed.emulation import cleanup, remains, run_owner
from testbed.emulation.run_tag import REGISTER
from testbed.emulation.switches import bridges
from testbed.errors import TestbedError
from testbed.experiment import python_api
from testbed.experiment.progress import Silent
from tests.machine import CHECKOUT

FATES = {"ends": 2, "interrupted": 1, "killed": 5}  # of so many runs each
_STARTING_S = 12.0  # half of the others are over so soon after their start, the other half
_WHOLE_S = 5.0  # so soon after all of it is there
_LOOK_S = 0.7
_END_S = 240.0
_PAUSE_S = 2.0  # of a cleaner, at most
_CUT_SHORT = 0.2  # of all clean-ups are killed
_CLEANS_S = 3.0  # those, at most
# What a verdict says of things that were lost, not of a machine that is busy.
_LOSS = re.compile(r"cleanly|session|carried nothing|Open vSwitch| ended |nothing says|unreachable|could not")
_TOO_BUSY = re.compile("machine is overloaded|still run|in time")
_ALL_OF_IT = "all of it is there"
_LEAVES_OFF = re.compile("^(ending|removing|collecting)", re.MULTILINE)
_OF_THE_LOAD = ("traffic.", "generator")  # processes that end before the run does


def scenario(duration_s: float, cpu_limit: bool) -> dict[str, Any]:
    """Return a scenario with something of every kind that a run puts on a machine."""
    burning = {"mode": "burn", "cpu_limit": 0.2} if cpu_limit else {}
    return {
        "name": "lives",
        "topology": "topozoo/Arpanet196912",
        "sites": {"east": {"at": "UCLA"}, "west": {"at": "UTAH"}},
        "services": {
            "near": {"d_sid": "203.0.113.10", "affinity": {"mode": "datapath"}},
            "far": {"d_sid": "203.0.113.11", "steering": "tunnel"},
        },
        "instances": [
            {"service": "near", "site": "east", **burning},
            {"service": "near", "site": "west"},
            {"service": "far", "site": "west"},
        ],
        "clients": [{"site": "east"}],
        "workloads": [
            {"name": name, "service": name, "clients": ["east"], "arrivals": {"rate_per_s": 5}, "work": {"mean_ms": 2}}
            for name in ("near", "far")
        ],
        "metrics": {"authentication": "hmac"},
        "duration_s": duration_s,
    }


class Events:
    """What happened, a line each in a file."""

    def __init__(self, path: Path, who: str) -> None:
        self._path, self._who, self._lock = path, who, threading.Lock()

    def say(self, what: str, detail: str = "") -> None:
        line = json.dumps({"at_s": round(time.monotonic(), 2), "who": self._who, "what": what, "detail": detail})
        with self._lock, self._path.open("a") as file:
            file.write(f"{line}\n")


def clean(events: Events, *options: str) -> str:
    """Clean up as a user does; return what it says. A problem is one for the test."""
    command = [sys.executable, "-m", "testbed.cli", "clean", *options]
    done = subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    events.say("cleaned" if "removed run" in said else "nothing to clean" if done.returncode == 0 else "clean failed")
    if done.returncode != 0:
        events.say("problem", f"clean {' '.join(options)} ended with {done.returncode}: {said[-600:]}")
    return said


class Cleaner:
    """Cleans up again and again, beside whatever else goes on; some of its clean-ups are killed."""

    def __init__(self, events: Events, rng: random.Random) -> None:
        self._events, self._rng, self._over = events, rng, threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(self._rng.uniform(0, _PAUSE_S)):
            if self._rng.random() < _CUT_SHORT:
                self._cut_short()
            else:
                report = cleanup.clean()  # as the command does
                self._events.say("cleaned" if report.runs else "nothing to clean", str(report))
                for problem in report.problems:
                    self._events.say("problem", f"clean: {problem}")

    def _cut_short(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "from testbed.emulation import cleanup; cleanup.clean()"]) as cut:
            with suppress(subprocess.TimeoutExpired):
                cut.wait(self._rng.uniform(0, _CLEANS_S))
            cut.kill()
        self._events.say("clean-up killed")


class Aloud(Silent):
    """Says what a run does, a line each, before it is done."""

    def phase(self, text: str) -> None:
        print(text, flush=True)

    def traffic(self, *_: object) -> None:
        print(_ALL_OF_IT, flush=True)


class Life:
    """One run, from its start to its end, and what it has meanwhile."""

    def __init__(self, folder: Path, number: int, scenario_file: Path) -> None:
        self.results = folder / f"results-{number}"
        command = [sys.executable, "-m", "tests.contained_runs", str(scenario_file), str(self.results)]
        self.process = subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self._had: set[str] = set()  # at the look before the last one
        self._has: set[str] = set()  # at the last
        self.said, self.looks = "", 0

    def listen(self) -> str:
        """Return all that it has said so far."""
        assert self.process.stdout is not None
        while data := self.process.stdout.read():
            self.said += data.decode(errors="replace")
        return self.said

    @property
    def is_whole(self) -> bool:
        """Say whether all of it is there, and none of it is to go yet."""
        said = self.listen()
        return _ALL_OF_IT in said and not _LEAVES_OFF.search(said) and self.process.poll() is None

    def lost(self) -> set[str]:
        """Return what it had at the last two looks and has no more, if it still should have all."""
        if not self.is_whole:
            return set()
        has = things_of(self.process.pid)
        if not self.is_whole:  # it says so before it lets go of anything
            return set()
        # What was there for one look alone is a child that is about to become another program, or a short command.
        lost = self._had & self._has - has
        self._had, self._has, self.looks = self._has, has, self.looks + 1
        return lost


def things_of(pid: int) -> set[str]:
    """Return what a run of this container has on the machine, by its owner's process id."""
    problems: list[str] = []
    found = [item for item in remains.find(problems) if item.owner and item.owner.pid == pid]
    found = [item for item in found if item.owner and item.owner.is_in_this_pid_namespace]
    has = {f"problem: {problem}" for problem in problems}
    for item in found:
        tag = item.tag.value
        has |= {f"process {process.pid} {' '.join(process.command)[:60]}" for process in item.processes
                if not any(word in " ".join(process.command) for word in _OF_THE_LOAD)}  # fmt: skip
        has |= {f"bridge {name}" for name in item.bridges} | {f"interface {name}" for name in item.interfaces}
        has |= {f"zone {zone.datapath_type} {zone.number}" for zone in item.zones}
        has |= {f"control group {path}" for path in item.cgroups}
        has |= {f"registration {tag} {item.registration.bridges}"} if item.registration else set()
        has |= {f"key {path}" for path in (REGISTER / f"{tag}.keys").glob("*")}
        has |= {f"sign {tag}"} if run_owner.sign_of_life(tag) is run_owner.Life.ALIVE else set()
    if found:
        idle = bridges.vsctl("--if-exists", "get", "Open_vSwitch", ".", "other_config:max-idle").strip()
        has |= {f"max-idle {idle}"}
    return has


class Player:
    """Has one run after the other live its life."""

    def __init__(self, folder: Path, events: Events, rng: random.Random, cpu_limit: bool) -> None:
        self._folder, self._events, self._rng = folder, events, rng
        self._files = {}
        for fate in FATES:
            self._files[fate] = folder / f"{fate}.yaml"
            document = scenario(4.0 if fate == "ends" else 120.0, cpu_limit)
            self._files[fate].write_text(yaml.safe_dump(document))

    def play(self, until_s: float) -> None:
        number = 0
        while time.monotonic() < until_s:
            (fate,) = self._rng.choices([*FATES], [*FATES.values()]) if number else ("ends",)
            life = Life(self._folder, number, self._files[fate])
            self._watch(life, *self._span(fate))
            getattr(self, f"_{fate}")(life)
            if life.looks > 2:
                self._events.say("watched", str(life.looks))
            assert life.process.stdout is not None
            life.process.stdout.close()
            number += 1

    def _span(self, fate: str) -> tuple[float, float]:
        """Return how long a run has from its start on, and how long once all of it is there."""
        if fate == "ends":
            return _END_S, _END_S
        starting_s, whole_s = self._rng.uniform(0, _STARTING_S), self._rng.uniform(0, _WHOLE_S)
        return (starting_s, starting_s) if self._rng.random() < 0.5 else (_END_S, whole_s)

    def _watch(self, life: Life, starting_s: float, whole_s: float) -> None:
        until_s, was_whole = time.monotonic() + starting_s, False
        while life.process.poll() is None and (left_s := until_s - time.monotonic()) > 0:
            if not was_whole and life.is_whole:
                was_whole, until_s = True, min(until_s, time.monotonic() + whole_s)
            for lost in life.lost():
                self._problem(life, f"lost {lost}")
            with suppress(subprocess.TimeoutExpired):
                life.process.wait(min(_LOOK_S, left_s))

    def _ends(self, life: Life) -> None:
        if life.process.poll() is None:
            life.process.kill()
            self._problem(life, f"did not end in {_END_S:g} s")
            return
        if life.process.returncode != 0 and _TOO_BUSY.search(life.listen()):
            self._events.say("too busy", life.said.splitlines()[-1])
        elif life.process.returncode != 0:
            self._problem(life, f"ended with {life.process.returncode}")
        else:
            self._events.say("ended")
            for problem in wrong_in_results(life.results / "lives"):
                self._problem(life, problem)
        self._is_gone(life)

    def _interrupted(self, life: Life) -> None:
        if life.process.poll() is not None:  # before its time
            self._ends(life)
            return
        life.process.send_signal(signal.SIGINT)
        try:
            life.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            life.process.kill()
            self._problem(life, f"was not interrupted in {_END_S:g} s")
            return
        self._events.say("interrupted")
        self._is_gone(life)

    def _killed(self, life: Life) -> None:
        if life.process.poll() is not None:  # before its time
            self._ends(life)
            return
        life.process.kill()
        life.process.wait()
        self._events.say("killed", "whole" if life.looks else "starting")

    def _is_gone(self, life: Life) -> None:
        for thing in things_of(life.process.pid):
            self._problem(life, f"left {thing}")

    def _problem(self, life: Life, what: str) -> None:
        self._events.say("problem", f"run of process {life.process.pid} {what}; it said: {life.listen()[-600:]}")


def wrong_in_results(parent: Path) -> Iterable[str]:
    """Yield what is wrong with the results of a run that has ended well."""
    for run in parent.iterdir():
        manifest = json.loads((run / "manifest.json").read_text())
        if manifest["status"] != "finished":
            yield f"has status {manifest['status']}: {manifest.get('error')}"
        yield from (f"says {reason}" for reason in manifest["fidelity"]["reasons"] if _LOSS.search(reason))
        if not (run / "flows.csv").read_text().count("\n") > 1:
            yield "has no flows"


def mounts() -> set[str]:
    """Return what is mounted here."""
    return set(Path("/proc/self/mounts").read_text().splitlines())


def left_here(mounted: set[str]) -> Iterable[str]:
    """Yield what is left of runs in this container: after the last clean-up there should be nothing."""
    yield from (f"{path} in the register" for path in REGISTER.iterdir())
    yield from (f"mount {line}" for line in mounts() - mounted)
    yield from (f"temporary file {path}" for path in Path(tempfile.gettempdir()).iterdir())
    here = run_owner.RunOwner.this_process().pid_namespace
    for item in remains.find([]):
        if item.owner is None or item.owner.pid_namespace == here:
            yield str(item)


def main(name: str, seed: str, until_s: float, folder: Path, cpu_limit: bool) -> None:
    """Live in a container until the end."""
    folder.mkdir(exist_ok=True)
    mounted = mounts()
    events = Events(folder / "events.jsonl", name)
    cleaner = Cleaner(events, random.Random(f"{seed} cleaner"))
    Player(folder, events, random.Random(seed), cpu_limit).play(until_s)
    cleaner.close()
    clean(events)
    for thing in left_here(mounted):
        events.say("problem", f"left in container {name}: {thing}")
    events.say("container ended")


def run(scenario_file: str, results: str) -> None:
    """Carry out a run, without pictures and a report."""
    try:
        python_api.run(python_api.load(scenario_file), results, progress=Aloud())
    except TestbedError as error:
        sys.exit(str(error))


if __name__ == "__main__" and len(sys.argv) == 3:
    run(*sys.argv[1:])
elif __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]), sys.argv[5] == "cpu-limit")
