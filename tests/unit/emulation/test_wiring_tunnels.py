"""The plan of a network with tunnels: one device at each D-Router that knows who lies behind which other."""

from __future__ import annotations

from ipaddress import ip_address

from testbed.dyncast.roles import D_ROUTER, INSTANCE
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches.bridges import creation
from testbed.emulation.switches.tunnels import UNDERLAY_MTU_BYTES
from testbed.emulation.switches.tunnels import creation as tunnel_creation
from testbed.emulation.wiring import Wiring, offer_commands, wire
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT
from topologies.spec import Link, Node, Topology

_TAG = RunTag("0af9")
_TOPOLOGY = Topology(
    "two sites",
    (
        Node("router"),
        Node("east", D_ROUTER),
        Node("west", D_ROUTER),
        Node("client", CLIENT),
        Node("instance", INSTANCE),
    ),
    (Link("east", "router"), Link("router", "west"), Link("client", "east"), Link("instance", "west")),
)
_PLAN = AddressPlan(_TOPOLOGY)


def wired(*, tunnels: bool) -> Wiring:
    return wire(_TOPOLOGY, _PLAN, _TAG, tunnels=tunnels)


def test_without_tunnels_nothing_of_them_is_there() -> None:
    wiring = wired(tunnels=False)
    assert not wiring.tunnels
    assert all(bridge.tunnel_port is None for bridge in wiring.bridges.values())
    assert not any("mtu" in commands for commands in wiring.ip_commands.values())
    assert not any("accept_local" in path for paths in wiring.kernel_settings.values() for path in paths)


def test_each_d_router_has_a_device_that_is_a_port_of_its_bridge_with_a_name_that_clean_up_knows() -> None:
    wiring = wired(tunnels=True)
    devices = [wiring.tunnels[site].interface for site in ("east", "west")]
    assert len(set(devices)) == 2
    assert {RunTag.of_interface(name) for name in devices} == {_TAG}
    for site, device in zip(("east", "west"), devices, strict=True):
        bridge = wiring.bridges[site]
        assert bridge.tunnel_port is not None
        assert bridge.interfaces[bridge.tunnel_port] == device
        assert bridge.tunnel_port not in {bridge.uplink_port, *bridge.ports.values()}
        assert f"link set dev {device} arp off addrgenmode none" in wiring.root_commands


def test_a_device_knows_the_stations_of_other_sites_and_none_of_its_own() -> None:
    tunnels = wired(tunnels=True).tunnels
    east, west = _PLAN.site("east"), _PLAN.site("west")
    instance = _PLAN.mac("instance", "west")
    assert tunnels["east"].behind == {instance: str(west.gateway4.ip), west.mac: str(west.gateway4.ip)}
    assert tunnels["west"].behind == {east.mac: str(east.gateway4.ip)}
    assert wired(tunnels=True).bridges["west"].stations == {
        instance: tuple(interface.ip for interface in _PLAN.host("instance")),
        west.mac: (west.gateway4.ip,),
    }
    made, moved = tunnel_creation(tunnels["east"], 4711).splitlines()
    assert f"local {east.gateway4.ip} " in made
    assert moved.endswith("netns 4711")


def test_what_is_switched_as_usual_never_enters_a_tunnel() -> None:
    """Its port is alone in a VLAN, in the transaction that makes it."""
    bridge = wired(tunnels=True).bridges["west"]
    arguments = " ".join(creation([bridge], _TAG, datapath_type="netdev"))
    assert bridge.tunnel_port is not None
    assert f"set Port {bridge.interfaces[bridge.tunnel_port]} tag=4094" in arguments
    assert arguments.count(" tag=") == 1


def test_infrastructure_carries_what_tunnels_add_and_hosts_keep_theirs() -> None:
    commands = wired(tunnels=True).ip_commands
    for node, links in {"router": 2, "east": 1, "west": 1, "client": 0, "instance": 0}.items():
        assert commands[node].count(f"mtu {UNDERLAY_MTU_BYTES}") == links
    assert not any("dev uplink mtu" in text for text in commands.values())


def test_an_instance_has_its_d_sids_where_nobody_asks_and_ipv6_does_not_choose_them() -> None:
    four, six = offer_commands([ip_address("203.0.113.10"), ip_address("fd00:5::10")])
    assert four == "address add 203.0.113.10/32 dev lo"
    assert six == "address add fd00:5::10/128 dev lo nodad preferred_lft 0"
