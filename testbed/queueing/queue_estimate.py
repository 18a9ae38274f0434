"""How many sessions an instance should have by now: what a report said, going over into the long run with age.

Pure. The number N is taken as normal with mean m and variance v (a Gaussian closure of the M(t)/M/c queue):

    dm/dt = λ - μ              μ = u E[min(N, c)] / s  +  (1 - u) m / H
    dv/dt = λ + μ - 2 θ v      θ = u P(N < c) / s      +  (1 - u) / H

λ arrivals per second, c workers, s service time. `u`, the workers that one session keeps busy, distinguishes requests
(1: they end when a worker has served them, so at most c/s of them a second) from media streams (little: they end by
themselves, after H). A report makes v zero; what this ingress sends adds to m alone, since it is known. With age both
go to what the queue would have in the long run, however it was found: that is how trust in an old report fades.

Knows nothing of reports, services and ingresses.
"""

from __future__ import annotations

import math

_SHORTEST_S = 1e-9  # of service: shorter is as good as that, and rates stay finite
_FIRST_STEP = 1.0  # in relaxation times; rates are held for so long
_STEP_GROWTH = 1.5  # they change less and less
_MOST_STEPS = 16  # the last one takes all the time that is left
_SQRT_2 = math.sqrt(2)
_SQRT_2_PI = math.sqrt(2 * math.pi)


class Queue:
    """What holds sessions, and how many come. A `service_s` of 0 and an infinite `holding_s` are unknown."""

    __slots__ = ("arrivals_per_s", "first_step_s", "leaving_per_s", "served_per_s", "workers")

    def __init__(
        self, workers: int, service_s: float, holding_s: float, load_per_session: float, arrivals_per_s: float = 0.0
    ) -> None:
        share = load_per_session if service_s > 0 else 0.0
        self.workers = workers
        self.arrivals_per_s = arrivals_per_s
        self.served_per_s = share / max(service_s, _SHORTEST_S) if share else 0.0
        self.leaving_per_s = (1 - share) / max(holding_s, _SHORTEST_S)
        fastest_per_s = self.served_per_s + self.leaving_per_s
        self.first_step_s = _FIRST_STEP / fastest_per_s if fastest_per_s > 0 else math.inf

    def ends_per_s(self, sessions: float) -> float:
        """Return how many of so many sessions end per second."""
        return self.served_per_s * min(sessions, self.workers) + self.leaving_per_s * sessions


def beyond(mean: float, variance: float, limit: float) -> tuple[float, float]:
    """Return E[max(0, N - limit)] and P(N > limit) of a normal N."""
    over = mean - limit
    if variance <= 0:
        return max(0.0, over), float(over > 0)
    deviation = math.sqrt(variance)
    z = over / deviation
    probability = 0.5 * math.erfc(-z / _SQRT_2)
    return max(0.0, over * probability + deviation * math.exp(-0.5 * z * z) / _SQRT_2_PI), probability


class QueueEstimate:
    """Mean and variance of an instance's sessions as of a moment; exact when made."""

    __slots__ = ("as_of_s", "mean", "variance")

    def __init__(self, sessions: float, as_of_s: float) -> None:
        self.mean = sessions
        self.variance = 0.0
        self.as_of_s = as_of_s

    def advance(self, queue: Queue, now_s: float) -> None:
        """Go on to a later moment."""
        left_s = now_s - self.as_of_s
        if left_s <= 0:
            return
        self.as_of_s = now_s
        step_s = queue.first_step_s
        for _ in range(_MOST_STEPS - 1):
            if left_s <= step_s:
                break
            self._step(queue, step_s)
            left_s -= step_s
            step_s *= _STEP_GROWTH
        self._step(queue, left_s)

    def _step(self, queue: Queue, passed_s: float) -> None:
        # Exponential Euler: exact while rates hold, and stable however long that is.
        arrivals_per_s = queue.arrivals_per_s
        waiting, all_busy = beyond(self.mean, self.variance, queue.workers)
        ends_per_s = queue.served_per_s * max(0.0, self.mean - waiting) + queue.leaving_per_s * self.mean
        easing_per_s = queue.served_per_s * (1 - all_busy) + queue.leaving_per_s
        eased = easing_per_s * passed_s
        if eased > 1e-9:
            settled = (arrivals_per_s + ends_per_s) / (2 * easing_per_s)
            self.variance = settled + (self.variance - settled) * math.exp(-2 * eased)
            passed_s = -math.expm1(-eased) / easing_per_s
        else:
            self.variance += (arrivals_per_s + ends_per_s) * passed_s
        self.mean = max(0.0, self.mean + (arrivals_per_s - ends_per_s) * passed_s)
