"""How raw figures (L0) become scores per category (L1) and one overall (L2), each an octet 0-10, higher is better.

Owns the normalisation and aggregation functions of the CATS metric definition ("Aggregation and Normalization
Functions"). Unless a service says otherwise:

* computing (L1) = 10 x the share of worker time that was idle (utilisation, min-max 1 → 0);
* service (L1) = 10 x the free share of the waiting room;
* overall (L2) = the lesser of the two: an instance is as good as its scarcest resource.

The formulas are part of the interface, for scores that nobody can interpret are of no use ("On the Meaning of Scores").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from testbed.dyncast.metrics.levels import BEST_SCORE, FIGURES, RawMetrics, Scores

CATEGORIES = ("computing", "communication", "service")


def min_max(value: float, worst: float, best: float) -> float:
    """Map `worst`..`best` linearly to 0..1, clamped; `worst` may be above or below `best`."""
    if worst == best:
        return 1.0
    return min(1.0, max(0.0, (value - worst) / (best - worst)))


def sigmoid(value: float, midpoint: float, steepness: float) -> float:
    """Map any value smoothly to 0..1: 0.5 at `midpoint`; a negative `steepness` makes less be better."""
    exponent = max(-700.0, min(700.0, -steepness * (value - midpoint)))
    return 1.0 / (1.0 + math.exp(exponent))


@dataclass(frozen=True)
class MinMax:
    """A figure, linearly between its worst and its best value."""

    metric: str
    """The raw metric."""
    worst: float
    """Value that scores 0."""
    best: float
    """Value that scores 10."""
    weight: float = 1.0
    """Its say in a weighted mean."""

    def __post_init__(self) -> None:
        _check(self.metric, self.weight)
        if not (math.isfinite(self.worst) and math.isfinite(self.best)) or self.worst == self.best:
            raise ValueError(f"worst and best must be finite and differ, not {self.worst:g} and {self.best:g}")

    def share(self, raw: RawMetrics) -> float:
        """Return how good the figure is, 0..1."""
        return min_max(getattr(raw, self.metric), self.worst, self.best)


@dataclass(frozen=True)
class Sigmoid:
    """A figure, smoothly around a midpoint."""

    metric: str
    """The raw metric."""
    midpoint: float
    """Value that scores 5."""
    steepness: float
    """How fast it rises there; negative if less is better."""
    weight: float = 1.0
    """Its say in a weighted mean."""

    def __post_init__(self) -> None:
        _check(self.metric, self.weight)
        if not (math.isfinite(self.midpoint) and math.isfinite(self.steepness)) or self.steepness == 0:
            raise ValueError("midpoint and steepness must be finite, and steepness not 0")

    def share(self, raw: RawMetrics) -> float:
        """Return how good the figure is, 0..1."""
        return sigmoid(getattr(raw, self.metric), self.midpoint, self.steepness)


def _check(metric: str, weight: float) -> None:
    if metric not in FIGURES:
        raise ValueError(f"metric {metric!r} does not exist; there are: {', '.join(FIGURES)}")
    if not 0 < weight < math.inf:
        raise ValueError(f"weight must be > 0 and finite, not {weight:g}")


def _mean(values: Sequence[float], _: Sequence[float]) -> float:
    return sum(values) / len(values)


def _weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)


AGGREGATIONS: Mapping[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "min": lambda values, _: min(values),
    "max": lambda values, _: max(values),
    "mean": _mean,
    "weighted_mean": _weighted_mean,
}

Normaliser = MinMax | Sigmoid


@dataclass(frozen=True)
class Normalisation:
    """How the instances of a service are scored; a category without a figure has no score.

    `l1_aggregation` puts the figures of a category together (by their own weights, if weighted), `l2_aggregation` the
    categories (by `weights`, 1 for those not named).
    """

    computing: tuple[Normaliser, ...] = (MinMax("utilisation", worst=1.0, best=0.0),)
    """Figures of the category; none: it has no score."""
    communication: tuple[Normaliser, ...] = ()
    """The same."""
    service: tuple[Normaliser, ...] = (MinMax("free_room", worst=0.0, best=1.0),)
    """The same."""
    l1_aggregation: str = "min"
    """How the figures of a category are put together."""
    l2_aggregation: str = "min"
    """How the categories are."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """The say of each category in a weighted mean; 1 unless stated."""

    def __post_init__(self) -> None:
        for name in (self.l1_aggregation, self.l2_aggregation):
            if name not in AGGREGATIONS:
                raise ValueError(f"aggregation {name!r} does not exist; there are: {', '.join(AGGREGATIONS)}")
        if not (self.computing or self.communication or self.service):
            raise ValueError("no category has a figure to score")
        for category, weight in self.weights.items():
            if category not in CATEGORIES:
                raise ValueError(f"category {category!r} does not exist; there are: {', '.join(CATEGORIES)}")
            if not 0 < weight < math.inf:
                raise ValueError(f"weights.{category} must be > 0 and finite, not {weight:g}")

    def scores(self, raw: RawMetrics) -> Scores:
        """Return the L1 and L2 scores of an instance."""
        by_category = {
            category: self._l1(figures, raw) for category in CATEGORIES if (figures := getattr(self, category))
        }
        weights = [self.weights.get(category, 1.0) for category in by_category]
        overall = round(AGGREGATIONS[self.l2_aggregation](list(by_category.values()), weights))
        return Scores(**by_category, overall=overall)

    def _l1(self, figures: Sequence[Normaliser], raw: RawMetrics) -> int:
        shares = [figure.share(raw) for figure in figures]
        return round(BEST_SCORE * AGGREGATIONS[self.l1_aggregation](shares, [figure.weight for figure in figures]))


DEFAULT = Normalisation()
