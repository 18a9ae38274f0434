"""The scenario's `metrics`: how fresh an ingress's picture is, when D-MAs report, how raw metrics become scores.

Owns the keys and what each way needs; what they mean is `testbed.dyncast.metric_agent.update_triggers`'s and
`normalisation`'s business, which also refuse what makes no sense.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from testbed.dyncast.messages.admission import REPORT_RATE
from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import Dampening
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics.normalisation import MinMax, Normalisation, Normaliser, Sigmoid
from testbed.experiment.schema_parts import LinkKeys, Part
from testbed.net.token_bucket import Rate

_TAKES = {
    "interval": set(),
    "threshold": {"metric", "absolute", "relative", "hysteresis_share", "refresh_s"},
    "band": {"edges", "hysteresis_points", "refresh_s"},
}


class BudgetKeys(Part):
    """How many reports a D-MA may send, refreshes included; what is due waits, states first."""

    per_s: float = Field(gt=0)
    """On average."""
    burst: int = Field(1, ge=1)
    """At once."""


class DampeningKeys(Part):
    """Hold back what flaps, as RFC 2439 does: each change adds 1 to a penalty that decays."""

    half_life_s: float = Field(15.0, gt=0)
    """The penalty halves in this time."""
    suppress: float = Field(3.0, gt=0)
    """Above it, changes wait; and an instance that comes up again is reported as draining."""
    reuse: float = Field(1.0, gt=0)
    """Below it, they no longer do."""
    max_suppress_s: float = Field(60.0, gt=0)
    """They wait no longer than this after the last change."""

    @model_validator(mode="after")
    def _makes_sense(self) -> DampeningKeys:
        self.dampening()
        return self

    def dampening(self) -> Dampening:
        """Return it in the core's own terms."""
        return Dampening(self.half_life_s, self.suppress, self.reuse, self.max_suppress_s)


class ReportingKeys(Part):
    """When D-MAs report an instance, besides when it goes down, drains or comes up: that is reported at once."""

    when: Literal["interval", "threshold", "band"] = "interval"
    """At each interval_s; when a metric has moved by a threshold; when the L2 score leaves its band."""
    metric: str | None = None
    """threshold: a raw metric, such as queue_length, utilisation, sessions, cpu_utilisation, free_room."""
    absolute: float | None = Field(None, gt=0)
    """threshold: a move by so much since it was reported."""
    relative: float | None = Field(None, gt=0)
    """threshold: a move by this share of what was reported."""
    hysteresis_share: float | None = Field(None, ge=0)
    """threshold: a move back on the one before must be larger by this share; default 0."""
    edges: tuple[int, ...] | None = None
    """band: scores at which bands begin; default 4 and 8: low, medium, high. All of 1 to 10: each score a band."""
    hysteresis_points: int | None = Field(None, ge=0)
    """band: a score leaves its band when it is more than so many points outside; default 0."""
    refresh_s: float | None = Field(None, gt=0)
    """threshold, band: everything is reported at least this often; default: a third of lifetime_s."""
    budget: BudgetKeys | None = None
    """How many reports each D-MA may send; none: as many as are due."""
    dampening: DampeningKeys | None = None
    """Hold back what flaps; none: don't."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> ReportingKeys:
        every = set().union(*_TAKES.values())
        stated = {key for key in every if getattr(self, key) is not None}
        wrong = stated - _TAKES[self.when]
        if wrong:
            hint = "; interval_s is how often it reports" if self.when == "interval" else ""
            raise ValueError(f"{self.when} takes no {', '.join(sorted(wrong))}{hint}")
        self._trigger()
        return self

    def reporting(self, refresh_s: float) -> Reporting:
        """Return it in the core's own terms."""
        return Reporting(
            refresh_s,
            self._trigger(),
            None if self.budget is None else Rate(self.budget.per_s, self.budget.burst),
            None if self.dampening is None else self.dampening.dampening(),
        )

    def _trigger(self) -> Threshold | Band | None:
        if self.when == "threshold":
            if self.metric is None:
                raise ValueError("threshold needs metric")
            return Threshold(self.metric, self.absolute, self.relative, self.hysteresis_share or 0.0)
        if self.when == "band":
            return Band(self.edges or Band.edges, self.hysteresis_points or 0)
        return None


class FigureKeys(Part):
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
        stated = {key for key in ("worst", "best", "midpoint", "steepness") if getattr(self, key) is not None}
        if stated != wanted:
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


class NormalisationKeys(Part):
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


class RateLimitKeys(Part):
    """How many reports a D-Router takes of each agent; it refuses what is more."""

    reports_per_s: float = Field(REPORT_RATE.per_s, gt=0)
    """On average."""
    burst: int = Field(int(REPORT_RATE.burst), ge=1)
    """At once."""


class MetricKeys(Part):
    """How fresh the ingress's picture is, and which agents it believes."""

    interval_s: float = Field(1.0, gt=0, le=3600)
    """Each D-MA reports this often, unless `telling` says otherwise."""
    poll_interval_s: float | None = Field(None, gt=0)
    """Each D-MA reads its instances this often; default: interval_s."""
    agent_at: Literal["d_router", "edge"] = "d_router"
    """Where the D-MA of a site with instances runs: on its D-Router, or on a host of its own beside the instances."""
    agent_link: LinkKeys | None = None
    """agent_at edge: link between that host and the D-Router; default: as fast as the machine."""
    telling: ReportingKeys = ReportingKeys()
    """When D-MAs report what they read."""
    normalisation: NormalisationKeys = NormalisationKeys()
    """How raw metrics become scores, for services that do not say."""
    lifetime_s: float = Field(10.0, gt=0)
    """A binding not refreshed for so long is no candidate."""
    probe_interval_s: float = Field(1.0, gt=0)
    """D-Routers probe the paths to each other this often."""
    port_interval_s: float | None = Field(1.0, gt=0)
    """D-Routers read the counters of their own ports this often, and a full or dropping port costs; null: never."""
    authentication: Literal["none", "hmac"] = "none"
    """hmac: reports and probes carry HMAC-SHA256 tags; forged, replayed and stale (lifetime_s) ones are refused."""
    rate_limit: RateLimitKeys = RateLimitKeys()
    """Against agents that report too much."""

    @property
    def refresh_s(self) -> float:
        """How often each D-MA reports everything."""
        if self.telling.when == "interval":
            return self.interval_s
        return self.telling.refresh_s or self.lifetime_s / 3

    @model_validator(mode="after")
    def _agent_has_a_host_to_link(self) -> MetricKeys:
        if self.agent_link is not None and self.agent_at != "edge":
            raise ValueError("agent_link: a D-MA on its D-Router has no link; say agent_at: edge")
        return self

    @model_validator(mode="after")
    def _bindings_outlive_refreshes(self) -> MetricKeys:
        if self.refresh_s >= self.lifetime_s:
            key = "interval_s" if self.telling.when == "interval" else "telling.refresh_s"
            raise ValueError(
                f"{key}: reports each {self.refresh_s:g} s expire after {self.lifetime_s:g} s; raise lifetime_s"
            )
        budget = self.telling.budget
        if budget is not None and budget.per_s * self.refresh_s < 1:
            raise ValueError(
                f"telling.budget: {budget.per_s:g} reports/s are less than one each {self.refresh_s:g} s, when "
                "everything is reported; raise per_s"
            )
        return self
