"""A fault whose names exist: what is planned, performed and drawn. Knows no kind."""

from __future__ import annotations

from dataclasses import dataclass

from topologies.spec import LinkSpec


@dataclass(frozen=True)
class PlannedFault:
    """A fault whose names exist. `links` are those that it cuts, or, where `degraded` says how they are then, degrades.

    `reach` is (ingress site, instance) each.
    """

    number: int
    kind: str
    target: str
    at_s: float
    until_s: float | None = None
    instance: str = ""
    to: str = ""
    site: str = ""
    quiet_s: float = 0.0
    links: tuple[tuple[str, str], ...] = ()
    degraded: LinkSpec | None = None
    reach: tuple[tuple[str, str], ...] = ()
