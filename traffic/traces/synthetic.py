"""Functions and invocations drawn by what was published of Azure Functions, for traces that nobody has to download.

Pure: random numbers come in. Owns the statistics and where they come from; `writing` makes files of them.

Sources: Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, section 3, figures 1, 2, 4, 5, 7, 8. What the paper
does not say is marked "chosen". What it says and is not modelled: weekends, and that 40 % of the apps are invoked in a
burstier way than a Poisson process.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from statistics import NormalDist
from typing import NamedTuple

from traffic.traces.azure_2019 import DURATION_PERCENTS, MEMORY_PERCENTS, MINUTES, DayOfFunction, Durations, Memory
from traffic.traces.functions import FunctionId

# Functions per app (figure 1): least, most, share of the apps. 54 % have one, 95 % at most 10, 0.04 % more than 100.
FUNCTIONS_PER_APP = (
    (1, 1, 0.54), (2, 2, 0.16), (3, 3, 0.10), (4, 5, 0.08), (6, 10, 0.07), (11, 100, 0.0496), (101, 2000, 0.0004)
)  # fmt: skip
# Functions by trigger (figure 2), in percent.
TRIGGERS = {
    "http": 55.0,
    "timer": 15.6,
    "queue": 15.2,
    "orchestration": 6.9,
    "storage": 2.8,
    "event": 2.2,
    "others": 2.2,
}

# Invocations of an app per day (figure 5a): so large a share of the apps is invoked once an hour or less, and once a
# minute or less. A log-normal distribution is chosen that has both; that the apps above have 99.6 % of all invocations
# (figure 5b) and that rates differ by 8 orders of magnitude then follows.
HOURLY_SHARE, MINUTELY_SHARE = 0.45, 0.814
MINUTELY_APPS_INVOCATIONS = 0.996
MOST_PER_DAY = 1e8

# Average execution times of functions in seconds (figure 7): a log-normal fit, mean and deviation of the logarithm.
DURATION_MU, DURATION_SIGMA = -0.38, 2.36
# Of one function, the logarithm's deviation: chosen so that half of the maxima are below 3 s and 90 % below 60 s.
DURATION_WITHIN_SIGMA = 0.5
_EXTREME = 0.9987  # which quantiles least and most are; three deviations: chosen

# Average memory of apps in MB (figure 8): a fit by Burr's distribution (type XII).
MEMORY_C, MEMORY_K, MEMORY_LAMBDA = 11.652, 0.221, 107.083
_MEMORY_FACTORS = (0.9, 0.92, 0.96, 1.0, 1.03, 1.12, 1.18, 1.22)  # of the average, by MEMORY_PERCENTS: chosen

BASELINE = 0.5  # of the peak that every hour has (figure 4)
_PEAK_MINUTE = 15 * 60  # chosen
_SPARSE = MINUTES / 4  # invocations a day below which the minute of each is drawn
_NORMAL = NormalDist()


class App(NamedTuple):
    """An app."""

    owner: str
    app: str
    per_day: float
    memory: Memory


class Function(NamedTuple):
    """A function of an app."""

    of: App
    id: FunctionId
    trigger: str
    per_day: float
    median_ms: float

    @property
    def durations(self) -> Durations:
        """How long it takes."""
        shares = [min(max(percent / 100, 1 - _EXTREME), _EXTREME) for percent in DURATION_PERCENTS]
        percentiles_ms = tuple(self.median_ms * math.exp(DURATION_WITHIN_SIGMA * _NORMAL.inv_cdf(at)) for at in shares)
        return Durations(self.median_ms * math.exp(DURATION_WITHIN_SIGMA**2 / 2), percentiles_ms)


@dataclass(frozen=True)
class Population:
    """Functions, by app."""

    functions: tuple[Function, ...]

    @property
    def apps(self) -> tuple[App, ...]:
        """Their apps."""
        return tuple({function.of.app: function.of for function in self.functions}.values())


def population(apps: int, rng: Random, most_per_day: float = MOST_PER_DAY) -> Population:
    """Draw so many apps with their functions; no app has more than `most_per_day` invocations."""
    found: list[Function] = []
    for _ in range(apps):
        per_day = app_rate(rng, most_per_day)
        app = App(_hash(rng), _hash(rng), per_day, _memory(rng))
        shares = [rng.expovariate(1) for _ in range(functions_of_app(rng))]  # how an app's rate is shared out: chosen
        found.extend(_function(app, per_day * share / sum(shares), rng) for share in shares)
    return Population(tuple(found))


def functions_of_app(rng: Random) -> int:
    """Draw how many functions an app has."""
    least, most, _ = rng.choices(FUNCTIONS_PER_APP, [share for _, _, share in FUNCTIONS_PER_APP])[0]
    return min(most, int(least * ((most + 1) / least) ** rng.random()))


def app_rate(rng: Random, most_per_day: float = MOST_PER_DAY) -> float:
    """Draw how often an app is invoked per day: from the published distribution below `most_per_day`."""
    mu, sigma = _rate_parameters()
    highest = _NORMAL.cdf((math.log(most_per_day) - mu) / sigma)
    return math.exp(mu + sigma * _quantile(highest * rng.random()))


def day_of(function: Function, rng: Random) -> DayOfFunction:
    """Draw how often a function is invoked in each minute of a day."""
    counts = array("Q", bytes(8 * MINUTES))
    if function.trigger == "timer":
        for minute, count in _timer(function.per_day, rng):
            counts[minute] += count
    elif function.per_day < _SPARSE:
        for _ in range(poisson(function.per_day, rng)):
            counts[_minute(rng)] += 1
    else:
        for minute in range(MINUTES):
            counts[minute] = poisson(function.per_day / MINUTES * intensity(minute), rng)
    return DayOfFunction(function.id, function.trigger, counts)


def intensity(minute: int) -> float:
    """Return how much more often than on average functions are invoked at a minute of the day."""
    change = (1 - BASELINE) / (1 + BASELINE)
    return 1 + change * math.cos(2 * math.pi * (minute - _PEAK_MINUTE) / MINUTES)


def duration_s(function: Function, rng: Random) -> float:
    """Draw how long one invocation takes."""
    return function.median_ms / 1000 * math.exp(rng.gauss(0, DURATION_WITHIN_SIGMA))


def poisson(mean: float, rng: Random) -> int:
    """Draw from a Poisson distribution; above 50 by its normal approximation."""
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    count, product, least = 0, rng.random(), math.exp(-mean)
    while product > least:
        count += 1
        product *= rng.random()
    return count


def burr(share: float) -> float:
    """Return the quantile of the apps' memory, in MB."""
    return float(MEMORY_LAMBDA * ((1 - share) ** (-1 / MEMORY_K) - 1) ** (1 / MEMORY_C))


def _function(app: App, per_day: float, rng: Random) -> Function:
    trigger = rng.choices(list(TRIGGERS), list(TRIGGERS.values()))[0]
    average_ms = 1000 * math.exp(rng.gauss(DURATION_MU, DURATION_SIGMA))
    median_ms = average_ms / math.exp(DURATION_WITHIN_SIGMA**2 / 2)
    return Function(app, FunctionId(app.app, _hash(rng)), trigger, per_day, median_ms)


def _memory(rng: Random) -> Memory:
    average_mb = burr(rng.random())
    assert len(_MEMORY_FACTORS) == len(MEMORY_PERCENTS)
    return Memory(average_mb, tuple(average_mb * factor for factor in _MEMORY_FACTORS))


def _rate_parameters() -> tuple[float, float]:
    """Return mean and deviation of the logarithm of an app's invocations per day."""
    hourly, minutely = math.log(24), math.log(MINUTES)
    low, high = _NORMAL.inv_cdf(HOURLY_SHARE), _NORMAL.inv_cdf(MINUTELY_SHARE)
    sigma = (minutely - hourly) / (high - low)
    return hourly - sigma * low, sigma


def _timer(per_day: float, rng: Random) -> Iterator[tuple[int, int]]:
    """Yield the minutes at which a timer fires, and how often: at equal gaps from a random minute on."""
    gap = max(1, round(MINUTES / per_day)) if per_day > 0 else math.inf
    times = max(1, round(per_day / MINUTES))
    minute = int(rng.random() * gap) if gap < math.inf else MINUTES
    while minute < MINUTES:
        yield minute, times
        minute += int(gap)


def _minute(rng: Random) -> int:
    while True:
        minute = rng.randrange(MINUTES)
        if rng.random() * 2 < intensity(minute):
            return minute


def _quantile(share: float) -> float:
    return _NORMAL.inv_cdf(min(max(share, 1e-12), 1 - 1e-12))


def _hash(rng: Random) -> str:
    return f"{rng.getrandbits(256):064x}"
