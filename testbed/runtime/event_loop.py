"""An asyncio event loop whose timers are true to some ten microseconds.

asyncio over epoll rounds every timer up to the next millisecond, which is as long as an RTP packet's
service time: an error that would end up in published figures. Here the selector waits on a timerfd
instead, and feels the pulse of the process each time it wakes. Stdlib only; used by every process inside a namespace.
Knows nothing of Dyncast.
"""

from __future__ import annotations

import asyncio
import ctypes
import selectors
import signal
import time
from collections.abc import Coroutine
from typing import Any

from testbed.linux.cpu_priority import raise_priority
from testbed.linux.timerfd import DeadlineTimer
from testbed.runtime.pulse import Pulse

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class PreciseSelector(selectors.EpollSelector):
    """An epoll selector with microsecond time-outs."""

    def __init__(self, pulse: Pulse) -> None:
        super().__init__()
        self._pulse = pulse
        self._timer = DeadlineTimer()
        self.register(self._timer, selectors.EVENT_READ)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events for `timeout` seconds (None: for ever; <= 0: only look), or until the pulse is felt."""
        now_s, pulse = time.monotonic(), self._pulse
        pulse.look(now_s)
        if timeout is not None and timeout <= 0:
            due_s, ready = now_s, super().select(timeout)
        else:
            due_s = pulse.next_s() if timeout is None else min(now_s + timeout, pulse.next_s())
            self._timer.set(due_s)
            ready = super().select(None)
        pulse.look(time.monotonic(), due_s)
        events = [event for event in ready if event[0].fileobj is not self._timer]
        if len(events) < len(ready):
            self._timer.clear()
        return events

    def close(self) -> None:
        """Close the timer and the epoll descriptor."""
        self._timer.close()
        super().close()


def end_with_parent() -> None:
    """Ask the kernel to send SIGTERM to this process when its parent dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def run_until_terminated(main: Coroutine[Any, Any, None], pulse: Pulse) -> None:
    """Run `main` promptly on a precise loop; cancel it on SIGTERM or SIGINT, let it clean up, then return."""
    raise_priority()
    loop = asyncio.SelectorEventLoop(PreciseSelector(pulse))
    asyncio.set_event_loop(loop)
    task = loop.create_task(_alive(main, pulse))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        return
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _alive(main: Coroutine[Any, Any, None], pulse: Pulse) -> None:
    try:
        await main
    finally:
        pulse.close(time.monotonic())
