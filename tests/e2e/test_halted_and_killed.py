"""Every part of a run is halted or killed once: no verdict is `valid` then, and the reason names what it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from testbed.emulation.machine import capabilities
from testbed.emulation.switches.bridges import vsctl
from testbed.records import manifest as manifests
from testbed.records.manifest import FAILED, FINISHED, Manifest
from testbed.runtime.polling import wait_until
from tests.machine import CHECKOUT, dyncast, process_of, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

_HALT_S = 2.0
_AT_S = 1.0  # of the traffic
_SCENARIO = {
    "name": "disturbed",
    "topology": "topozoo/Abilene",
    "sites": {"east": {"at": "New York"}, "west": {"at": "Chicago"}},
    "services": {"render": {"d_sid": "203.0.113.10"}},
    "instances": [{"service": "render", "site": site, "workers": 4} for site in ("east", "west")],
    "clients": [{"site": "east"}, {"site": "west", "dispatcher": "door"}],
    "workloads": [
        {"name": "jobs", "service": "render", "clients": ["east", "west"], "arrivals": {"rate_per_s": 20},
         "work": {"mean_ms": 5}, "timeout_s": 1}
    ],
    "dns": {"server": "Kansas City", "ttl_s": 1},
    "duration_s": 4,
}  # fmt: skip


@dataclass
class Disturbed:
    """A run that goes on, of which a part is about to be halted or killed."""

    process: subprocess.Popen[bytes]
    results: Path

    @property
    def folder(self) -> Path:
        (folder,) = (self.results / str(_SCENARIO["name"])).iterdir()
        return folder

    def wait_for(self, name: str, after_s: float) -> None:
        """Wait until so long after (before: negative) the begin of the traffic."""
        path = self.results.joinpath(str(_SCENARIO["name"]))
        wait_until(lambda: list(path.glob(f"*/work/{name}.ready")), 60, f"{name} of the run")
        start_s = json.loads((self.folder / "work" / f"{name}.json").read_text())["start_s"]
        time.sleep(max(0.0, start_s + after_s - time.monotonic()))

    def pid(self, name: str) -> int:
        """Return the process of this name."""
        if name == "the runner":
            return self.process.pid
        config = "links/relay.config.json" if name == "the relay" else f"{name}.json"
        return process_of(self.folder / "work" / config)

    def end(self) -> Manifest:
        """Wait for the end of the run; return its manifest."""
        self.process.wait(90)
        return manifests.read(self.folder / "manifest.json")


@pytest.fixture
def disturbed(tmp_path: Path) -> Iterator[Disturbed]:
    _set_right()
    scenario, results = tmp_path / "disturbed.yaml", tmp_path / "results"
    scenario.write_text(yaml.safe_dump(_SCENARIO))
    with unchanged():
        process = subprocess.Popen([sys.executable, "-m", "tests.bare_run", str(scenario), str(results)], cwd=CHECKOUT)
        try:
            yield Disturbed(process, results)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(60)
            _set_right()


def _set_right() -> None:
    """Have Open vSwitch run again, without what a run could not remove while it did not."""
    if capabilities.start_open_vswitch():
        assert dyncast("clean").returncode == 0
        if Path("/sys/class/net/ovs-netdev").exists():  # it removes its own device with the last bridge that it knows
            vsctl("add-br", "last", "--", "set", "Bridge", "last", "datapath_type=netdev")
            vsctl("del-br", "last")


def _halt(*names: str) -> Callable[[Disturbed], None]:
    def deed(run: Disturbed) -> None:
        run.wait_for("client-1@east", _AT_S)
        pids = [run.pid(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(_HALT_S)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    return deed


def _kill(name: str) -> Callable[[Disturbed], None]:
    def deed(run: Disturbed) -> None:
        run.wait_for("client-1@east", _AT_S)
        os.kill(run.pid(name), signal.SIGKILL)

    return deed


def _daemon(name: str, number: signal.Signals, after_s: float, *, comes_back: bool) -> Callable[[Disturbed], None]:
    """Have a daemon get a signal; it is started again if its monitor does not do so."""

    def deed(run: Disturbed) -> None:
        run.wait_for("client-1@east", after_s)
        os.kill(_daemon_pid(name), number)
        if number is signal.SIGSTOP:
            time.sleep(_HALT_S)
            os.kill(_daemon_pid(name), signal.SIGCONT)
        elif comes_back:
            time.sleep(0.5)
            capabilities.start_open_vswitch()

    return deed


def _daemon_pid(name: str) -> int:
    return int(Path(f"/var/run/openvswitch/{name}.pid").read_text())


_STOOD_STILL = r"stood still for \d{4} ms at [12]\.\d s"
_LOST = r"the switch session of D-Router east was lost"

WAYS = {
    "ovs-vswitchd killed before the traffic": (
        _daemon("ovs-vswitchd", signal.SIGKILL, -1.5, comes_back=False),
        (
            rf"{_LOST} \d\.\d s before the traffic and did not come back",
            r"ovs-vswitchd \(bridges of east, west, door\) ended \d\.\d s before .* not come",
        ),
    ),
    "ovs-vswitchd killed for good": (
        _daemon("ovs-vswitchd", signal.SIGKILL, _AT_S, comes_back=False),
        (
            rf"{_LOST} at 1\.\d s and did not come back",
            r"ovs-vswitchd \(bridges of east, west, door\) ended at 1\.\d s and did not come back",
        ),
    ),
    "ovs-vswitchd killed and back": (
        _daemon("ovs-vswitchd", signal.SIGSEGV, _AT_S, comes_back=True),
        (
            rf"{_LOST} at 1\.\d s(?! and did)",
            r"ovs-vswitchd \(bridges of east, west, door\) ended at 1\.\d s and was back at [123]\.\d s",
        ),
    ),
    "ovs-vswitchd halted": (
        _daemon("ovs-vswitchd", signal.SIGSTOP, _AT_S, comes_back=True),
        (r"what its switch told control@\w+ once waited \d{4} ms",),
    ),
    "ovsdb-server killed for good": (
        _daemon("ovsdb-server", signal.SIGKILL, _AT_S, comes_back=False),
        (r"ovsdb-server \(bridges of east, west, door\) ended at 1\.\d s and did not come back",),
    ),
    "control process halted": (
        _halt("control@east"),
        (rf"control@east {_STOOD_STILL}", r"what its switch told control@east once waited \d{4} ms"),
    ),
    "control process killed": (_kill("control@east"), (r"control@east ended with code -9",)),
    "Dispatcher and generator halted": (
        _halt("control@door", "client-1@east"),
        (rf"control@door {_STOOD_STILL}", rf"client-1@east {_STOOD_STILL}"),
    ),
    "metric agent, instance and name server halted": (
        _halt("dma@west", "render-1@west", "dns@Kansas City"),
        (rf"dma@west {_STOOD_STILL}", rf"render-1@west {_STOOD_STILL}", rf"dns@Kansas City {_STOOD_STILL}"),
    ),
    "relay halted": (_halt("the relay"), (rf"the relay {_STOOD_STILL}",)),
    "relay killed": (_kill("the relay"), (r"the relay ended before the run did, by SIGKILL",)),
    "runner halted": (_halt("the runner"), (rf"the runner {_STOOD_STILL}",)),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_run_is_valid_of_which_a_part_was_halted_or_killed(way: str, disturbed: Disturbed) -> None:
    deed, expected = WAYS[way]
    deed(disturbed)
    manifest = disturbed.end()
    if manifest.status == FAILED:
        said, verdict = manifest.error or "", "none"
    else:
        assert manifest.status == FINISHED
        said, verdict = "\n".join(manifest.reasons), str(manifest.verdict)
    print(f"{way}: {manifest.status}, {verdict}\n{said}")
    assert verdict != "valid"
    for words in expected:
        assert re.search(words, said), said
