"""Who watches a run: the terminal as always, all of it in the terminal (`--live`), a page in the browser (`--serve`).

Puts together what reads and what shows. Looks twice a second, in between what the run does anyway; what fails here
ends the watching and never the run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.text import Text

from testbed.experiment.live import documents
from testbed.experiment.live.event_server import Broadcast, EventServer
from testbed.experiment.live.state import LiveReader, LiveState
from testbed.experiment.live.terminal import LiveTerminal
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import InstanceLoad, Progress, Silent, Terminal
from testbed.records import manifest as manifests
from testbed.records.manifest import ManifestError

LOOK_INTERVAL_S = 0.5


class View(Protocol):
    """What shows a run beside the progress."""

    def phase(self, text: str) -> None:
        """Say what is being done now."""

    def show(self, state: LiveState) -> None:
        """Show a state; called twice a second, so it must not take long."""

    def end(self, end: documents.Document) -> None:
        """Say how the run ended."""


class Watched:
    """A progress that passes on its messages, reads what the run writes, and has views show it."""

    def __init__(self, progress: Progress, plan: Plan, views: Sequence[View]) -> None:
        self._progress = progress
        self._plan = plan
        self._views = views
        self._reader: LiveReader | None = None
        self._loads: Sequence[InstanceLoad] = ()
        self._last_load_s = self._next_look_s = 0.0
        self._run_dir: Path | None = None

    def phase(self, text: str) -> None:
        """Pass it on. In the midst of the load it says that a fault began, or that all flows ended: look first."""
        now_s = time.monotonic()
        if now_s - self._last_load_s < LOOK_INTERVAL_S:
            self._look(now_s)
        self._say(text)

    def traffic(self, work: Path, start_s: float) -> None:
        """Begin to read."""
        self._progress.traffic(work, start_s)
        self._run_dir = work.parent
        self._reader = LiveReader(self._plan, work, start_s)

    def load(self, elapsed_s: float, duration_s: float, loads: Sequence[InstanceLoad]) -> None:
        """Pass it on, and look if it is time."""
        self._progress.load(elapsed_s, duration_s, loads)
        self._loads = loads
        self._last_load_s = time.monotonic()
        if self._last_load_s >= self._next_look_s:
            self._next_look_s = self._last_load_s + LOOK_INTERVAL_S
            self._look(self._last_load_s)

    def ended(self, status: str, error: str = "") -> None:
        """Stop reading; show in the views how the run ended, and what its manifest says of it."""
        if self._reader is not None:
            self._reader.close()
        end = {"status": status, "error": error, "run_dir": str(self._run_dir or ""), **self._verdict()}
        for view in self._views:
            view.end(end)

    def _look(self, now_s: float) -> None:
        if self._reader is None:
            return
        try:
            state = self._reader.read(now_s, self._loads)
            for view in self._views:
                view.show(state)
        except (ValueError, LookupError, ArithmeticError, OSError) as error:
            self._reader.close()
            self._reader = None
            self._say(f"cannot watch the run any longer, which goes on: {error!r}")

    def _say(self, text: str) -> None:
        self._progress.phase(text)
        for view in self._views:
            view.phase(text)

    def _verdict(self) -> documents.Document:
        try:
            manifest = manifests.read((self._run_dir or Path()) / manifests.NAME)
        except ManifestError:
            return {}
        return {"verdict": manifest.verdict, "reasons": list(manifest.reasons)}


class _Page:
    """The view in the browser."""

    def __init__(self, plan: Plan, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._publish("network", documents.network(plan))

    def phase(self, text: str) -> None:
        self._publish("phase", {"text": text})

    def show(self, state: LiveState) -> None:
        self._publish("state", documents.state(state))

    def end(self, end: documents.Document) -> None:
        self._broadcast.publish("end", documents.event("end", end), last=True)

    def _publish(self, kind: str, document: documents.Document) -> None:
        self._broadcast.publish(kind, documents.event(kind, document))


@contextmanager
def shown(plan: Plan, console: Console, *, live: bool = False, port: int | None = None) -> Iterator[Progress]:
    """Show a run of a plan while the block lasts: all there is to see if `live`, and a page at `port` unless None.

    Raises RunError if the port cannot be had.
    """
    with ExitStack() as stack:
        progress: Progress = Silent() if live else stack.enter_context(Terminal(console).showing())
        if not live and port is None:
            yield progress
            return
        views: list[View] = [stack.enter_context(LiveTerminal(plan, console).showing())] if live else []
        if port is not None:
            broadcast = Broadcast()
            views.append(_Page(plan, broadcast))
            server = stack.enter_context(EventServer(broadcast, port))
            console.print(Text.assemble("watch it at ", (server.url, "bold")))
        watched = Watched(progress, plan, views)
        try:
            yield watched
        except BaseException as error:
            is_stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            watched.ended("interrupted" if is_stopped else "failed", "" if is_stopped else str(error))
            raise
        watched.ended("finished")
