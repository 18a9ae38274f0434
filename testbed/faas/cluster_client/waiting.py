"""Requests that wait for a list of clusters or for a delivery: in their order, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """A request that waits. `until_s`: then it is answered that it cannot be."""

    request: int
    function: str
    site: str
    since_s: float
    until_s: float


class WaitingRequests:
    """All requests that wait."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Let a request wait."""
        self._waiting[waiting.request] = waiting

    def drop(self, request: int) -> None:
        """Forget a request, if it waits."""
        self._waiting.pop(request, None)

    def of(self, function: str, site: str) -> list[Waiting]:
        """Return what waits for a function at a site, the longest first."""
        return [item for item in self._waiting.values() if (item.function, item.site) == (function, site)]

    def sites(self) -> set[str]:
        """Return the sites of which a request waits."""
        return {item.site for item in self._waiting.values()}

    def functions(self, site: str) -> list[str]:
        """Return the functions that requests of a site wait for."""
        return list(dict.fromkeys(item.function for item in self._waiting.values() if item.site == site))

    def overdue(self, now_s: float) -> list[Waiting]:
        """Return the requests that have waited for too long."""
        return [item for item in self._waiting.values() if item.until_s <= now_s]

    def next_deadline_s(self) -> float | None:
        """Return when the next request has waited for too long: the first, for all wait equally long."""
        return next((item.until_s for item in self._waiting.values()), None)

    def all(self) -> Iterator[Waiting]:
        """Yield all."""
        yield from self._waiting.values()
