"""Routes and paths: by delay, then hops; through D-Routers where they lie on the way; the same there and back."""

from __future__ import annotations

import pytest

from topologies import catalogue, routing
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT
from topologies.sites import Host, Site, with_hosts, with_sites
from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError


def _routers(**delays_ms: float) -> Topology:
    """Return a network of routers of one letter: ab=3 is a link."""
    names = sorted({end for pair in delays_ms for end in pair})
    links = tuple(Link(pair[0], pair[1], LinkSpec(delay_ms=delay)) for pair, delay in delays_ms.items())
    return Topology("t", tuple(Node(name) for name in names), links)


def test_delay_decides() -> None:
    topology = _routers(ab=10, ac=4, cb=5)
    assert routing.path(topology, "a", "b") == ["a", "c", "b"]
    assert routing.path_delay_ms(topology, "a", "b") == 9
    assert routing.path(topology, "a", "a") == ["a"]
    assert routing.path_delay_ms(topology, "a", "a") == 0


def test_a_microsecond_of_delay_outweighs_any_number_of_hops() -> None:
    topology = _routers(az=1.001, ab=0.2, bc=0.2, cd=0.2, de=0.2, ez=0.2)
    assert routing.path(topology, "a", "z") == ["a", "b", "c", "d", "e", "z"]


def test_hops_decide_between_equal_delays() -> None:
    topology = _routers(ab=1, bc=1, cz=1, ad=2, dz=1)
    assert routing.path(topology, "a", "z") == ["a", "d", "z"]
    assert routing.path(_routers(ab=0, bc=0, ac=0), "a", "c") == ["a", "c"]


def test_a_tie_is_decided_alike_however_the_links_are_written() -> None:
    topology = _routers(ab=1, bz=1, ac=1, cz=1)
    turned = _routers(zc=1, ca=1, zb=1, ba=1)
    more = with_sites(topology, [Site("0", "a"), Site("1", "b")])
    assert routing.path(topology, "a", "z") == routing.path(turned, "a", "z") == routing.path(more, "a", "z")


def test_a_d_router_on_the_way_carries_transit() -> None:
    figure = catalogue.load("draft/cfn-figure-2")
    assert routing.path(figure, "CFN-node-2", "CFN-node-3") == ["CFN-node-2", "CFN-node-1", "CFN-node-3"]
    assert routing.path_delay_ms(figure, "CFN-node-2", "CFN-node-3") == 13


def test_hosts_have_no_path() -> None:
    with pytest.raises(TopologyError, match="has no router or D-Router 'client'"):
        routing.path(catalogue.load("draft/cfn-figure-2"), "CFN-node-1", "client")
    with pytest.raises(TopologyError, match="did you mean 'CFN-node-1'"):
        routing.path(catalogue.load("draft/cfn-figure-2"), "CFN-node1", "CFN-node-2")


def test_routes_lead_to_all_sites_and_router_identifiers() -> None:
    topology = with_sites(
        _routers(ab=1, bc=1), [Site("S", "a", LinkSpec(delay_ms=0.5)), Site("T", "c", LinkSpec(delay_ms=0.5))]
    )
    topology = with_hosts(topology, [Host("h", CLIENT, "S")])
    plan = AddressPlan(topology)
    routes = routing.routes(topology, plan)
    assert set(routes) == {"a", "b", "c", "S", "T"}, "hosts have their gateway only"
    of_a = {route.prefix: route for route in routes["a"]}
    assert set(of_a) == {
        *(item.network for name in "bcST" for item in plan.router_id(name)),
        *(prefix for name in "ST" for prefix in (plan.site(name).prefix4, plan.site(name).prefix6)),
    }
    assert len(routes["a"]) == len(of_a)
    to_t = of_a[plan.site("T").prefix4]
    assert (to_t.peer, to_t.next_hop) == ("b", plan.link("a", "b")["b"].ipv4.ip)
    assert of_a[plan.site("T").prefix6].next_hop == plan.link("a", "b")["b"].ipv6.ip
    assert plan.site("S").prefix4 not in {route.prefix for route in routes["S"]}, "a site is directly connected"


def test_the_largest_network_gets_its_routes() -> None:
    names = [name for source in ("topozoo", "sndlib") for name in catalogue.names()[source]]
    topology = max((catalogue.load(name) for name in names), key=lambda found: len(found.nodes))
    count = len(topology.nodes)
    routes = routing.routes(topology, AddressPlan(topology))
    assert count > 150
    assert all(len(found) == 2 * (count - 1) for found in routes.values())
