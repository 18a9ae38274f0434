"""The scenario's `metrics.telling` and `normalisation`: when D-MAs tell, and how raw metrics become scores.

Owns the keys and what each way needs; what they mean is `testbed.dyncast.telling`'s and `normalisation`'s business,
which also refuse what makes no sense. The documents are those that D-MAs are given (docs/processes.md).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from testbed.dyncast.normalisation import MinMax, Normalisation, Normaliser, Sigmoid
from testbed.dyncast.telling import Band, Dampening, Threshold

_TAKES = {
    "interval": set(),
    "threshold": {"metric", "absolute", "relative", "hysteresis_share", "refresh_s"},
    "band": {"edges", "hysteresis_points", "refresh_s"},
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BudgetKeys(_Part):
    """How many reports a D-MA may send, refreshes included; what is due waits, states first."""

    per_s: float = Field(gt=0)
    """On average."""
    burst: int = Field(1, ge=1)
    """At once."""


class DampeningKeys(_Part):
    """Hold back what flaps, as RFC 2439 does: each change adds 1 to a penalty that decays."""

    half_life_s: float = Field(15.0, gt=0)
    """The penalty halves in this time."""
    suppress: float = Field(3.0, gt=0)
    """Above it, changes wait; and an instance that comes up again is told of as draining."""
    reuse: float = Field(1.0, gt=0)
    """Below it, they no longer do."""
    max_suppress_s: float = Field(60.0, gt=0)
    """They wait no longer than this after the last change."""

    @model_validator(mode="after")
    def _makes_sense(self) -> DampeningKeys:
        Dampening(**self.model_dump())
        return self


class TellingKeys(_Part):
    """When D-MAs tell of an instance, besides when it goes down, drains or comes up: that is told at once."""

    when: Literal["interval", "threshold", "band"] = "interval"
    """At each interval_s; when a metric has moved by a threshold; when the L2 score leaves its band."""
    metric: str | None = None
    """threshold: a raw metric, such as queue_length, utilisation, sessions, cpu_utilisation, free_room."""
    absolute: float | None = Field(None, gt=0)
    """threshold: a move by so much since it was told."""
    relative: float | None = Field(None, gt=0)
    """threshold: a move by this share of what was told."""
    hysteresis_share: float | None = Field(None, ge=0)
    """threshold: a move back on the one before must be larger by this share; default 0."""
    edges: tuple[int, ...] | None = None
    """band: scores at which bands begin; default 4 and 8: low, medium, high. All of 1 to 10: each score a band."""
    hysteresis_points: int | None = Field(None, ge=0)
    """band: a score leaves its band when it is more than so many points outside; default 0."""
    refresh_s: float | None = Field(None, gt=0)
    """threshold, band: everything is told at least this often; default: a third of lifetime_s."""
    budget: BudgetKeys | None = None
    """How many reports each D-MA may send; none: as many as are due."""
    dampening: DampeningKeys | None = None
    """Hold back what flaps; none: don't."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> TellingKeys:
        every = set().union(*_TAKES.values())
        given = {key for key in every if getattr(self, key) is not None}
        wrong = given - _TAKES[self.when]
        if wrong:
            hint = "; interval_s is how often it tells" if self.when == "interval" else ""
            raise ValueError(f"{self.when} takes no {', '.join(sorted(wrong))}{hint}")
        if self.when == "threshold":
            if self.metric is None:
                raise ValueError("threshold needs metric")
            Threshold(self.metric, self.absolute, self.relative, self.hysteresis_share or 0.0)
        if self.when == "band":
            Band(**self._band())
        return self

    def document(self, refresh_s: float) -> dict[str, Any]:
        """Return it as D-MAs are told."""
        own: dict[str, Any] = {}
        if self.when == "threshold":
            keys = ("metric", "absolute", "relative", "hysteresis_share")
            own = {key: value for key in keys if (value := getattr(self, key)) is not None}
        if self.when == "band":
            band = self._band()
            own = {**band, "edges": list(band["edges"])}
        limits = self.model_dump(include={"budget", "dampening"}, exclude_none=True)
        return {"when": self.when, "refresh_s": refresh_s, **own, **limits}

    def _band(self) -> dict[str, Any]:
        return {"edges": self.edges or Band.edges, "hysteresis_points": self.hysteresis_points or 0}


class FigureKeys(_Part):
    """A raw metric as a score: 0 at its worst, 10 at its best."""

    metric: str
    """A raw metric, such as utilisation, cpu_utilisation, memory_utilisation, free_room, throughput_bps."""
    function: Literal["min_max", "sigmoid"] = "min_max"
    """min_max: linear from worst to best, and flat beyond. sigmoid: smooth around a midpoint."""
    worst: float | None = None
    """min_max: value that scores 0."""
    best: float | None = None
    """min_max: value that scores 10."""
    midpoint: float | None = None
    """sigmoid: value that scores 5."""
    steepness: float | None = None
    """sigmoid: how fast it rises there; negative if less is better."""
    weight: float = Field(1.0, gt=0)
    """Its say in a weighted mean."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> FigureKeys:
        wanted = {"min_max": {"worst", "best"}, "sigmoid": {"midpoint", "steepness"}}[self.function]
        given = {key for key in ("worst", "best", "midpoint", "steepness") if getattr(self, key) is not None}
        if given != wanted:
            raise ValueError(f"{self.function} needs {' and '.join(sorted(wanted, reverse=True))}, and no more")
        self.normaliser()
        return self

    def normaliser(self) -> Normaliser:
        """Return it in the core's own terms."""
        if self.worst is not None and self.best is not None:
            return MinMax(self.metric, self.worst, self.best, self.weight)
        assert self.midpoint is not None
        assert self.steepness is not None
        return Sigmoid(self.metric, self.midpoint, self.steepness, self.weight)


Aggregation = Literal["min", "max", "mean", "weighted_mean"]


class NormalisationKeys(_Part):
    """Scores of 0 to 10, higher is better: per category (L1) from raw metrics (L0), and one overall (L2)."""

    computing: tuple[FigureKeys, ...] = (FigureKeys(metric="utilisation", worst=1, best=0),)
    """Metrics of the category; none: it has no score."""
    communication: tuple[FigureKeys, ...] = ()
    """The same."""
    service: tuple[FigureKeys, ...] = (FigureKeys(metric="free_room", worst=0, best=1),)
    """The same."""
    l1_aggregation: Aggregation = "min"
    """How the metrics of a category are put together."""
    l2_aggregation: Aggregation = "min"
    """How the categories are."""
    weights: dict[Literal["computing", "communication", "service"], float] = {}
    """The say of each category in a weighted mean; 1 unless stated."""

    @model_validator(mode="after")
    def _makes_sense(self) -> NormalisationKeys:
        self.normalisation()
        return self

    def normalisation(self) -> Normalisation:
        """Return it in the core's own terms."""
        by_category = {
            category: tuple(keys.normaliser() for keys in getattr(self, category))
            for category in ("computing", "communication", "service")
        }
        return Normalisation(
            **by_category,
            l1_aggregation=self.l1_aggregation,
            l2_aggregation=self.l2_aggregation,
            weights={str(category): weight for category, weight in self.weights.items()},
        )

    def document(self) -> dict[str, Any]:
        """Return it as D-MAs are told."""
        return self.model_dump(mode="json", exclude_none=True)
