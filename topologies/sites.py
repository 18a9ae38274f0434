"""Attach edge sites and hosts to a topology. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from topologies.roles import ROUTER, Kind, Role, of_sites
from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError, unknown_name


@dataclass(frozen=True)
class Site:
    """An edge site: an edge router of this name, linked to the infrastructure router `at`."""

    name: str
    at: str
    link: LinkSpec = field(default_factory=LinkSpec)


@dataclass(frozen=True)
class Host:
    """A host behind the edge router `site`; a client may be `behind` an access switch of it."""

    name: str
    role: Role
    site: str
    link: LinkSpec = field(default_factory=LinkSpec)
    behind: str | None = None


def with_sites(topology: Topology, sites: Iterable[Site]) -> Topology:
    """Return the topology with these sites. Raises TopologyError naming the nearest router there is."""
    routers = {node.name: node for node in topology.with_role(ROUTER)}
    nodes, links, role = [], [], of_sites()
    for site in sites:
        if site.at not in routers:
            raise unknown_name(f"sites.{site.name}.at: {topology.name} has no router", site.at, routers)
        router = routers[site.at]
        nodes.append(Node(site.name, role, router.latitude, router.longitude))
        links.append(Link(site.name, site.at, site.link))
    return topology.extended(nodes, links)


def with_hosts(topology: Topology, hosts: Iterable[Host]) -> Topology:
    """Return the topology with these hosts. Raises TopologyError naming the nearest site there is."""
    sites = {node.name: node for node in topology.of_kind(Kind.EDGE)}
    nodes, links = [], []
    for host in hosts:
        if not host.role.is_host:
            raise TopologyError(f"{host.name!r}: a {host.role.name} is no host")
        if host.site not in sites:
            raise unknown_name(f"{host.role.name} {host.name!r}: there is no site", host.site, sites)
        site = sites[host.site]
        nodes.append(Node(host.name, host.role, site.latitude, site.longitude))
        links.append(Link(host.name, host.behind or host.site, host.link))
    return topology.extended(nodes, links)
