"""Reports as data: what a D-Router measured of the network, and what a cluster has; `codec` has their octets.

Every report says who sent it, in which of its lives (`epoch` grows with each start), as which of its reports, and when,
on the sender's clock. What contradicts itself cannot be made: a ValueError says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DIGEST_OCTETS = 32  # of SHA-256
MOST_PARTS = 256  # of a cluster's report: some 7,000 functions


@dataclass(frozen=True)
class Origin:
    """Where a report comes from: which report of which life of whom, sent when."""

    reporter: str
    epoch: int
    sequence: int
    sent_s: float


@dataclass(frozen=True)
class DelayStatistics:
    """Statistics of at least one delay that was measured."""

    samples: int
    least_s: float
    median_s: float
    mean_s: float
    most_s: float

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError("statistics of no samples")
        if not 0 <= self.least_s <= min(self.median_s, self.mean_s) <= max(self.median_s, self.mean_s) <= self.most_s:
            raise ValueError("a median and a mean are between the least and the most")


@dataclass(frozen=True)
class PathReport:
    """What a reporter measured of the paths between it and a peer.

    `probes`: how many it sent whose answer is there or overdue, `answered` of them were answered. `one_way` is of the
    way from the peer to the reporter, where their clocks agree.
    """

    peer: str
    probes: int
    answered: int
    round_trip: DelayStatistics | None = None
    one_way: DelayStatistics | None = None

    def __post_init__(self) -> None:
        if self.answered > self.probes:
            raise ValueError(f"{self.answered} of {self.probes} probes were answered")


@dataclass(frozen=True)
class LinkReport:
    """What a reporter sent over a link to a neighbour in `over_s`; `rate_bps`: what the link could carry, if known."""

    neighbour: str
    octets: int
    over_s: float
    rate_bps: float | None = None

    def __post_init__(self) -> None:
        if self.over_s <= 0:
            raise ValueError("octets of no time")


@dataclass(frozen=True)
class NetworkReport:
    """What a D-Router measured of its paths, over the last `paths_over_s`, and of its links."""

    origin: Origin
    paths_over_s: float
    paths: tuple[PathReport, ...] = ()
    links: tuple[LinkReport, ...] = ()

    def __post_init__(self) -> None:
        _check_once("path", (path.peer for path in self.paths))
        _check_once("link", (link.neighbour for link in self.links))


@dataclass(frozen=True)
class Resources:
    """What a cluster has, and what of it is in use; `cpus_used` is the mean over the last `over_s`.

    In use are containers that work: one that is free makes room when its memory or slot is needed.
    """

    cpus: float
    cpus_used: float
    over_s: float
    memory_mb: int
    memory_used_mb: int
    slots: int
    slots_used: int
    waiting: int
    queue: int


@dataclass(frozen=True)
class Runtime:
    """A runtime that a cluster has; `prewarmed`: containers of it that wait for code."""

    kind: str
    prewarmed: int = 0


@dataclass(frozen=True)
class HeldFunction:
    """A function that a cluster holds, by its digest; `warm`: containers with its code that wait for a run.

    `run_s`: how long a run takes there on average, if there was one.
    """

    digest: bytes
    warm: int = 0
    run_s: float | None = None

    def __post_init__(self) -> None:
        _check_digest(self.digest)


@dataclass(frozen=True)
class HeldBlob:
    """A part of functions that a cluster holds, such as a layer, by its digest."""

    digest: bytes

    def __post_init__(self) -> None:
        _check_digest(self.digest)


Held = Runtime | HeldFunction | HeldBlob


@dataclass(frozen=True)
class ClusterReport:
    """What a cluster has, with a part of what it holds; parts are numbered from 0, in sequence."""

    origin: Origin
    resources: Resources
    held: tuple[Held, ...] = ()
    part: int = 0
    parts: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.part < self.parts <= MOST_PARTS:
            raise ValueError(f"part {self.part} of {self.parts}; at most {MOST_PARTS}")
        _check_once("runtime", (held.kind for held in self.held if isinstance(held, Runtime)))
        for kind in (HeldFunction, HeldBlob):
            _check_once("digest", (held.digest for held in self.held if isinstance(held, kind)))


Report = NetworkReport | ClusterReport


def _check_digest(digest: bytes) -> None:
    if len(digest) != DIGEST_OCTETS:
        raise ValueError(f"a digest has {DIGEST_OCTETS} octets, not {len(digest)}")


def _check_once(what: str, names: Iterable[str | bytes]) -> None:
    seen: set[str | bytes] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"the {what} {name!r} twice")
        seen.add(name)
