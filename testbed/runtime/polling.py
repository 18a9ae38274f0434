"""Wait for observable state instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(predicate: Callable[[], Value], timeout_s: float = 10.0, what: str = "condition") -> Value:
    """Poll `predicate` until it is truthy and return its value. Raises TimeoutError naming `what` after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    pause_s = 0.005
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"still waiting for {what} after {timeout_s:g} s (last value: {value!r})")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.2)


def wait_until_still(
    count: Callable[[], int], look_s: float, *, noise: int = 0, timeout_s: float = 10.0, what: str = "count"
) -> int:
    """Return a count that has grown by at most `noise` within `look_s`. Raises TimeoutError naming `what`."""
    deadline_s = time.monotonic() + timeout_s
    before = count()
    while True:
        time.sleep(look_s)
        now = count()
        if now - before <= noise:
            return now
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what} still grows after {timeout_s:g} s (by {now - before} in {look_s:g} s)")
        before = now
