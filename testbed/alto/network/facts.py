"""What an operator knows of a network: its routers and sites, its links, and which way packets go.

Owns paths, which follow from next hops. Whoever has a topology writes these down; a server reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from testbed.alto.errors import AltoDataError
from testbed.net.addresses import Network

Link = tuple[str, str]  # from a node to a node


@dataclass(frozen=True)
class KnownNode:
    """A router or a site."""

    name: str
    """Its name in the network."""
    pid: str
    """The PID that it is to clients."""
    prefixes: tuple[Network, ...]
    """The addresses that are in its PID."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """What is said of its PID, by property."""


@dataclass(frozen=True)
class KnownLink:
    """A link, the same in both directions."""

    a: str
    """One end."""
    b: str
    """The other."""
    delay_ms: float = 0.0
    """One way."""
    rate_mbps: float | None = None
    """Its capacity; null: no limit."""


@dataclass(frozen=True)
class NetworkFacts:
    """A network."""

    nodes: tuple[KnownNode, ...]
    """Its routers and sites."""
    links: tuple[KnownLink, ...]
    """Its links between them."""
    next_hops: Mapping[str, Mapping[str, str]]
    """By which neighbour packets go, from each node to each other one."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """The node of an endpoint, by its typed address or prefix."""

    def __post_init__(self) -> None:
        for source, hops in self.next_hops.items():
            if source not in self.pids:
                raise AltoDataError(f"next_hops: {source!r} is none of the nodes")
            for destination in hops:
                self.path(source, destination)

    @cached_property
    def pids(self) -> Mapping[str, str]:
        """The PID of each node."""
        return {node.name: node.pid for node in self.nodes}

    @cached_property
    def by_link(self) -> Mapping[Link, KnownLink]:
        """The links by their ends, in both directions."""
        there = {(link.a, link.b): link for link in self.links}
        return there | {(link.b, link.a): link for link in self.links}

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield each node and destination that there is a path between; one to itself has no links."""
        for node in self.nodes:
            yield node.name, node.name
            yield from ((node.name, destination) for destination in self.next_hops.get(node.name, ()))

    def path(self, source: str, destination: str) -> tuple[Link, ...]:
        """Return the links that packets take from node to node. Raises AltoDataError where they never arrive."""
        nodes = [source]
        while nodes[-1] != destination:
            following = self.next_hops.get(nodes[-1], {}).get(destination)
            if following is None or (nodes[-1], following) not in self.by_link or len(nodes) > len(self.nodes):
                raise AltoDataError(f"next_hops: from {source!r}, packets to {destination!r} do not get there")
            nodes.append(following)
        return tuple(pairwise(nodes))
