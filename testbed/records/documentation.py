"""docs/tables.md, made from the catalogue of tables."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.records import tables
from testbed.records.columns import Table


def as_markdown() -> str:
    """Return docs/tables.md."""
    parts = [_HEAD]
    for system, of_it in tables.by_owner().items():
        for name, table in of_it.items():
            parts += _described(name, table, f" `{system}` writes it." if system else "")
    return "\n".join(parts)


def _described(name: str, table: Table, writer: str) -> Iterator[str]:
    yield f"## {name}.csv"
    yield ""
    yield f"A row per {table.row}.{writer}{f' Since {table.since}.' if table.since else ''}"
    yield ""
    yield "| column | type | unit | |"
    yield "|---|---|---|---|"
    for column, item in table.columns.items():
        meaning = f"{item.meaning} (since {item.since})" if item.since else item.meaning
        yield f"| `{column}`{' *' if item.required else ''} | {item.dtype} | {item.unit} | {meaning} |"
    yield ""


_HEAD = """# Tables of a run

What `dyncast schema --tables` prints. Every run folder has all of these files, if only with their headers. Times
are seconds on CLOCK_MONOTONIC, which all processes of a machine share; by the manifest's `start_s` the workloads began.
Types are those of `testbed.analysis.load` ([python.md](python.md)); an empty field is missing, not 0. A row that lacks
a column marked * was cut short, and is an error. Tables and columns that came later are unknown in earlier runs:
`run.knows("direct")`, `run.knows("affinity.ended")`. Figures that need one are not shown then.
"""
