"""No packet under a D-BID reaches a client that asked a D-SID: what packet sockets saw at clients in a test's runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from testbed.records.parts import whole_rows


def leaks_in(folder: Path, *, known: frozenset[Path] = frozenset()) -> list[str]:
    """Return, for each answer that nobody had asked an instance for, where it was and which; without `known` files."""
    return [
        f"{path}: {row['proto']} from {row['d_bid']} {row['dst_port']} to {row['client']} {row['src_port']}"
        for path in tables_in(folder)
        if path not in known
        for row in whole_rows(path)
        if int(row["asked"]) == 0
    ]


def tables_in(folder: Path) -> Iterator[Path]:
    """Yield the tables `direct` of all runs in a folder, finished or not."""
    yield from folder.rglob("direct.csv")
    yield from folder.rglob("direct.*.part.csv")
