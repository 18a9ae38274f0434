"""What a node knows when it selects: one value for all that look at instances from there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.selection.session_model import SessionModel


class PathFigures(Protocol):
    """What selection asks of a path, be it measured here or reported by another ingress."""

    @property
    def path_cost_ms(self) -> float:
        """The routing's static round-trip cost."""

    @property
    def cost_s(self) -> float:
        """The round-trip time to go by."""

    @property
    def port_cost_s(self) -> float:
        """What the first link adds to each round trip."""

    @property
    def is_reachable(self) -> bool:
        """Whether the site answers, as far as known."""


@dataclass(frozen=True)
class NodeState:
    """The bindings reported, the paths from `site` and the sessions expected; `counters` takes what is worth counting.

    The value stays as it is, what it holds goes on.
    """

    site: str
    bindings: BindingTable
    paths: Mapping[str, PathFigures]
    sessions: SessionModel = field(default_factory=SessionModel)
    counters: Counter[str] = field(default_factory=Counter)

    def travel_s(self, service: str, site: str) -> float:
        """Return how long a flow of a service takes from here to an instance at a site.

        A request follows upon a handshake, a stream begins with its first packet.
        """
        path = self.paths.get(site)
        return path.cost_s * (0.5 + self.sessions.load_per_session(service)) if path else 0.0
