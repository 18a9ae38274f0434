"""How much a client may have a server hold for it, and how long; what goes beyond is refused or cut off."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.agents.http.connections import ConnectionLimits


@dataclass(frozen=True)
class Limits(ConnectionLimits):
    """Limits of one server."""

    body_octets: int = 1 << 20
    """Longest body of a request, as it is after decompression; 413 beyond."""
    body_within_s: float = 10.0
    """So long may a body take to arrive; 408 beyond."""
    waiting: int = 64
    """Requests that wait for their answer at once; 503 beyond."""
    retry_after_s: int = 1
    """After so long a client that was refused for overload may ask again."""
    handshake_s: float = 10.0
    """So long may the TLS handshake take."""
