"""What a topology refuses, what it answers, and how sites and hosts join it."""

from __future__ import annotations

import math

import pytest

from testbed.dyncast.roles import D_ROUTER, INSTANCE
from topologies.roles import CLIENT, ROUTER
from topologies.sites import Host, Site, with_hosts, with_sites
from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError


def _topology(nodes: str, *links: str) -> Topology:
    """Return a network of nodes of one letter: upper case D-Routers, digits clients, the rest routers."""
    roles = {True: D_ROUTER, False: ROUTER}
    return Topology(
        "t",
        tuple(Node(name, CLIENT if name.isdigit() else roles[name.isupper()]) for name in nodes),
        tuple(Link(pair[0], pair[1]) for pair in links),
    )


@pytest.mark.parametrize(
    ("nodes", "links", "words"),
    [
        ("", [], "has no nodes"),
        ("aa", ["aa"], "two nodes are called 'a'"),
        ("ab", ["ab", "ac"], "names 'c', which is no node"),
        ("ab", ["ab", "bb"], "link from 'b' to itself"),
        ("ab", ["ab", "ba"], "two links between 'b' and 'a'"),
        ("abc", ["ab"], "is disconnected: no path from 'c' to 'a'; add a link"),
        ("aA1", ["aA", "a1"], "client '1' must have exactly one link, to a D-Router"),
        ("AB1", ["AB", "A1", "B1"], "client '1' must have exactly one link"),
    ],
)
def test_what_cannot_be_built_is_refused(nodes: str, links: list[str], words: str) -> None:
    with pytest.raises(TopologyError, match=words) as caught:
        _topology(nodes, *links)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("delay_ms", -1.0),
        ("delay_ms", math.nan),
        ("jitter_ms", math.inf),
        ("loss_percent", 100.1),
        ("loss_percent", math.nan),
        ("rate_mbps", 0.0),
        ("rate_mbps", math.inf),
        ("queue_packets", 0),
    ],
)
def test_an_impairment_that_means_nothing_is_refused(key: str, value: float) -> None:
    with pytest.raises(TopologyError, match=key):
        LinkSpec(**{key: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("latitude", "longitude"), [(91.0, 0.0), (0.0, -181.0), (math.nan, 0.0)])
def test_a_place_off_the_globe_is_refused(latitude: float, longitude: float) -> None:
    with pytest.raises(TopologyError, match=r"node 'a': (lat|long)itude"):
        Node("a", latitude=latitude, longitude=longitude)


def test_only_a_link_without_any_impairment_is_plain() -> None:
    assert LinkSpec(queue_packets=5).is_plain
    for spec in (LinkSpec(delay_ms=1), LinkSpec(jitter_ms=1), LinkSpec(loss_percent=1), LinkSpec(rate_mbps=1)):
        assert not spec.is_plain


def test_an_unknown_node_is_answered_with_the_nearest() -> None:
    topology = Topology("t", (Node("Chicago"), Node("Denver")), (Link("Chicago", "Denver"),))
    with pytest.raises(TopologyError, match="did you mean 'Chicago'"):
        topology.node("Chicgo")
    with pytest.raises(TopologyError, match="did you mean 'Denver'"):
        topology.node("DENVER")
    with pytest.raises(TopologyError, match="there are: Chicago, Denver"):
        topology.node("xyz")


def test_sites_and_hosts_join_where_they_say() -> None:
    core = Topology("t", (Node("a", latitude=1.0, longitude=2.0), Node("b")), (Link("a", "b"),), {("a", "b"): 3.0})
    uplink, access = LinkSpec(delay_ms=1), LinkSpec(loss_percent=2)
    topology = with_hosts(
        with_sites(core, [Site("edge", "a", uplink)]),
        [Host("server", INSTANCE, "edge", access), Host("user", CLIENT, "edge")],
    )
    assert topology.node("edge") == Node("edge", D_ROUTER, 1.0, 2.0)
    assert topology.node("server").role is INSTANCE
    assert topology.site_of("user") == "edge"
    assert topology.links[1:] == (Link("edge", "a", uplink), Link("server", "edge", access), Link("user", "edge"))
    assert topology.demands == core.demands
    assert len(core.nodes) == 2, "the network given stays as it was"


def test_sites_and_hosts_elsewhere_are_refused() -> None:
    core = _topology("abE", "ab", "bE")
    with pytest.raises(TopologyError, match=r"sites\.x\.at: t has no router 'A'; did you mean 'a'"):
        with_sites(core, [Site("x", "A")])
    with pytest.raises(TopologyError, match="has no router 'E'"):
        with_sites(core, [Site("x", "E")])
    with pytest.raises(TopologyError, match="two nodes are called 'E'"):
        with_sites(core, [Site("E", "a")])
    with pytest.raises(TopologyError, match="client 'u': there is no site 'e'; did you mean 'E'"):
        with_hosts(core, [Host("u", CLIENT, "e")])
    with pytest.raises(TopologyError, match="'u': a router is no host"):
        with_hosts(core, [Host("u", ROUTER, "E")])
