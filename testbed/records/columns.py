"""Columns and tables, described once: names, types, units and meanings, from which writer, reader and documents come.

Owns the types that readers get; says nothing of which tables there are. Stdlib only, for processes inside namespaces
import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WORD, TEXT, NUMBER, WHOLE = "category", "str", "float64", "Int64"
SECONDS, MILLISECONDS, BYTES = "s", "ms", "byte"


@dataclass(frozen=True)
class Column:
    """`dtype` is pandas'; a row that lacks a column that is `required` was cut short, and nothing can be made of it.

    `since`: the day from which on tables have it, where earlier ones did not; in these it is unknown.
    """

    dtype: str
    unit: str
    meaning: str
    required: bool = False
    since: str = ""


@dataclass(frozen=True)
class Table:
    """`row`: what one row stands for. `since`: as of a column, if the table came later than others."""

    row: str
    columns: Mapping[str, Column]
    since: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(self.columns)


def word(meaning: str, *, required: bool = False) -> Column:
    """Return a column of few different words, such as names."""
    return Column(WORD, "", meaning, required)


def text(meaning: str, *, required: bool = False) -> Column:
    """Return a column of texts that are mostly different."""
    return Column(TEXT, "", meaning, required)


def number(unit: str, meaning: str, *, required: bool = False) -> Column:
    """Return a column of measured figures."""
    return Column(NUMBER, unit, meaning, required)


def whole(meaning: str, *, since: str = "") -> Column:
    """Return a column of whole numbers, such as ports."""
    return Column(WHOLE, "", meaning, since=since)


PROTO = word("tcp or udp")
D_SID, D_BID = word("the service's address"), word("the instance's address")
SERVICE = word("its name in the scenario")
