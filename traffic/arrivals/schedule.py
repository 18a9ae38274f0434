"""What is due when: one heap for everything a generator sends, so that one wake-up serves all that is due.

Pure: the time comes in as an argument, sending is what the actions do.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

# Takes the time now, does everything that is due by then, and returns when it is due next (None: never).
Action = Callable[[float], "float | None"]


class Schedule:
    """Actions by the time they are due; those due at the same time run in the order they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._added = 0

    def add(self, due_s: float, action: Action) -> None:
        """Let `action` run once `due_s` has come; an action may add others."""
        heapq.heappush(self._heap, (due_s, self._added, action))
        self._added += 1

    @property
    def next_due_s(self) -> float | None:
        """When the next action is due; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, now_s: float) -> None:
        """Run every action due by `now_s`, and file it again where it is due next."""
        while self._heap and self._heap[0][0] <= now_s:
            _, _, action = heapq.heappop(self._heap)
            next_s = action(now_s)
            if next_s is not None:
                self.add(next_s, action)
