"""Tables of a page from data frames: headings with units, figures rounded, what is absent shown as such.

Owns how much of a long frame is shown. Computes nothing.
"""

from __future__ import annotations

import pandas as pd

from testbed.analysis.html_report.blocks.page import Cell, Table
from testbed.analysis.measures.columns import ABSENT, Columns, written

MOST_ROWS = 250
_MOST_SHARES = 60  # rows of a table of shares, which may have many columns


def table(caption: str, frame: pd.DataFrame, columns: Columns, *, note: str = "", file: str = "") -> Table:
    """Show some columns of a frame; of a long one its first rows, naming the `file` that has all."""
    shown = frame[list(columns)].head(MOST_ROWS)
    rows = [
        [cell(value, form) for value, (_, form) in zip(row, columns.values(), strict=True)]
        for row in shown.itertuples(index=False)
    ]
    if len(frame) > MOST_ROWS:
        more = f"{len(frame) - MOST_ROWS:,} more rows" + (f" in {file}" if file else "")
        note = f"{note} {more}.".strip()
    return Table(caption, [Cell(heading, bool(form)) for heading, form in columns.values()], rows, note)


def shares(caption: str, counts: pd.DataFrame, heading: str, note: str = "") -> Table:
    """Show counts, each shaded by its share of its row; the index names the rows, under `heading`."""
    shown = counts.head(_MOST_SHARES)
    if len(counts) > len(shown):
        note = f"{note} {len(counts) - len(shown):,} more rows are left out.".strip()
    totals = shown.sum(axis=1)
    rows = []
    for name, row in zip(shown.index, shown.to_numpy(), strict=True):
        total = totals[name]
        cells = [
            Cell(f"{count:,d} ({count / total:.0%})" if count else ABSENT, True, count / total if total else None)
            for count in map(int, row)
        ]
        rows.append([Cell(str(name)), *cells, Cell(f"{int(total):,d}", True)])
    headings = [Cell(heading), *(Cell(str(name), True) for name in shown.columns), Cell("all", True)]
    return Table(caption, headings, rows, note)


def cell(value: object, form: str) -> Cell:
    """Write one value by a format."""
    return Cell(written(value, form), bool(form))
