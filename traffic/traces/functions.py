"""Functions of a trace, and which of them an experiment takes: all, by rank, or by hash. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from traffic.traces.lines import TraceError

_MOST_SHOWN = 3
_SHOWN_DIGITS = 12


class FunctionId(NamedTuple):
    """A function: its hash is only known to be its own within its app."""

    app: str
    function: str


def ranked(totals: Mapping[FunctionId, int]) -> list[FunctionId]:
    """Return the functions of a trace, the most invoked first; of those invoked as often, by their hashes."""
    return sorted(totals, key=lambda item: (-totals[item], item))


def chosen(wanted: Sequence[int | str] | None, totals: Mapping[FunctionId, int], path: str) -> frozenset[FunctionId]:
    """Return the functions of a trace that are `wanted`: ranks from 1, hashes or how they begin; None: all.

    A hash may be that of the function, or APP/FUNCTION. Raises TraceError that begins with the key.
    """
    if wanted is None:
        return frozenset(totals)
    order = ranked(totals)
    found: dict[FunctionId, int] = {}
    for number, one in enumerate(wanted):
        key = f"functions[{number}]"
        function = _by_rank(key, one, order, path) if isinstance(one, int) else _by_hash(key, one, order, path)
        if function in found:
            raise TraceError(f"{key}: {one!r} is the function of functions[{found[function]}], too")
        found[function] = number
    return frozenset(found)


def _by_rank(key: str, rank: int, order: Sequence[FunctionId], path: str) -> FunctionId:
    if not 1 <= rank <= len(order):
        raise TraceError(f"{key}: there is no rank {rank}; {path} has {len(order)} functions")
    return order[rank - 1]


def _by_hash(key: str, text: str, order: Sequence[FunctionId], path: str) -> FunctionId:
    app, slash, function = text.rpartition("/")
    found = [item for item in order if item.function.startswith(function) and (not slash or item.app.startswith(app))]
    exact = [item for item in found if item.function == function]
    found = exact if len(exact) == 1 else found
    if not found:
        raise TraceError(f"{key}: no function of {path} has a hash that begins with {text!r}")
    if len(found) > 1:
        apps = ", ".join(f"{item.app[:_SHOWN_DIGITS]}/{item.function[:_SHOWN_DIGITS]}" for item in found[:_MOST_SHOWN])
        raise TraceError(f"{key}: {len(found)} functions of {path} are {text!r}; say which, as APP/FUNCTION: {apps}")
    return found[0]
