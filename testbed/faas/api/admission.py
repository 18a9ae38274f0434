"""Who is admitted, and how often: the key of a cluster (Basic authentication, RFC 7617), the rate of activations."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from dataclasses import dataclass
from hmac import compare_digest

from testbed.faas.errors import ApiError
from testbed.faas.limits import ClusterLimits

_MINUTE_S = 60.0


@dataclass(frozen=True)
class Key:
    """What a client shows to be admitted: `uuid:secret`."""

    uuid: str
    secret: str

    def __str__(self) -> str:
        return f"{self.uuid}:{self.secret}"


class Admission:
    """Admits whoever has the key, as often as the limits say."""

    def __init__(self, key: Key, limits: ClusterLimits) -> None:
        self._key = str(key).encode()
        self._limits = limits
        self._admitted_s: deque[float] = deque()

    def check_key(self, authorization: str | None) -> None:
        """Raise ApiError 401 unless this is the cluster's key."""
        scheme, _, shown = (authorization or "").partition(" ")
        try:
            is_right = compare_digest(base64.b64decode(shown.strip(), validate=True), self._key)
        except (binascii.Error, ValueError):
            is_right = False
        if scheme.lower() != "basic" or not is_right:
            raise ApiError(
                401, "the key is missing or wrong: this cluster wants Basic authentication by its uuid and key"
            )

    def admit(self, in_flight: int, now_s: float) -> None:
        """Count one more activation, beside those that are in flight. Raises ApiError 429."""
        while self._admitted_s and self._admitted_s[0] <= now_s - _MINUTE_S:
            self._admitted_s.popleft()
        if len(self._admitted_s) >= self._limits.per_minute:
            raise ApiError(429, f"too many activations in the last minute: {self._limits.per_minute} are allowed")
        if in_flight >= self._limits.concurrent:
            raise ApiError(429, f"too many activations at once: {self._limits.concurrent} are allowed")
        self._admitted_s.append(now_s)
