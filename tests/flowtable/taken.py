"""A switch that says when it has taken what was sent to it: not before a test wants it."""

from __future__ import annotations

from collections.abc import Callable

from testbed.net.addresses import Address


class Taken:
    """What is done when the switch has taken all; `all_of_it` is the switch saying so, `one_of_it` of the first."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[float], None]] = []

    def __call__(self, _d_sid: Address, then: Callable[[float], None]) -> None:
        self._waiting.append(then)

    def all_of_it(self, now_s: float = 0.0) -> None:
        """Have done what waits until now."""
        for _ in range(len(self._waiting)):
            self.one_of_it(now_s)

    def one_of_it(self, now_s: float = 0.0) -> None:
        """Have done what has waited longest."""
        self._waiting.pop(0)(now_s)
