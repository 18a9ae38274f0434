"""Lists of clusters as the ALTO client returned them, by site, and when one is to be asked for.

The last list counts until there is a newer one, however old it is: its clusters say how old what is known of them is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.faas.cluster_client.settings import ClientSettings
from testbed.faas.placement.views import ClusterView


@dataclass
class ClusterList:
    """The clusters as one site sees them. `views` None: none came yet; `asked_s`: since when an answer is awaited."""

    views: tuple[ClusterView, ...] | None = None
    received_s: float = -math.inf
    asked_s: float | None = None
    failures: int = 0
    failure: str = ""
    retry_s: float = -math.inf


class ClusterLists:
    """The lists of all sites."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._lists: dict[str, ClusterList] = {}

    def of(self, site: str) -> ClusterList:
        """Return the list of a site, which is used now."""
        known = self._lists.pop(site, None) or ClusterList()
        self._lists[site] = known
        return known

    def find(self, site: str) -> ClusterList | None:
        """Return the list of a site, if there was ever reason to ask for it."""
        return self._lists.get(site)

    def ask(self, site: str, now_s: float) -> bool:
        """Return whether a list is to be asked for now, and note that it is."""
        known = self.of(site)
        is_due = known.received_s + self._settings.refresh_s <= now_s and known.retry_s <= now_s
        if known.asked_s is not None or not is_due:
            return False
        known.asked_s = now_s
        return True

    def put(self, site: str, views: Sequence[ClusterView], now_s: float) -> bool:
        """Take in a list; return False for one of a site that was forgotten meanwhile."""
        known = self._lists.get(site)
        if known is None:
            return False
        known.views, known.received_s = tuple(views), now_s
        known.asked_s, known.failures, known.failure, known.retry_s = None, 0, "", -math.inf
        return True

    def fail(self, site: str, failure: str, now_s: float) -> None:
        """Note that no list came; the next is asked for after a pause."""
        known = self._lists.get(site)
        if known is None or known.asked_s is None:
            return
        known.failures += 1
        known.asked_s, known.failure = None, failure
        known.retry_s = now_s + self._settings.pause_after_s(known.failures)

    def overdue(self, now_s: float) -> list[str]:
        """Return the sites for which an answer has been awaited for too long."""
        return [site for site, due_s in self._deadlines() if due_s <= now_s]

    def next_deadline_s(self) -> float | None:
        """Return when the next answer is given up."""
        return min((due_s for _, due_s in self._deadlines()), default=None)

    def forget(self, site: str) -> None:
        """Drop what is known for a site."""
        self._lists.pop(site, None)

    def longest_unused(self) -> list[str]:
        """Return the sites, those that were used last at the end."""
        return list(self._lists)

    def _deadlines(self) -> list[tuple[str, float]]:
        within_s = self._settings.list_s
        return [(site, known.asked_s + within_s) for site, known in self._lists.items() if known.asked_s is not None]
