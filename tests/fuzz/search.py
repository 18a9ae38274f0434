"""The search for an input that a parser cannot bear: one that ends in an error, takes long or stays in memory.

Owns how long it goes on, and what is said of what it finds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SLOW_S = 2.0  # of the processor, for one input
_WARM_SHARE = 0.25  # of the search, after which caches should be full
_GROWTH_BYTES = 48 << 20
_PAGE_BYTES = 4096


class Found(AssertionError):
    """An input that cannot be borne, for a test of its own."""


@dataclass
class Limits:
    """How far to search: so many examples, or until so much time has passed."""

    examples: int | None = None
    seconds: float = 0.0

    def rounds(self) -> Iterator[float]:
        """Yield how far the search has come, 0..1."""
        began_s, number = time.monotonic(), 0
        while True:
            done = number / self.examples if self.examples else (time.monotonic() - began_s) / self.seconds
            if done >= 1:
                return
            yield done
            number += 1


def search(take: Callable[[bytes], None], octets: Callable[[], bytes], limits: Limits) -> int:
    """Have `take` bear one input after the other; return how many. Raises Found."""
    count, warm_bytes = 0, 0
    for done in limits.rounds():
        data = octets()
        began_s = time.process_time()
        try:
            take(data)
        except Exception as error:
            raise Found(f"{type(error).__name__}: {error} by {shown(data)}") from error
        took_s = time.process_time() - began_s
        if took_s > SLOW_S:
            raise Found(f"{took_s:.1f} s of the processor for {shown(data)}")
        count += 1
        if done >= _WARM_SHARE and not warm_bytes:
            warm_bytes = resident_bytes()
    grown = resident_bytes() - warm_bytes
    if warm_bytes and grown > _GROWTH_BYTES:
        raise Found(f"memory grew by {grown >> 20} MiB over {count} inputs")
    return count


def shown(data: bytes) -> str:
    """Return an input as a test can have it."""
    return repr(data) if len(data) <= 2000 else f"{data[:1000]!r} … {data[-200:]!r} ({len(data)} bytes)"


def resident_bytes() -> int:
    """Return the memory that this process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
