"""Ranks: ordinal costs from numerical ones (RFC 7285, section 6.1.2.2).

Equal costs have equal ranks, ranks begin at 1 and leave no gaps; the lower the better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from testbed.alto.costs.cost_type import Cost


def ranks(costs: Iterable[Cost], higher_is_better: bool = False) -> dict[Cost, int]:
    """Return the rank of each of the costs that are compared."""
    return {cost: rank for rank, cost in enumerate(sorted(set(costs), reverse=higher_is_better), start=1)}


def ranked(rows: Mapping[str, Mapping[str, Cost]], higher_is_better: bool = False) -> dict[str, dict[str, Cost]]:
    """Return rows of costs as ranks among all of them."""
    rank = ranks((cost for row in rows.values() for cost in row.values()), higher_is_better)
    return {source: {destination: rank[cost] for destination, cost in row.items()} for source, row in rows.items()}
