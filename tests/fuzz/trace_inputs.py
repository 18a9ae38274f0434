"""What a file that is called a trace of invocations may hold, as octets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.trace_samples import counts_text, durations_text, invocations_text
from traffic.traces import file as trace_file
from traffic.traces.file import InvocationTrace
from traffic.traces.lines import TraceError
from traffic.traces.replay import Replay

TRACES = [
    counts_text({"aaaa1111": {1: 3, 1440: 1}, "bbbb2222": {}}).encode(),
    invocations_text([("aaaa1111", 7.5, 1.25), ("bbbb2222", 90.0, 100.0)]).encode(),
]
DURATIONS = [durations_text({"aaaa1111": range(7), "falls": (0, 2, 1, 3, 4, 5, 6)}).encode()]


def trace(data: bytes) -> None:
    """A trace is read whole, and its arrivals are in the window, or it is refused."""

    def take(path: Path) -> None:
        of = InvocationTrace.at(path)
        totals = of.totals()
        if sum(totals.values()) < 1000:
            assert all(arrival.offset_s >= 0 for arrival in of.draw(None, Replay(), Random(1)).arrivals)

    _with_file(data, take)


def durations(data: bytes) -> None:
    """Durations are read, and what is drawn lies between the least and the most, or they are refused."""

    def take(path: Path) -> None:
        for known in trace_file.durations(path).by_function.values():
            assert known.percentiles_ms[0] <= known.draw(Random(1)) <= known.percentiles_ms[-1]

    _with_file(data, take)


def _with_file(data: bytes, take: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as name, suppress(TraceError):
        path = Path(name, "trace.csv")
        path.write_bytes(data)
        take(path)
