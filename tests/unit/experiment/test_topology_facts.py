"""What an ALTO server says of a topology: PIDs, prefixes, costs along the paths that packets take."""

from __future__ import annotations

import pytest

from testbed.alto.errors import AltoDataError
from testbed.alto.network.directories import DIRECTORY_PATH, directory
from testbed.alto.network.facts import KnownLink, KnownNode, NetworkFacts
from testbed.alto.network.static_knowledge import DELAY, HOPS, ROUTING, knowledge_of
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service
from testbed.experiment.systems.alto.topology_facts import facts_of, pid_names
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT, EDGE
from topologies.sites import Host, Site, with_hosts, with_sites
from topologies.spec import Link, LinkSpec, Node, Topology


def network() -> Topology:
    """Two sites at the ends of a line of three routers, with a detour that is shorter and slower."""
    routers = [Node("A"), Node("B.1", latitude=50.0, longitude=8.0), Node("C"), Node("B/1")]
    links = [
        Link("A", "B.1", LinkSpec(delay_ms=1.5)),
        Link("B.1", "C", LinkSpec(delay_ms=2)),
        Link("A", "C", LinkSpec(delay_ms=9)),
        Link("C", "B/1", LinkSpec(delay_ms=0.25)),
    ]
    sited = with_sites(Topology("line", tuple(routers), tuple(links)), [Site("east", "A"), Site("west", "C")])
    return with_hosts(sited, [Host("client-1@east", CLIENT, "east")])


def known() -> tuple[Topology, AddressPlan, Knowledge]:
    found = network()
    addresses = AddressPlan(found)
    return found, addresses, knowledge_of(facts_of(found, addresses))


def test_each_router_and_site_is_a_pid_whose_name_is_one() -> None:
    names = pid_names(network())
    assert names == {"A": "A", "B.1": "B_1", "C": "C", "B/1": "B_1-2", "east": "east", "west": "west"}


def test_names_too_long_or_alike_stay_apart() -> None:
    nodes = (Node("x" * 100), Node("x" * 101), Node("default"))
    links = (Link(nodes[0].name, nodes[1].name), Link(nodes[1].name, "default"))
    names = pid_names(Topology("long", nodes, links))
    assert len(set(names.values())) == 3
    assert all(len(name) <= 64 for name in names.values()) and "default" not in names.values()


def test_an_address_is_in_the_pid_of_its_site_and_any_other_in_the_default_one() -> None:
    _, addresses, knows = known()
    net = knows.network_maps["net"]
    host = addresses.host("client-1@east")
    assert net.pid_of(f"ipv4:{host.ipv4.ip}") == net.pid_of(f"ipv6:{host.ipv6.ip}") == "east"
    assert net.pid_of(f"ipv4:{addresses.router_id('C').ipv4.ip}") == "C"
    assert net.pid_of("ipv4:192.0.2.1") == net.pid_of("ipv6:2001:db8::1") == "default"


def test_costs_are_those_of_the_path_by_delay() -> None:
    _, _, knows = known()
    net = knows.network_maps["net"]
    delay, hops, routing = (knows.cost_map(net, cost_type) for cost_type in (DELAY, HOPS, ROUTING))
    assert delay.cost("A", "C") == 3500  # microseconds, over B.1 and not over the direct link
    assert hops.cost("A", "C") == 2
    assert delay.cost("B_1-2", "A") == delay.cost("A", "B_1-2") == 3750
    assert delay.cost("A", "A") == hops.cost("A", "A") == 0
    assert routing.cost("A", "C") == 3.502
    assert delay.cost("A", "default") is None


def test_the_directory_is_one_of_a_server() -> None:
    _, _, knows = known()
    Service(knows, {DIRECTORY_PATH: directory()})


def test_properties_say_what_a_site_is() -> None:
    found, _, knows = known()
    values = knows.property_maps["properties"].defined({"net.pid": [".name", ".kind", ".latitude", ".hosts"]})
    assert found.node("east").role.kind is EDGE.kind
    assert values["net.pid:east"] == {".name": "east", ".kind": "site", ".hosts": "1"}
    assert values["net.pid:B_1"] == {".name": "B.1", ".kind": "router", ".latitude": "50"}
    node = knows.endpoint_properties["priv:node"]
    assert node.of("ipv4", "10.1.0.10") == "client-1@east" and node.of("ipv4", "10.1.0.99") == "east"


def test_a_path_has_the_links_that_packets_take() -> None:
    found, addresses, _ = known()
    facts = facts_of(found, addresses)
    assert facts.path("A", "B/1") == (("A", "B.1"), ("B.1", "C"), ("C", "B/1"))
    assert facts.path("A", "A") == ()


@pytest.mark.parametrize("hops", [{"a": {"b": "c"}}, {"a": {"b": "a"}}, {"a": {"x": "b"}}, {"x": {"b": "a"}}])
def test_next_hops_that_lead_nowhere_are_refused(hops: dict[str, dict[str, str]]) -> None:
    nodes = tuple(KnownNode(name, name, ()) for name in "abc")
    with pytest.raises(AltoDataError, match="next_hops: "):
        NetworkFacts(nodes, (KnownLink("a", "b"),), hops)
