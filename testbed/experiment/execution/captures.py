"""Packets kept in pcap files until the load ends, by tcpdump (`captures:`).

Owns tcpdump's life, and what it says that it kept and lost. Reads no packets: tshark, Wireshark and Scapy do.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.emulation.network import EmulatedNetwork
from testbed.experiment.launch.processes import RunError
from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.capture_keys import CaptureKeys
from testbed.experiment.scenario.file import ScenarioError
from testbed.records.manifest import CaptureEntry

_READY_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 10.0
_POLL_S = 0.02
_BUFFER_KIB = 8192
_LISTENS = "listening on"
_COUNTS = {
    "packets": re.compile(r"^(\d+) packets? captured", re.MULTILINE),
    "lost_packets": re.compile(r"^(\d+) packets? dropped by kernel", re.MULTILINE),
}


@dataclass(frozen=True)
class _Capture:
    keys: CaptureKeys
    path: Path
    log_path: Path
    popen: subprocess.Popen[bytes]


def check_machine(plan: Plan, source: Path) -> None:
    """Raise ScenarioError, naming the scenario's source, if captures cannot be taken on this machine."""
    if plan.scenario.captures and not _program():
        raise ScenarioError(f"{source}: captures: tcpdump is not on PATH; install it: apt-get install tcpdump")


class Captures:
    """The captures of a run: its files go to `folder`, and `entries` say what each came to, once they have ended."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.entries: list[CaptureEntry] = []
        self._wanted = list(plan.scenario.captures)
        self._folder = folder
        self._running: list[_Capture] = []

    def begin_early(self, network: EmulatedNetwork) -> None:
        """Begin those that are to see what processes say before the load. Raises RunError as `until_the_end` does."""
        self._begin(network, [keys for keys in self._wanted if keys.begins == "network"])

    @contextmanager
    def until_the_end(self, network: EmulatedNetwork) -> Iterator[None]:
        """Begin the others, and end all after the block.

        Raises RunError if tcpdump does not begin, such as for a filter that it does not understand.
        """
        try:
            self._begin(network, [keys for keys in self._wanted if keys.begins == "load"])
            yield
        finally:
            for capture in self._running:
                capture.popen.send_signal(signal.SIGINT)
            self.entries += [_end(capture) for capture in self._running]

    def _begin(self, network: EmulatedNetwork, wanted: Sequence[CaptureKeys]) -> None:
        begun = []
        for keys in wanted:
            begun.append(_start(keys, network, self._folder))
            self._running.append(begun[-1])
        for capture in begun:
            _wait_until_it_listens(capture)


def _start(keys: CaptureKeys, network: EmulatedNetwork, folder: Path) -> _Capture:
    folder.mkdir(exist_ok=True)
    path = folder / f"{keys.name}.pcap"
    node, interface = network.interface(*keys.place)
    # Immediately: else it is handed packets by the second, and those of the last one are lost when it is ended.
    command = [_program(), "--immediate-mode", "-n", "-Z", "root", "-B", str(_BUFFER_KIB), "-s", str(keys.snap_bytes)]
    command += ["-i", interface, "-w", str(path), *(["--", keys.filter] if keys.filter else [])]
    log_path = folder / f"{keys.name}.log"
    popen = network.popen(node, command, name=f"capture {keys.name}", log_path=log_path)
    return _Capture(keys, path, log_path, popen)


def _program() -> str:
    """Return tcpdump by its path, which need not be on that of whoever called; empty if there is none."""
    return shutil.which("tcpdump") or ""


def _wait_until_it_listens(capture: _Capture) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while _LISTENS not in (said := _said(capture)):
        if capture.popen.poll() is not None:
            words = " / ".join(said.strip().splitlines()) or "it said nothing"
            raise RunError(f"captures: tcpdump for {capture.keys.name!r} ended: {words}; is its filter right?")
        if time.monotonic() > deadline_s:
            raise RunError(f"captures: tcpdump for {capture.keys.name!r} did not begin; see {capture.log_path}")
        time.sleep(_POLL_S)


def _end(capture: _Capture) -> CaptureEntry:
    try:
        capture.popen.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        capture.popen.kill()
        capture.popen.wait()
    said = _said(capture)
    counts = {name: int(found[1]) if (found := pattern.search(said)) else None for name, pattern in _COUNTS.items()}
    return CaptureEntry(capture.keys.name, f"{capture.path.parent.name}/{capture.path.name}", **counts)


def _said(capture: _Capture) -> str:
    return capture.log_path.read_text(encoding="utf-8", errors="replace")
