"""Shows, at each change, what an instance is like to whoever maps its shared memory
(`testbed/dyncast_io/shared_state.py`).

Owns when: once per turn of the event loop in which work came in, was refused or got done. Knows no services; the
instance says what the figures are. Only instances of services under the policy `oracle` have a publisher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from testbed.agents.instance.processor import Done, Load, Processor
from testbed.dyncast_io.shared_state import Figures, TrueState
from testbed.queueing.work_queue import Accepted


class StatePublisher:
    """Publish `figures` when something has changed."""

    def __init__(self, state: TrueState, figures: Callable[[], Figures]) -> None:
        self._state = state
        self._figures = figures
        self._loop = asyncio.get_running_loop()
        self._is_due = False

    def note_change(self) -> None:
        """Publish at the end of this turn of the loop: by then all who take part in the change have counted it."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.publish)

    def publish(self) -> None:
        """Publish at once."""
        self._is_due = False
        self._state.publish(self._figures())


class WatchedProcessor:
    """A pool of workers (`Processor`) that calls back at each job that comes, is refused or ends."""

    def __init__(self, processor: Processor, on_change: Callable[[], None]) -> None:
        self._processor = processor
        self._on_change = on_change

    def submit(self, work_s: float, done: Done) -> bool:
        """Take in a job; see `Processor`."""

        def done_and_published(job: Accepted) -> None:
            done(job)
            self._on_change()

        self._on_change()
        return self._processor.submit(work_s, done_and_published)

    def load(self) -> Load:
        """Return the load now."""
        return self._processor.load()

    def cpu_s(self) -> float:
        """Return the CPU time that workers of their own processes have used."""
        return self._processor.cpu_s()

    def check(self) -> None:
        """Raise ProcessFailure if the workers can serve no more."""
        self._processor.check()

    def close(self) -> None:
        """Stop; jobs in the system are abandoned."""
        self._processor.close()
