"""Constraints on costs: `ge 10`, and of one cost among several `[1] le 5` (RFC 7285, 11.3.2.3; RFC 8189, 4.1).

Constraints that contradict each other are no error: nothing meets them. RFC 8189 was not at hand when this was
written; what is done follows its published summaries and the drafts that extend it.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from testbed.alto.costs.cost_type import Cost

_FORM = re.compile(
    r"\s*(?:\[(?P<index>[0-9]{1,4})\]\s*)?(?P<operator>gt|lt|ge|le|eq)\s+"
    r"(?P<target>[-+]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,5})?)\s*"
)
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "lt": operator.lt,
    "ge": operator.ge,
    "le": operator.le,
    "eq": operator.eq,
}
Costs = Sequence[Cost | None]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One comparison, of the cost at an index among those that are tested."""

    index: int
    compare: Callable[[float, float], bool]
    target: float
    has_index: bool = False

    def holds(self, costs: Costs) -> bool:
        """Return whether costs meet it; one that is not defined meets nothing."""
        cost = costs[self.index]
        return cost is not None and self.compare(cost, self.target)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Alternatives, of each of which all constraints are to hold; no alternatives at all are no condition."""

    alternatives: tuple[tuple[Constraint, ...], ...] = ()

    def hold(self, costs: Costs) -> bool:
        """Return whether costs meet one of the alternatives."""
        return not self.alternatives or any(
            all(constraint.holds(costs) for constraint in together) for together in self.alternatives
        )


def parse(text: str) -> Constraint | None:
    """Return a constraint, or None if it is not well-formed."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    target = float(match["target"])
    if not math.isfinite(target):
        return None
    index = match["index"]
    return Constraint(int(index or 0), _OPERATORS[match["operator"]], target, index is not None)
