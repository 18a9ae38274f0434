"""Links impaired by the userspace relay: start its process, read its statistics, end it.

Owns the process's configuration file, log and life. What it does to packets is in `relay.impairment`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from testbed.emulation.links.backend import LinkContext, LinkError, LinkRequest
from testbed.emulation.relay.config import RelayChange, RelayConfig, RelayEnd, RelayLink, change_path, ports_path
from testbed.emulation.relay.impairment import Impairment
from testbed.runtime.caller import python_module
from testbed.runtime.child_command import how_it_ended
from testbed.runtime.pulse import pulse_path
from topologies.spec import LinkSpec

_NAME = "relay"
_START_S = 30.0
_ANSWER_S = 3.0
_END_S = 10.0
_REPOSITORY = Path(__file__).resolve().parents[3]


class RelayLinks:
    """Impaired links made by one relay process between TAP interfaces."""

    name = _NAME

    def __init__(self, context: LinkContext) -> None:
        self._context = context
        self._process: subprocess.Popen[bytes] | None = None
        self._has_links = False
        self._failed: str | None = None
        self._queues: dict[str, int] = {}  # label → slot in the file of counters

    @property
    def pid(self) -> int | None:
        """Return the relay's process id while it runs."""
        return None if self._process is None else self._process.pid

    def create(self, requests: Sequence[LinkRequest]) -> None:
        """Start the relay and wait until all interfaces are up. Without requests, start nothing."""
        if not requests:
            return
        self._has_links = True
        self._queues = {
            request.label: 2 * index for index, request in enumerate(requests) if request.spec.rate_mbps is not None
        }
        out_dir = self._context.out_dir
        config_path, log_path = self._path("config.json"), self._path("log")
        ready_path = self._path("ready")
        try:
            out_dir.mkdir(parents=True, exist_ok=True)
            for stale in (ready_path, self._path("json")):
                stale.unlink(missing_ok=True)
            document = configuration(requests, out_dir, self._context.seed).to_document()
            config_path.write_text(json.dumps(document, indent=1) + "\n")
            with log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    python_module("testbed.emulation.relay", str(config_path)),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self._context.environment, "PYTHONPATH": _python_path()},
                    start_new_session=True,
                )
        except OSError as error:
            raise LinkError(f"cannot start the relay: {error.filename or out_dir}: {error.strerror}") from error
        self._wait_until(ready_path.exists, _START_S, "make its interfaces")

    def statistics(self) -> dict[str, Any]:
        """Return the relay's statistics: as of now while it runs, those of its end after `close`. Empty without links.

        Raises LinkError if the relay died.
        """
        path = self._path("json")
        if self._process is not None:
            self._must_run()
            before = _identity(path)
            self._process.send_signal(signal.SIGUSR1)
            self._wait_until(lambda: _identity(path) != before, _ANSWER_S, "write its statistics")
        try:
            statistics: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            statistics = {"backend": _NAME} if self._has_links else {}
        except (OSError, ValueError) as error:
            raise LinkError(f"cannot read the relay's statistics {path}: {error}") from error
        return {**statistics, "failed": self._failed} if self._failed else statistics

    def pulse(self) -> Path | None:
        """Return the relay's pulse; None if there is no relay."""
        return pulse_path(self._context.out_dir, _NAME) if self._has_links else None

    def change(self, request: LinkRequest, spec: LinkSpec) -> None:
        """Have the relay do this to the packets of a link from now on; return once it does."""
        if self._process is None:
            raise LinkError(f"link {request.label!r} cannot be changed: there is no relay")
        self._must_run()
        path = change_path(self._context.out_dir, _NAME)
        partial = path.with_name(f".{path.name}.partial")
        document = RelayChange(request.label, Impairment(**asdict(spec))).to_document()
        try:
            partial.write_text(json.dumps(document))
            partial.replace(path)
        except OSError as error:
            raise LinkError(f"link {request.label!r} cannot be changed: {path}: {error.strerror}") from error
        self._process.send_signal(signal.SIGHUP)
        self._wait_until(lambda: not path.exists(), _ANSWER_S, f"change link {request.label!r}")

    def forget_lateness(self) -> None:
        """Record lateness from now on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR2)

    def queue(self, label: str, *, of_a: bool) -> tuple[Path, int] | None:
        """Return where the queue of one end of a link is counted; a link without a rate has none."""
        slot = self._queues.get(label)
        return None if slot is None else (ports_path(self._context.out_dir, _NAME), slot if of_a else slot + 1)

    def close(self) -> None:
        """End the relay; its interfaces go with it."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is not None:
            self._failed = f"the relay ended before the run did, {how_it_ended(process.returncode)}"
            return
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._failed = "the relay did not end when it was asked to"
            process.kill()
            process.wait()

    def _path(self, suffix: str) -> Path:
        return self._context.out_dir / f"{_NAME}.{suffix}"

    def _wait_until(self, predicate: Callable[[], bool], timeout_s: float, what: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not predicate():
            self._must_run()
            if time.monotonic() > deadline_s:
                raise LinkError(f"the relay did not {what} within {timeout_s:g} s; see {self._path('log')}")
            time.sleep(0.005)

    def _must_run(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            reason = self._last_words() or f"the relay ended with exit code {self._process.returncode}"
            raise LinkError(f"{reason}; impaired links carry nothing")

    def _last_words(self) -> str:
        try:
            return (self._path("log").read_text(errors="replace").strip().splitlines() or [""])[-1]
        except OSError:
            return ""


def configuration(requests: Sequence[LinkRequest], out_dir: Path, seed: int) -> RelayConfig:
    """Return the relay's configuration for these links."""
    links = tuple(
        RelayLink(
            request.label,
            RelayEnd(**asdict(request.a)),
            RelayEnd(**asdict(request.b)),
            Impairment(**asdict(request.spec)),
        )
        for request in requests
    )
    return RelayConfig(_NAME, out_dir, seed, links)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _python_path() -> str:
    former = os.environ.get("PYTHONPATH")
    return str(_REPOSITORY) + (os.pathsep + former if former else "")
