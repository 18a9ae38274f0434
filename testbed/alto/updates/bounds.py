"""How much a client may have a server hold for it, and how long; docs/alto/updates.md says what follows from each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """Bounds of all update streams of a server."""

    streams: int = 1000
    """Streams at once; one more is refused with 503."""
    substreams: int = 64
    """Substreams of one stream; one more is refused with 503."""
    patch_share: float = 0.5
    """Patches that wait for a client become a full replacement once they are as long as this share of it."""
    rounds_behind: int = 3
    """So often may patches become a full replacement before a client has read all there is; then its stream ends."""
    control_updates: int = 64
    """Control updates that may wait for a client; with one more its stream ends."""
    stalled_s: float = 30.0
    """A client that takes no octet for so long while there are some is stalled: its stream ends."""
    grace_s: float = 5.0
    """So long may a stream that ends take to say so; then its connection is cut."""
    keep_alive_s: float = 15.0
    """After so much silence a comment is sent (RFC 8895, section 6.8)."""
