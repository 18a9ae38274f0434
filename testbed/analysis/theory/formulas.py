"""What queueing theory and RFC 3550 expect, and intervals for means of what depends on its past.

Owns formulas. Pure: knows no runs and no files. Rates are per second, times in seconds, offered load in erlangs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import integrate

from testbed.analysis.theory.confidence import half_width

_BATCHES = 10  # few enough that a batch outlasts the bursts of a queue, enough for a t quantile that is not huge
_LEAST_BATCHES = 5
_JITTER_GAIN = 1 / 16  # RFC 3550 section 6.4.1


def erlang_c(workers: int, offered_erlangs: float) -> float:
    """Return the share of arrivals that wait in M/M/c. Raises ValueError unless 0 <= offered_erlangs < workers."""
    _check_stable(workers, offered_erlangs)
    blocked = 1.0  # Erlang B by its recursion, which neither overflows nor cancels
    for number in range(1, workers + 1):
        blocked = offered_erlangs * blocked / (number + offered_erlangs * blocked)
    return workers * blocked / (workers - offered_erlangs * (1 - blocked))


def mean_wait_s(arrivals_per_s: float, service_s: float, workers: int = 1) -> float:
    """Return the mean time from arrival to begin of service in M/M/c; `service_s` is the mean. Raises ValueError."""
    offered = arrivals_per_s * service_s
    return erlang_c(workers, offered) * service_s / (workers - offered)


def mean_sojourn_s(arrivals_per_s: float, service_s: float, workers: int = 1) -> float:
    """Return the mean time from arrival to departure in M/M/c; `service_s` is the mean. Raises ValueError."""
    return mean_wait_s(arrivals_per_s, service_s, workers) + service_s


def mean_number(arrivals_per_s: float, sojourn_s: float) -> float:
    """Return the mean number in a system by Little's law, L = lambda W."""
    return arrivals_per_s * sojourn_s


def _check_stable(workers: int, offered_erlangs: float) -> None:
    if workers < 1:
        raise ValueError(f"workers must be >= 1, not {workers}")
    if not 0 <= offered_erlangs < workers:
        raise ValueError(f"{workers} workers at {offered_erlangs:g} erlangs have no steady state; offer less")


def rtp_jitter_s(half_widths_s: Sequence[float], packets: int | None = None) -> float:
    """Return the expectation of RFC 3550's jitter behind links whose delays are uniform, +- half a width each.

    Holds where delays are independent from packet to packet: none is cut off at zero, and packets are further apart
    than the widths, so that none has to wait for the one before. `packets`: of a stream that ended after so many;
    None: in the long run.

    The estimate follows |D|, D being the difference of two transit times; so its expectation is E|D|, approached from
    0 as 1 - (15/16)^(packets - 1). For one link D is triangular and E|D| two thirds of the half width. For several,
    E|D| = 2/pi integral (1 - phi(t)) / t^2 dt, phi(t) = product of (sin(w t) / (w t))^2 being D's characteristic
    function.
    """
    widths = [width for width in half_widths_s if width > 0]
    if not widths:
        return 0.0
    scale = max(widths)  # unit of the integral, so that it converges alike for any links
    ratios = np.array(widths) / scale

    def deficit(t: float) -> float:
        return float(1 - np.prod(np.sinc(ratios * t / math.pi) ** 2)) / t**2 if t > 0 else float((ratios**2).sum()) / 3

    if len(widths) == 1:
        expected = 2 * scale / 3
    else:
        cut = 200.0  # beyond, phi is below 1e-4: what is left is the integral of 1 / t^2, to a millionth
        body, _ = integrate.quad(deficit, 0, cut, limit=2000)
        expected = 2 / math.pi * (body + 1 / cut) * scale
    settled = 1.0 if packets is None else 1 - (1 - _JITTER_GAIN) ** max(0, packets - 1)
    return expected * settled


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; without bounds (infinite) where there are too few values."""

    mean: float
    low: float
    high: float

    def widened(self, below: float = 0.0, above: float = 0.0) -> Interval:
        """Return it with a tolerance on either side."""
        return Interval(self.mean, self.low - below, self.high + above)

    def plus(self, value: float) -> Interval:
        """Return that of a sum with something that is known exactly."""
        return Interval(self.mean + value, self.low + value, self.high + value)

    def times(self, factor: float) -> Interval:
        """Return it in another unit; `factor` > 0."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor)

    def holds(self, expected: float) -> bool:
        """Return whether a value is within."""
        return self.low <= expected <= self.high


def batch_means(
    values: np.ndarray, confidence: float, of: Callable[[np.ndarray], float | np.floating] = np.mean
) -> Interval:
    """Return the mean of a stationary series in order of time, whose neighbours may depend on each other.

    Means of consecutive batches much longer than the dependence are nearly independent, so Student's t holds for
    them. `of`: what to take of each batch in place of its mean.
    """
    batches = min(_BATCHES, len(values))
    if batches < _LEAST_BATCHES:
        mean = float(values.mean()) if len(values) else math.nan
        return Interval(mean, -math.inf, math.inf)
    return mean_interval(np.array([float(of(part)) for part in np.array_split(values, batches)]), confidence)


def mean_interval(values: np.ndarray, confidence: float) -> Interval:
    """Return the mean of independent values with Student's interval."""
    mean = float(values.mean()) if len(values) else math.nan
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf)
    half = half_width(values.tolist(), confidence)
    return Interval(mean, mean - half, mean + half)
