"""Values of costs: their one form, and which of them a cost type can have.

Maps have millions of them: what depends on the type alone is looked up once.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from testbed.alto.costs import metrics
from testbed.alto.costs.cost_type import Cost, CostMode, CostType
from testbed.alto.errors import AltoDataError

_LARGEST_WHOLE = 1 << 53  # up to here a double is exact
_SPREADS = ("stddev", "stdvar")


class CostValues:
    """The values that costs of one type can have."""

    def __init__(self, cost_type: CostType) -> None:
        metric = metrics.registered(cost_type.metric)
        statistic = metrics.statistic_of(cost_type.metric)
        is_measured = metric is not None and metric.is_measured
        self.cost_type = cost_type
        self.lowest, self.highest, self.is_whole = (0.0 if is_measured else -inf), inf, False
        if cost_type.mode is CostMode.ORDINAL:
            self.lowest, self.is_whole = 0.0, True
        elif metric is not None and is_measured:
            self.is_whole = metric.is_whole and statistic not in ("mean", *_SPREADS)
            if metric.name == "lossrate" and statistic != "stdvar":
                self.highest = 100.0

    def checked(self, cost: object) -> Cost:
        """Return a cost in its one form. Raises AltoDataError."""
        number = exact(cost)
        if not self.lowest <= number <= self.highest or (self.is_whole and type(number) is not int):
            raise AltoDataError(
                f"{cost!r} cannot be a {self.cost_type.mode.value} {self.cost_type.metric}: {self._why()}"
            )
        return number

    def checked_row(self, row: Mapping[str, Cost]) -> dict[str, Cost]:
        """Return a row of costs in their one form. Raises AltoDataError."""
        checked = self.checked
        return {destination: checked(cost) for destination, cost in row.items()}

    def _why(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        return f"it is {kind} from {self.lowest:g} to {self.highest:g}"


def exact(cost: object) -> Cost:
    """Return a cost in its one form, so that equal costs are equal octets. Raises AltoDataError."""
    if type(cost) is float and -inf < cost < inf:
        return int(cost) if cost.is_integer() and -_LARGEST_WHOLE <= cost <= _LARGEST_WHOLE else cost
    if type(cost) is int and -_LARGEST_WHOLE <= cost <= _LARGEST_WHOLE:
        return cost
    if isinstance(cost, int) and not isinstance(cost, bool) and abs(cost) < 1 << 1023:
        return float(cost)
    raise AltoDataError(f"{cost!r} is no finite cost")
