"""Statistics of samples by the operators of RFC 9439, section 3.2: what a server computes from what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from testbed.alto.costs import metrics
from testbed.alto.errors import AltoDataError


def statistic(samples: Sequence[float], operator: str) -> float:
    """Return one figure of samples, which are in the order of their time. Raises AltoDataError."""
    if not samples:
        raise AltoDataError("no samples, no statistic")
    share = metrics.percentile(operator)
    if share is not None:
        return _percentile(samples, share)
    if operator not in _OPERATORS:
        raise AltoDataError(f"{operator!r} is no statistic; there are {', '.join(metrics.STATISTICS)} and p0 to p100")
    return float(_OPERATORS[operator](samples))


def _percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that this share of all is not above."""
    return sorted(samples)[max(0, math.ceil(share / 100 * len(samples)) - 1)]


_OPERATORS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "cur": lambda samples: samples[-1],
    "min": lambda samples: min(samples),
    "max": lambda samples: max(samples),
    "median": statistics.median,
    "mean": statistics.fmean,
    "stddev": statistics.pstdev,
    "stdvar": statistics.pvariance,
}
