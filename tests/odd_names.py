"""Names of nodes that mean something elsewhere: to a path, a shell, a markup, a message, a table."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.dyncast.roles import D_ROUTER
from topologies.roles import CLIENT
from topologies.spec import Link, LinkSpec, Node, Topology

ODD = (
    "Minneapolis/St Paul", ".hidden", "../../x", "-rf", "_under", "Köln [draft]", "[/old]", "it's \"quoted\"",
    "a, b = c", "control@x", "x@y", "a - b", "{port}", "$HOME `id`", "<b>&amp;", "%2F", "100%", "東京", "~", "*",
    "C:\\x", "# no", "NO", "12:30", "1e-1", "null", "0",
)  # fmt: skip


def odd_topology(names: Sequence[str] = ODD) -> Topology:
    """Return a star of D-Routers with odd names, each with a client."""
    sites = [Node(name, D_ROUTER) for name in names]
    clients = [Node(f"client of {name}", CLIENT) for name in names]
    links = [Link("core", site.name, LinkSpec(delay_ms=1.0)) for site in sites]
    links += [Link(client.name, site.name) for client, site in zip(clients, sites, strict=True)]
    return Topology("odd", (Node("core"), *sites, *clients), tuple(links))
