"""The plan of a network: names that fit and differ, D-Routers as docs/decisions/0001 draws them."""

from __future__ import annotations

from collections import Counter

import pytest

from testbed.dyncast.roles import D_ROUTER, INSTANCE
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches.bridges import UPLINK_PORT, creation
from testbed.emulation.wiring import Wiring, wire
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT
from topologies.spec import Link, LinkSpec, Node, Topology

_TAG = RunTag("0af9")
_DELAY = LinkSpec(delay_ms=5.0)


def _topology(routers: int = 3, hosts: int = 3) -> Topology:
    """A ring of routers, a D-Router at each but the first, hosts behind each D-Router."""
    nodes = [Node(f"router {n}") for n in range(routers)]
    links = [Link(f"router {n}", f"router {(n + 1) % routers}", _DELAY) for n in range(routers)]
    for n in range(1, routers):
        nodes.append(Node(f"site {n}", D_ROUTER))
        links.append(Link(f"site {n}", f"router {n}", _DELAY))
        for host in range(hosts):
            name, role = f"host {n}.{host}", INSTANCE if host % 2 else CLIENT
            nodes.append(Node(name, role))
            # Either end first: the order of a link's ends must not matter.
            links.append(Link(f"site {n}", name) if host % 2 else Link(name, f"site {n}"))
    return Topology("ring", tuple(nodes), tuple(links))


@pytest.fixture
def topology() -> Topology:
    return _topology()


@pytest.fixture
def wiring(topology: Topology) -> Wiring:
    return wire(topology, AddressPlan(topology), _TAG)


def test_every_link_and_every_uplink_is_one_wire(topology: Topology, wiring: Wiring) -> None:
    d_routers = topology.with_role(D_ROUTER)
    assert len(wiring.wires) == len(topology.links) + len(d_routers)
    assert sum(wire.spec == _DELAY for wire in wiring.wires) == 3 + 2
    assert len({wire.label for wire in wiring.wires}) == len(wiring.wires)


def test_interface_names_fit_the_kernel_and_differ_in_their_namespace() -> None:
    topology = _topology(routers=30, hosts=4)
    wiring = wire(topology, AddressPlan(topology), _TAG)
    ends = Counter((end.node, end.interface) for wire in wiring.wires for end in (wire.a, wire.b))
    assert set(ends.values()) == {1}
    assert all(len(interface) <= 15 and " " not in interface for _, interface in ends)
    assert all(len(bridge.name) <= 15 for bridge in wiring.bridges.values())
    assert {RunTag.of_interface(interface) for node, interface in ends if node is None} == {_TAG}


def test_an_access_link_ends_at_the_bridge_port_of_its_host(topology: Topology, wiring: Wiring) -> None:
    for d_router, bridge in wiring.bridges.items():
        ends = {
            root.interface: inside
            for wire in wiring.wires
            for root, inside in ((wire.a, wire.b), (wire.b, wire.a))
            if root.node is None
        }
        uplink = ends[bridge.interfaces[UPLINK_PORT]]
        assert (uplink.node, uplink.interface) == (d_router, "uplink")
        assert set(bridge.ports) == {
            node.name for node in topology.nodes if node.role.is_host and topology.site_of(node.name) == d_router
        }
        for host, port in bridge.ports.items():
            assert (ends[bridge.interfaces[port]].node, ends[bridge.interfaces[port]].interface) == (host, "eth0")


def test_datapath_ids_differ_and_are_the_same_in_every_run(topology: Topology, wiring: Wiring) -> None:
    other = wire(topology, AddressPlan(topology), RunTag("ffff"))
    identities = [bridge.datapath_id for bridge in wiring.bridges.values()]
    assert len(set(identities)) == len(identities) and all(identities)
    assert identities == [bridge.datapath_id for bridge in other.bridges.values()]


def test_only_routers_forward(topology: Topology, wiring: Wiring) -> None:
    for node in topology.nodes:
        settings = wiring.kernel_settings[node.name]
        assert settings["ipv4/conf/all/rp_filter"] == settings["ipv4/conf/default/rp_filter"] == 0
        assert (
            settings.get("ipv4/ip_forward", 0) == settings.get("ipv6/conf/all/forwarding", 0) == (not node.role.is_host)
        )
        assert settings.get("ipv4/tcp_tw_reuse", 0) == node.role.is_host


def test_hosts_have_both_default_routes_through_their_gateway(topology: Topology, wiring: Wiring) -> None:
    site = AddressPlan(topology).site("site 2")
    lines = wiring.ip_commands["host 2.1"].splitlines()
    assert f"route add default via {site.gateway4.ip}" in lines
    assert f"route add ::/0 via {site.gateway6.ip}" in lines


def test_routes_leave_by_the_interface_towards_their_next_hop(topology: Topology, wiring: Wiring) -> None:
    plan = AddressPlan(topology)
    lines = [line for line in wiring.ip_commands["router 1"].splitlines() if line.startswith("route")]
    next_hop = plan.link("router 1", "router 2")["router 2"]
    assert any(
        line.startswith(f"route add {plan.site('site 2').prefix4} via {next_hop.ipv4.ip} dev r3 src ") for line in lines
    )
    source = {str(address.ip) for address in plan.router_id("router 1")}
    assert {line.split(" src ")[1] for line in lines} == source


def test_bridges_are_one_transaction_with_the_run_s_mark(wiring: Wiring) -> None:
    arguments = creation(wiring.bridges.values(), _TAG, datapath_type="netdev")
    assert arguments.count("add-br") == arguments.count("external_ids:dyncast-run=0af9") == 2
    assert arguments.count("add-port") == 2 * (1 + 3)
    assert arguments.count("datapath_type=netdev") == 2
    assert arguments.count("fail_mode=secure") == 2
    # Or Open vSwitch would delete the netem of the ports' links.
    assert arguments.count("type=linux-noop") == 2
    assert arguments.count("qos=@q0") == arguments.count("qos=@q1") == 1 + 3


def test_ipv6_is_switched_on_in_every_node_whatever_new_namespaces_begin_with(wiring: Wiring) -> None:
    for settings in wiring.kernel_settings.values():
        assert settings["ipv6/conf/all/disable_ipv6"] == settings["ipv6/conf/default/disable_ipv6"] == 0
