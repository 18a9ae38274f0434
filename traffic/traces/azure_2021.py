"""The Azure Functions invocation trace of 2021: one row per invocation, with when it ended and how long it took.

Its format: github.com/Azure/AzurePublicDataset, AzureFunctionsInvocationTrace2021.md. Rows are in no order. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from traffic.traces.functions import FunctionId
from traffic.traces.lines import rows

COLUMNS = ("app", "func", "end_timestamp", "duration")
FILE = "AzureFunctionsInvocationTraceForTwoWeeksJan2021.txt"


class Invocation(NamedTuple):
    """One invocation; times in seconds from the begin of the trace. It may have begun before that."""

    function: FunctionId
    end_s: float
    duration_s: float

    @property
    def begin_s(self) -> float:
        """When it began."""
        return self.end_s - self.duration_s


def read(lines: Iterable[str], path: str) -> Iterator[Invocation]:
    """Yield the invocations of a trace, as they stand there. Raises TraceError."""
    for row in rows(lines, path, COLUMNS, f"the trace of 2021, {FILE}"):
        yield Invocation(FunctionId(row.text(0), row.text(1)), row.number(2), row.number(3))
