"""The address plan: who gets what, that nothing overlaps, and which D-SIDs are refused."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_network
from itertools import combinations

import pytest

from testbed.dyncast.roles import D_ROUTER, INSTANCE
from topologies import catalogue
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT
from topologies.sites import Host, Site, with_hosts, with_sites
from topologies.spec import Link, Node, Topology, TopologyError


def _abilene() -> Topology:
    topology = with_sites(
        catalogue.load("topozoo/Abilene"), [Site("east", "New York"), Site("west", "Seattle"), Site("middle", "Denver")]
    )
    hosts = [Host(f"server-{n}@{site}", INSTANCE, site) for site in ("west", "east") for n in (1, 2)]
    return with_hosts(topology, [*hosts, Host("client@west", CLIENT, "west")])


def test_a_site_is_a_numbered_network_with_its_d_router_as_gateway() -> None:
    plan = AddressPlan(_abilene())
    west = plan.site("west")
    assert (west.prefix4, west.prefix6) == (ip_network("10.2.0.0/16"), ip_network("fd00:d:2::/64"))
    assert (west.gateway4, west.gateway6) == (IPv4Interface("10.2.0.1/16"), IPv6Interface("fd00:d:2::1/64"))
    assert plan.host("server-1@west").ipv4 == IPv4Interface("10.2.0.10/16")
    assert plan.host("client@west").ipv4 == IPv4Interface("10.2.0.12/16")
    assert plan.host("client@west").ipv6 == IPv6Interface("fd00:d:2::c/64")
    assert plan.host("server-2@east").ipv4 == IPv4Interface("10.1.0.11/16")


def test_the_ends_of_a_link_share_a_network_of_two() -> None:
    topology = _abilene()
    plan = AddressPlan(topology)
    ends = plan.link("New York", "east")
    assert ends == plan.link("east", "New York")
    for one, other in zip(ends["New York"], ends["east"], strict=True):
        assert one.network == other.network
        assert one.network.num_addresses == 2
        assert one.ip != other.ip
    assert ends["east"].ipv4.ip in ip_network("100.64.0.0/10")
    assert ends["east"].ipv6.ip in ip_network("fd00:e::/64")


def test_no_two_networks_and_no_two_macs_are_alike() -> None:
    topology = _abilene()
    plan = AddressPlan(topology)
    hosts = {node.name for node in topology.nodes if node.role.is_host}
    inner = [link for link in topology.links if not {link.a, link.b} & hosts]
    for family in (0, 1):
        networks = [
            list(plan.router_id(node.name))[family].network for node in topology.nodes if node.name not in hosts
        ]
        networks += [list(plan.link(link.a, link.b)[link.a])[family].network for link in inner]
        sites = [plan.site(node.name) for node in topology.with_role(D_ROUTER)]
        networks += [(site.prefix4, site.prefix6)[family] for site in sites]
        assert not [pair for pair in combinations(networks, 2) if pair[0].overlaps(pair[1])]
    macs = [plan.mac(*ends) for link in topology.links for ends in ((link.a, link.b), (link.b, link.a))]
    macs += [plan.site(node.name).mac for node in topology.with_role(D_ROUTER)]
    assert len(set(macs)) == len(macs)
    # Locally administered, unicast.
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)


def test_the_same_topology_always_gets_the_same_plan() -> None:
    first, again = AddressPlan(_abilene()), AddressPlan(_abilene())
    for node in _abilene().nodes:
        assert first.router_id(node.name) == again.router_id(node.name)
    assert first.site("west") == again.site("west")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.2.0.10", ["host 'server-1@west'", "site 'west'", "203.0.113.1"]),
        ("fd00:d:2::a", ["host 'server-1@west'", "2001:db8::1"]),
        ("10.1.200.7", ["10.1.0.0/16", "site 'east'", "203.0.113.1"]),
        ("10.1.0.1", ["site 'east'"]),
        ("fd00:d:1::99", ["site 'east'", "2001:db8::1"]),
        ("100.64.0.0", ["100.64.0.0/31", "link "]),
        ("172.31.0.1", ["172.31.0.1/32", "router "]),
        ("fd00:f::1", ["fd00:f::1/128", "router "]),
        ("224.0.0.1", ["no address clients can reach", "203.0.113.1"]),
        ("127.0.0.1", ["no address clients can reach"]),
        ("0.0.0.0", ["no address clients can reach"]),
        ("169.254.1.1", ["no address clients can reach"]),
        ("255.255.255.255", ["no address clients can reach"]),
        ("ff02::1", ["no address clients can reach", "2001:db8::1"]),
        ("::1", ["no address clients can reach"]),
        ("fe80::1", ["no address clients can reach"]),
    ],
)
def test_a_d_sid_in_the_way_is_refused_by_name(address: str, words: list[str]) -> None:
    with pytest.raises(TopologyError) as caught:
        AddressPlan(_abilene()).check_d_sid(ip_address(address), "services.render.d_sid")
    for word in ["services.render.d_sid", address, *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("address", ["203.0.113.1", "10.200.0.1", "192.0.2.9", "2001:db8::1", "fd12::1", "8.8.8.8"])
def test_a_d_sid_of_its_own_is_taken(address: str) -> None:
    AddressPlan(_abilene()).check_d_sid(ip_address(address), "d_sid")


def test_there_are_addresses_for_254_sites() -> None:
    def star(count: int) -> Topology:
        sites = tuple(Node(f"s{n}", D_ROUTER) for n in range(count))
        return Topology("star", (Node("hub"), *sites), tuple(Link("hub", site.name) for site in sites))

    assert AddressPlan(star(254)).site("s253").prefix4 == ip_network("10.254.0.0/16")
    with pytest.raises(TopologyError, match="'star' has 255 sites, but there are addresses for 254"):
        AddressPlan(star(255))
