"""Which flows were seen at two instances, and whether the first one's death explains it. Pure: reads ledgers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from testbed.benchmarks.counting.flow_ledger import FlowLedger

Flow = tuple[str, int]  # protocol, source port
Life = tuple[str, int]  # of an instance: its name, and which life of it


class Visit(NamedTuple):
    """What a life of an instance saw of a flow."""

    life: Life
    packets: int
    first_ns: int
    last_ns: int


class Move(NamedTuple):
    """A flow that was seen at one instance and then at another."""

    flow: Flow
    left: Visit
    came: Visit


def visits(ledgers: Iterable[tuple[str, int, FlowLedger]]) -> dict[Flow, list[Visit]]:
    """Return where each flow was seen, in the order of first packets."""
    found = defaultdict(list)
    for instance, life, ledger in ledgers:
        for seen in ledger.sightings():
            visit = Visit((instance, life), seen.packets, seen.first_ns, seen.last_ns)
            found[seen.proto, seen.src_port].append(visit)
    return {flow: sorted(of_flow, key=lambda visit: visit.first_ns) for flow, of_flow in found.items()}


def moves(seen: Mapping[Flow, list[Visit]]) -> list[Move]:
    """Return all moves; who finds its instance alive again before it was given up has not moved."""
    return [
        Move(flow, left, came)
        for flow, of_flow in seen.items()
        for left, came in pairwise(of_flow)
        if left.life[0] != came.life[0]
    ]


def violations(moved: Iterable[Move], died_ns: Mapping[Life, int]) -> list[Move]:
    """Return the moves that no death explains: the instance that was left must have died before the other was seen."""
    return [move for move in moved if not died_ns.get(move.left.life, move.came.first_ns + 1) <= move.came.first_ns]
