"""A cluster client at a time that the test sets, whose clusters and ALTO client are played by the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

from testbed.faas.cluster_client.actions import Action, AskClusters, Deliver, Redirect, Refuse, Remove
from testbed.faas.cluster_client.client import ClusterClient
from testbed.faas.cluster_client.settings import ClientSettings
from testbed.faas.placement.function import Function
from testbed.faas.placement.views import ClusterView
from tests.placement_samples import DETECT, policy

Kind = TypeVar("Kind", AskClusters, Deliver, Remove, Redirect, Refuse)
THUMBNAIL = Function("thumbnail", "python:3", 128, {"pillow": 5_000_000}, start_ms=80.0, init_ms=60.0, run_ms=20.0)


class PlayedClient:
    """A cluster client; its actions are kept until they are taken."""

    def __init__(
        self,
        views: Sequence[ClusterView] = (),
        policy_name: str = "alto",
        functions: Sequence[Function] = (DETECT, THUMBNAIL),
        held: Mapping[str, Sequence[str]] = {},
        announced_after_s: Mapping[str, float] = {},
        **settings: Any,
    ) -> None:
        self.now_s = 100.0
        self.views = list(views)
        self.core = ClusterClient(
            functions, policy(policy_name), Random(7), ClientSettings(**settings), held, self.now_s, announced_after_s
        )
        self.actions: list[Action] = []
        self.held = {(function, cluster) for function, clusters in held.items() for cluster in clusters}
        self.ordered_s: dict[int, float] = {}
        self._orders: dict[int, tuple[str, str]] = {}
        self._number = 0

    def ask(self, function: str = "detect", site: str = "east") -> int:
        """Have a user ask; return the number of its request."""
        self._number += 1
        self.core.on_request(self._number, function, site, self.now_s)
        self.collect()
        return self._number

    def listed(self, site: str = "east", *views: ClusterView) -> None:
        """Have the ALTO client return a list, by default of the clusters as they are, measured now."""
        shown = [
            replace(view, known_s=self.now_s, functions=self.functions_at(view.name)) for view in views or self.views
        ]
        self.core.on_clusters(site, shown, self.now_s)
        self.collect()

    def functions_at(self, cluster: str) -> frozenset[str]:
        """What a cluster holds, and reports."""
        return frozenset(function for function, holder in self.held if holder == cluster)

    def asked(self, function: str = "detect", site: str = "east") -> int:
        """Have a user ask, and the list come."""
        number = self.ask(function, site)
        if self.take(AskClusters):
            self.listed(site)
        return number

    def delivered(self, order: int) -> None:
        """Have a delivery end well."""
        self.held.add(self._orders[order])
        self.core.on_delivered(order, self.now_s)
        self.collect()

    def removed(self, order: int) -> None:
        """Have a removal end well."""
        self.held.discard(self._orders[order])
        self.core.on_removed(order, self.now_s)
        self.collect()

    def not_delivered(self, order: int, failure: str = "connection refused") -> None:
        """Have a delivery fail."""
        self.core.on_not_delivered(order, failure, self.now_s)
        self.collect()

    def pass_s(self, seconds: float) -> None:
        """Let time pass; what is due on the way is done when it is due."""
        end_s = self.now_s + seconds
        while (due_s := self.core.next_timer_s()) is not None and due_s <= end_s:
            assert due_s > self.now_s or self._is_new(due_s), "a timer that is due again and again"
            self.now_s = max(self.now_s, due_s)
            self._last_due_s = due_s
            self.core.on_timer(self.now_s)
            self.collect()
        self.now_s = end_s

    def _is_new(self, due_s: float) -> bool:
        return due_s != getattr(self, "_last_due_s", None)

    def collect(self) -> None:
        """Take over what the client asks for."""
        for action in self.core.take_actions():
            self.actions.append(action)
            if isinstance(action, Deliver | Remove):
                self._orders[action.order] = action.function, action.cluster
                self.ordered_s[action.order] = self.now_s

    def take(self, kind: type[Kind]) -> list[Kind]:
        """Take the actions of a kind, in their order."""
        taken = [action for action in self.actions if isinstance(action, kind)]
        self.actions = [action for action in self.actions if not isinstance(action, kind)]
        return taken

    def redirected(self) -> dict[int, str]:
        """Take the redirects: the cluster by request."""
        return {action.request: action.chosen.cluster for action in self.take(Redirect)}

    def orders(self) -> list[tuple[str, str]]:
        """Take the deliveries that are ordered, and have them end well: function and cluster of each."""
        orders = self.take(Deliver)
        for order in orders:
            self.delivered(order.order)
        return [(order.function, order.cluster) for order in orders]

    def copies(self) -> dict[tuple[str, str], str]:
        """The state of each copy that is not absent."""
        return {(copy["function"], copy["cluster"]): copy["state"] for copy in self.core.state()["copies"]}

    def clusters(self, function: str = "detect", site: str = "east") -> list[str]:
        """Where a function is placed for a site."""
        found = [
            item for item in self.core.state()["placements"] if (item["function"], item["site"]) == (function, site)
        ]
        return found[0]["clusters"] if found else []
