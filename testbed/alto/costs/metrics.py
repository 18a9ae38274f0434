"""Cost metrics: `routingcost` (RFC 7285, 6.1.1.1) and the registry of performance metrics (RFC 9439).

A metric may carry a statistic, as in `delay-ow:p95`. Read from the last draft of RFC 9439 (version 28), of which the
RFC may differ in words; units and names agree with the IANA registry as far as its public copies show.
`bw-utilized`, which earlier drafts had, is not registered: say `bw-available`, or `priv:bw-utilized`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed.alto.errors import AltoDataError
from testbed.alto.names import PRIVATE, is_private

SOURCES = ("nominal", "sla", "estimation")
STATISTICS = ("cur", "min", "max", "median", "mean", "stddev", "stdvar")
_PERCENTILE = re.compile(r"p(?P<number>(?:0|[1-9][0-9]?|100)(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as registered: its unit, the statistic that is meant when none is said, and which way is better."""

    name: str
    unit: str
    section: str
    default_statistic: str = "median"
    higher_is_better: bool = False
    is_whole: bool = False
    is_measured: bool = True  # carries statistics, and is never negative


_LIST = (
    Metric("routingcost", "", "RFC 7285, 6.1.1.1", is_measured=False),
    Metric("delay-ow", "microseconds", "RFC 9439, 4.1"),
    Metric("delay-rt", "microseconds", "RFC 9439, 4.2"),
    Metric("delay-variation", "microseconds", "RFC 9439, 4.3"),
    Metric("lossrate", "percent", "RFC 9439, 4.4"),
    Metric("hopcount", "hops", "RFC 9439, 4.5", is_whole=True),
    Metric("tput", "bytes per second", "RFC 9439, 5.1", higher_is_better=True),
    Metric("bw-residual", "bytes per second", "RFC 9439, 5.2", "cur", higher_is_better=True),
    Metric("bw-available", "bytes per second", "RFC 9439, 5.3", "cur", higher_is_better=True),
)
REGISTRY = {metric.name: metric for metric in _LIST}


def registered(name: str) -> Metric | None:
    """Return the metric that a name is of, with or without a statistic."""
    return REGISTRY.get(name.partition(":")[0])


def statistic_of(name: str) -> str | None:
    """Return the statistic that a metric's values are; None if it has none."""
    metric = registered(name)
    if metric is None or not metric.is_measured:
        return None
    return name.partition(":")[2] or metric.default_statistic


def is_statistic(text: str) -> bool:
    """Return whether this is the name of a statistic (RFC 9439, section 3.2)."""
    return text in STATISTICS or percentile(text) is not None


def percentile(text: str) -> float | None:
    """Return the number of a percentile such as `p95` or `p99.9`, at most 100."""
    match = _PERCENTILE.fullmatch(text)
    number = float(match["number"]) if match else None
    return number if number is not None and number <= 100 else None


def higher_is_better(name: str) -> bool:
    """Return whether a greater value of a metric is preferred, as of bandwidth; of spreads it never is."""
    metric = registered(name)
    if metric is None or not metric.higher_is_better:
        return False
    return statistic_of(name) not in ("stddev", "stdvar")


def check(name: str) -> None:
    """Raise AltoDataError if no server may announce a metric so: not registered, or with an odd statistic."""
    if is_private(name):
        return
    metric = registered(name)
    base, colon, statistic = name.partition(":")
    if metric is None:
        raise AltoDataError(f"{base!r} is not registered; there are {', '.join(REGISTRY)}, and {PRIVATE}…")
    if colon and not (metric.is_measured and is_statistic(statistic)):
        raise AltoDataError(f"{name!r}: {statistic!r} is no statistic of {base} (RFC 9439, section 3.2)")
