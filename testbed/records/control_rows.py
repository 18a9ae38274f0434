"""Rows of the table `control`: what a process counted itself, besides messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def local(time_s: float, node: str, counters: Mapping[str, int]) -> Iterator[dict[str, object]]:
    """Yield a row for each counter."""
    counted_here: dict[str, object] = {"time_s": time_s, "node": node, "direction": "local", "peer": "", "bytes": 0}
    for kind, count in counters.items():
        yield {**counted_here, "kind": kind, "messages": count}
