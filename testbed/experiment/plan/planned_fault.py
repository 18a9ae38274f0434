"""A fault whose names exist: what is planned, performed and drawn. Knows no kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedFault:
    """A fault whose names exist. `links` are those that it cuts; `reach` is (ingress site, instance) each."""

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
    reach: tuple[tuple[str, str], ...] = ()
