"""Clusters and the paths to them, as whoever places a function knows them; `None` is what is not known.

What is not known of one cluster is taken to be as bad as the worst that is known of any of them (`completed`): no
cluster gains by silence, and what is known of none makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

Figures = TypeVar("Figures", "PathView", "ClusterView")


@dataclass(frozen=True, slots=True)
class PathView:
    """What is known of a path between two places, both ways: of two directions the worse one.

    `bandwidth_mbps`: what is left of the narrowest link; `loss_percent`: of packets one way; `hops`: links;
    `distance`: as the routing has it, in its own unit.
    """

    delay_ow_ms: float | None = None
    delay_rt_ms: float | None = None
    bandwidth_mbps: float | None = None
    loss_percent: float | None = None
    hops: int | None = None
    distance: float | None = None

    @property
    def round_trip_ms(self) -> float | None:
        """The round trip: as measured, else twice the delay of one way."""
        if self.delay_rt_ms is not None:
            return self.delay_rt_ms
        return None if self.delay_ow_ms is None else 2 * self.delay_ow_ms


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What is known of a cluster, and of the paths to it from the user's site and from the repository.

    `kinds`: its runtimes; `slots`: how many containers it may have; `queue`: how many activations may wait;
    `running`, `waiting`: activations; `free_memory_mb`: what no container that runs holds (one that is free is stopped
    when its memory is needed); `cpu_used`: 0..1 of its processors. `functions`, `blobs`: what it holds; `warm`: free
    containers by the function whose code they hold; `prewarmed`: by runtime; `run_ms`: mean time of a run by function,
    as it measured. `assigned`: requests sent there since `known_s` which are not over yet, by the caller's count.
    `known_s`: when this was measured, on the caller's clock; None: never.
    """

    name: str
    site: str = ""
    kinds: frozenset[str] | None = None
    memory_mb: int | None = None
    free_memory_mb: int | None = None
    slots: int | None = None
    queue: int | None = None
    running: int | None = None
    waiting: int | None = None
    processors: float | None = None
    cpu_used: float | None = None
    functions: frozenset[str] | None = None
    blobs: frozenset[str] = frozenset()
    warm: Mapping[str, int] = field(default_factory=dict)
    prewarmed: Mapping[str, int] = field(default_factory=dict)
    run_ms: Mapping[str, float] = field(default_factory=dict)
    from_user: PathView = PathView()
    from_repository: PathView = PathView()
    assigned: int = 0
    known_s: float | None = None

    def holds(self, function: str) -> bool:
        """Return whether it is known to hold a function."""
        return self.functions is not None and function in self.functions


Worst = Callable[[Iterable[Any]], Any]
_WORST_OF_PATH: Mapping[str, Worst] = {
    "delay_ow_ms": max,
    "delay_rt_ms": max,
    "bandwidth_mbps": min,
    "loss_percent": max,
    "hops": max,
    "distance": max,
}
_WORST_OF_CLUSTER: Mapping[str, Worst] = {
    "memory_mb": min,
    "free_memory_mb": min,
    "slots": min,
    "queue": min,
    "running": max,
    "waiting": max,
    "processors": min,
    "cpu_used": max,
}


def completed(views: Sequence[ClusterView]) -> list[ClusterView]:
    """Return the views, in their order, with the worst figure known of any in place of each that is not known."""
    from_user = _completed([_with_round_trip(view.from_user) for view in views], _WORST_OF_PATH)
    from_repository = _completed([_with_round_trip(view.from_repository) for view in views], _WORST_OF_PATH)
    paths = zip(views, from_user, from_repository, strict=True)
    with_paths = [replace(view, from_user=user, from_repository=repository) for view, user, repository in paths]
    return _completed(with_paths, _WORST_OF_CLUSTER)


def _with_round_trip(path: PathView) -> PathView:
    return path if path.delay_rt_ms is not None else replace(path, delay_rt_ms=path.round_trip_ms)


def _completed(figures: Sequence[Figures], worst_of: Mapping[str, Worst]) -> list[Figures]:
    worst = {}
    for name, pick in worst_of.items():
        known = [value for one in figures if (value := getattr(one, name)) is not None]
        if known:
            worst[name] = pick(known)
    return [
        _filled(one, {name: value for name, value in worst.items() if getattr(one, name) is None}) for one in figures
    ]


def _filled(figures: Figures, missing: Mapping[str, Any]) -> Figures:
    return replace(figures, **missing) if missing else figures
