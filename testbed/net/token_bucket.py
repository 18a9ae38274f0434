"""A token bucket: how often something may happen, on average and at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_ROUNDING_S = 1e-9  # so that the token is whole by then


@dataclass(frozen=True)
class Rate:
    """`per_s` on average, `burst` at once."""

    per_s: float
    """On average."""
    burst: float
    """At once."""

    def __post_init__(self) -> None:
        if not (self.per_s > 0 and self.burst >= 1):
            raise ValueError(f"a rate must be > 0 and its burst >= 1, not {self.per_s} and {self.burst}")


class TokenBucket:
    """Full at first."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._filled_s: float | None = None

    def take(self, now_s: float, tokens: int = 1) -> bool:
        """Take tokens, a whole bucket at most; return False, and take none, if there are fewer."""
        self._fill(now_s)
        taken = min(tokens, self._rate.burst)
        if self._tokens < taken:
            return False
        self._tokens -= taken
        return True

    def ready_s(self, now_s: float) -> float:
        """Return when there will be a token, to take if nobody else does."""
        self._fill(now_s)
        return now_s if self._tokens >= 1 else now_s + (1 - self._tokens) / self._rate.per_s + _ROUNDING_S

    def _fill(self, now_s: float) -> None:
        if self._filled_s is None or now_s > self._filled_s:  # a clock that stands still or goes back fills nothing
            gone_s = 0.0 if self._filled_s is None else now_s - self._filled_s
            self._tokens = min(self._rate.burst, self._tokens + gone_s * self._rate.per_s)
            self._filled_s = now_s
