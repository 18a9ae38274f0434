"""How a metric agent is told when to tell, and how to score (`docs/processes.md`, "Metric agent"). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from testbed.dyncast.metric_agent.update_triggers import Band, Dampening, Telling, Threshold
from testbed.dyncast.metrics.normalisation import AGGREGATIONS, CATEGORIES, MinMax, Normalisation, Normaliser, Sigmoid
from testbed.net.token_bucket import Rate
from testbed.runtime.config import Keys

Made = TypeVar("Made")


def telling(keys: Keys) -> Telling:
    """Check a way of telling; raise ConfigError naming the key."""
    trigger = _TRIGGERS[keys.one_of("when", _TRIGGERS)](keys)
    return Telling(
        refresh_s=keys.positive("refresh_s"),
        trigger=trigger,
        budget=keys.optional("budget", lambda key: keys.section(key, _budget), None),
        dampening=keys.optional("dampening", lambda key: keys.section(key, _dampening), None),
    )


def normalisation(keys: Keys) -> Normalisation:
    """Check how the instances of a service are scored; raise ConfigError naming the key."""
    figures = {category: keys.sections(category, _normaliser) for category in CATEGORIES}
    l1, l2 = (keys.one_of(f"{level}_aggregation", AGGREGATIONS) for level in ("l1", "l2"))
    weights = keys.section("weights", lambda inner: {category: inner.positive(category) for category in inner})
    return _made(
        keys, "weights", lambda: Normalisation(**figures, l1_aggregation=l1, l2_aggregation=l2, weights=weights)
    )


def _threshold(keys: Keys) -> Threshold:
    metric = keys.text("metric")
    absolute = keys.optional("absolute", keys.positive, None)
    relative = keys.optional("relative", keys.positive, None)
    share = keys.optional("hysteresis_share", lambda key: keys.number(key, 0), 0.0)
    return _made(keys, "metric", lambda: Threshold(metric, absolute, relative, share))


def _band(keys: Keys) -> Band:
    entries = keys.entries("edges")
    edges = tuple(entries.integer(entry) for entry in entries)
    points = keys.optional("hysteresis_points", lambda key: keys.integer(key, 0), 0)
    return _made(keys, "edges", lambda: Band(edges, points))


_TRIGGERS: Mapping[str, Callable[[Keys], Threshold | Band | None]] = {
    "interval": lambda keys: None,  # noqa: ARG005
    "threshold": _threshold,
    "band": _band,
}


def _budget(keys: Keys) -> Rate:
    return Rate(keys.positive("per_s"), keys.integer("burst", 1))


def _dampening(keys: Keys) -> Dampening:
    names = ("half_life_s", "suppress", "reuse", "max_suppress_s")
    values = [keys.positive(name) for name in names]
    return _made(keys, "suppress", lambda: Dampening(*values))


def _normaliser(keys: Keys) -> Normaliser:
    metric = keys.text("metric")
    weight = keys.optional("weight", keys.positive, 1.0)
    if keys.one_of("function", ("min_max", "sigmoid")) == "min_max":
        worst, best = keys.number("worst"), keys.number("best")
        return _made(keys, "metric", lambda: MinMax(metric, worst, best, weight))
    midpoint, steepness = keys.number("midpoint"), keys.number("steepness")
    return _made(keys, "metric", lambda: Sigmoid(metric, midpoint, steepness, weight))


def _made(keys: Keys, key: str, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except ValueError as error:
        raise keys.error(key, f"cannot be used: {error}") from error
