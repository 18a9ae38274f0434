"""How much work a job is: the distributions an instance draws service times from.

Each one has the mean it is asked for. Pure: the random generator comes in with every draw.
"""

from __future__ import annotations

import math
from random import Random
from typing import Protocol

from testbed.errors import InputError


class ServiceTimeError(InputError):
    """A distribution that there is none of."""


class ServiceTime(Protocol):
    """A distribution of service times."""

    @property
    def mean_s(self) -> float:
        """The mean, in seconds."""

    def draw_s(self, rng: Random) -> float:
        """Draw one service time, in seconds."""


class Constant:
    """Always the same."""

    def __init__(self, mean_s: float) -> None:
        self.mean_s = mean_s

    def draw_s(self, rng: Random) -> float:
        """Return the mean; `rng` is left alone."""
        del rng
        return self.mean_s


class Exponential:
    """Memoryless: the M in M/M/c."""

    def __init__(self, mean_s: float) -> None:
        self.mean_s = mean_s

    def draw_s(self, rng: Random) -> float:
        """Draw one service time, in seconds."""
        return rng.expovariate(1.0) * self.mean_s


class Lognormal:
    """Of mean `mean_s`; `sigma` is the standard deviation of the logarithm."""

    def __init__(self, mean_s: float, sigma: float) -> None:
        self.mean_s = mean_s
        self._mu = math.log(mean_s) - sigma * sigma / 2
        self._sigma = sigma

    def draw_s(self, rng: Random) -> float:
        """Draw one service time, in seconds."""
        return rng.lognormvariate(self._mu, self._sigma)


class BoundedPareto:
    """Heavy-tailed with exponent `alpha`, never above `max_s`; the lower bound follows from the mean.

    Raises ServiceTimeError when no lower bound gives that mean.
    """

    _LEAST_LOG_RATIO = -700.0  # exp() of it is still a normal number

    def __init__(self, mean_s: float, alpha: float, max_s: float) -> None:
        self.mean_s = mean_s
        self._alpha = alpha
        self._max_s = max_s
        target = mean_s / max_s
        low, high = self._LEAST_LOG_RATIO, 0.0
        if not self._mean_of_ratio(low) < target < 1:
            raise ServiceTimeError(
                f"no bounded Pareto distribution with alpha {alpha:g} and max_ms {max_s * 1e3:g} "
                f"has mean_ms {mean_s * 1e3:g}"
            )
        for _ in range(100):  # the mean grows with the lower bound: bisect
            middle = (low + high) / 2
            if self._mean_of_ratio(middle) < target:
                low = middle
            else:
                high = middle
        self._log_ratio = (low + high) / 2
        self.min_s = max_s * math.exp(self._log_ratio)

    def draw_s(self, rng: Random) -> float:
        """Draw one service time, in seconds."""
        tail = 1 + rng.random() * math.expm1(self._alpha * self._log_ratio)
        return min(self._max_s, self.min_s * math.exp(-math.log(tail) / self._alpha))

    def _mean_of_ratio(self, log_ratio: float) -> float:
        """Return mean/max for a lower bound of exp(log_ratio) x max."""
        if log_ratio == 0:
            return 1.0
        alpha = self._alpha
        gap = alpha - 1
        growth = -log_ratio if abs(gap) < 1e-9 else -math.expm1(gap * log_ratio) / gap
        return alpha * math.exp(log_ratio) * growth / -math.expm1(alpha * log_ratio)
