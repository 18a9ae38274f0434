"""The distribution of service times that a configuration asks for (docs/processes.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from testbed.queueing.service_times import (
    BoundedPareto,
    Constant,
    Exponential,
    Lognormal,
    ServiceTime,
    ServiceTimeError,
)
from testbed.runtime.config import Keys

DISTRIBUTIONS: Mapping[str, Callable[[Keys], ServiceTime]] = {
    "constant": lambda keys: Constant(_seconds(keys, "mean_ms")),
    "exponential": lambda keys: Exponential(_seconds(keys, "mean_ms")),
    "lognormal": lambda keys: Lognormal(_seconds(keys, "mean_ms"), keys.positive("sigma")),
    "bounded_pareto": lambda keys: BoundedPareto(
        _seconds(keys, "mean_ms"), keys.positive("alpha"), _seconds(keys, "max_ms")
    ),
}


def service_time(keys: Keys) -> ServiceTime:
    """Return the distribution that a configuration asks for; raise ConfigError naming the key."""
    name = keys.one_of("distribution", DISTRIBUTIONS)
    try:
        return DISTRIBUTIONS[name](keys)
    except ServiceTimeError as error:
        raise keys.error("distribution", str(error)) from error


def _seconds(keys: Keys, key: str) -> float:
    return keys.positive(key) * 1e-3
