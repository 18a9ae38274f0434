"""The timers of a control process: each of its parts says when it wants to be woken, and nothing ticks.

Owns the waiting. What is due then is the parts' business; they know no clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ryu_apps.openflow.framework import Alarm
from testbed.runtime.pulse import Pulse

_LEAST_WAIT_S = 0.001  # a part that asks for a time that has passed must not keep packets waiting


class Timers:
    """Call each part when it wants to be woken, and feel the pulse of the process."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._timers: list[tuple[Callable[[], float], Callable[[float], None], float]] = []
        self._alarm = Alarm()
        self._until_s = 0.0
        self._waits = False

    def add(
        self, next_timer_s: Callable[[], float], on_timer: Callable[[float], None], *, early_s: float = 0.0
    ) -> None:
        """Call `on_timer` with the time when it is `next_timer_s` (-inf: at once, inf: never).

        Up to `early_s` before that if the process is awake anyway: to be woken costs more than what is done then.
        """
        self._timers.append((next_timer_s, on_timer, early_s))

    def run(self) -> None:
        """Run until the thread is killed."""
        while True:
            for next_s, on_timer, early_s in self._timers:
                now_s = time.monotonic()
                if next_s() - early_s <= now_s:
                    on_timer(now_s)
            self._wait()

    def look_again(self) -> None:
        """Take note that something has come in: a part may want to be woken sooner."""
        if self._waits and self._next_s() < self._until_s:
            self._waits = False  # so that it is not looked at again for every message until then
            self._alarm.wake()

    def _next_s(self) -> float:
        return min(next_s() for next_s, _, _ in self._timers)

    def _wait(self) -> None:
        now_s = time.monotonic()
        self._until_s = max(min(self._next_s(), self._pulse.next_s()), now_s + _LEAST_WAIT_S)
        self._waits = True
        self._alarm.wait(self._until_s - now_s)
        self._waits = False  # whatever comes in while parts are called is looked at before the next wait
        self._pulse.look(time.monotonic(), self._until_s)
