"""CFN Dispatchers in scenarios: where they stand, what is refused, what each process is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ryu_apps.dyncast import role
from ryu_apps.dyncast.config.control_process import ControlConfig, load
from testbed.dyncast.messages.authentication import Identity, Role
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher
from testbed.dyncast.roles import D_ROUTER, DISPATCHER, INSTANCE
from testbed.dyncast_io import keys_file
from testbed.emulation.run_tag import RunTag
from testbed.emulation.wiring import End, wire
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.scenario.file import load as load_scenario
from testbed.experiment.systems.dyncast.launch import dispatcher_configs, node_keys, process_configs
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.runtime.config import ConfigError
from tests.scenarios import EXAMPLES, SWITCH, dyncast_plan
from topologies.roles import CLIENT
from topologies.spec import Link, Node, Topology, TopologyError

FIGURE_5 = EXAMPLES / "figures" / "cfn-figure-5.yaml"


def figure_5(settings: dict[str, Any] | None = None) -> DyncastPlan:
    return dyncast_plan(load_scenario(FIGURE_5, settings), FIGURE_5)


def two_clients(**changes: Any) -> dict[str, Any]:
    """Settings that put a client behind a new Dispatcher, and one beside it."""
    return {"clients": [{"site": "CFN-node-2", "dispatcher": "home", "count": 2, **changes}, {"site": "CFN-node-2"}]}


# -- where they stand --------------------------------------------------------------------------------


def test_clients_behind_a_dispatcher_belong_to_its_cfn_node() -> None:
    plan = figure_5()
    assert (plan.dispatchers, plan.sites) == (("CFN-Dispatcher",), ("CFN-node-1", "CFN-node-2", "CFN-node-3"))
    assert {client.name: client.site for client in plan.clients} == dict.fromkeys(
        ("client-1", "client-2"), "CFN-node-1"
    )
    prefix = plan.addresses.site("CFN-node-1").prefix4
    addresses = {plan.addresses.host(name).ipv4.ip for name in ("CFN-Dispatcher", "client-1", "client-2")}
    assert len(addresses) == 3 and all(address in prefix for address in addresses)


def test_a_scenario_puts_dispatchers_between_clients_and_their_site() -> None:
    topology = figure_5({**two_clients(), "dispatcher.delay_ms": 3}).topology
    (added,) = (node.name for node in topology.with_role(DISPATCHER) if node.name != "CFN-Dispatcher")
    assert added == "home" and topology.site_of("home") == "CFN-node-2"
    behind = {name: topology.switch_of(name) for name in topology.graph() if name.startswith("client-") and "@" in name}
    assert sorted(behind.values(), key=str) == [None, "home", "home"]
    (link,) = (link for link in topology.links if {link.a, link.b} == {"home", "CFN-node-2"})
    assert link.spec.delay_ms == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"services.SID1.affinity.mode": "datapath"}, "services.SID1.affinity.mode: a CFN Dispatcher"),
        ({"services.SID1.steering": "tunnel"}, "services.SID1.steering: a CFN Dispatcher"),
        (two_clients(dispatcher="CFN-Dispatcher"), "clients[0].dispatcher: 'CFN-Dispatcher' is at 'CFN-node-1'"),
        (two_clients(dispatcher="BID22"), "two nodes are called 'BID22'"),
        ({"dispatcher.tells": "aloud"}, "dispatcher.tells"),
        ({"dispatcher.tells": "implicit", "metrics.authentication": "hmac"}, "dispatcher.tells: implicit answers"),
    ],
    ids=["datapath", "tunnel", "elsewhere", "name_taken", "tells", "unsigned"],
)
def test_what_cannot_be_is_refused_in_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        figure_5(settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "links",
    [
        [("d", "c")],
        [("d", "r"), ("d", "r2")],
        [("d", "r"), ("d", "i"), ("c", "d")],
        [("c", "d"), ("c", "r"), ("d", "r")],
    ],
    ids=["no_cfn_node", "two", "an_instance_behind_it", "a_client_on_both"],
)
def test_a_dispatcher_has_one_cfn_node_and_else_clients(links: list[tuple[str, str]]) -> None:
    roles = {
        "r": D_ROUTER, "r2": D_ROUTER, "d": DISPATCHER, "c": CLIENT,
        "i": INSTANCE,
    }  # fmt: skip
    named = dict.fromkeys([name for link in links for name in link])
    with pytest.raises(TopologyError, match="must have exactly one link"):
        Topology("x", tuple(Node(name, roles[name]) for name in named), tuple(Link(a, b) for a, b in links))


def test_a_dispatchers_control_process_can_be_killed_and_no_bound_flow_is_in_reach() -> None:
    (fault,) = figure_5({"faults": [{"kind": "control_killed", "site": "CFN-Dispatcher", "at_s": 1}]}).faults
    assert (fault.target, fault.reach) == ("CFN-Dispatcher", ())
    with pytest.raises(ScenarioError, match="there is no site 'CFN-Dispatcher'"):
        figure_5({"faults": [{"kind": "egress_unreachable", "site": "CFN-Dispatcher", "at_s": 1}]})


# -- what is connected to what -----------------------------------------------------------------------


def test_a_dispatchers_switch_is_between_its_clients_and_the_switch_of_its_cfn_node() -> None:
    plan = figure_5()
    wiring = wire(plan.topology, plan.addresses, RunTag("1a2b"))
    node, home = wiring.bridges["CFN-node-1"], wiring.bridges["CFN-Dispatcher"]
    assert home.ports == {"CFN-node-1": home.uplink_port, "CFN-Dispatcher": 2, "client-1": 3, "client-2": 4}
    assert home.prefixes == () and "CFN-Dispatcher" in node.ports
    assert len({bridge.datapath_id for bridge in wiring.bridges.values()}) == len(wiring.bridges)
    ends = {item.label: (item.a, item.b) for item in wiring.wires}
    between = (End(None, home.interfaces[1]), End(None, node.interfaces[node.ports["CFN-Dispatcher"]]))
    assert ends["CFN-Dispatcher - CFN-node-1"] == between
    client, port = ends["client-1 - CFN-Dispatcher"]
    assert (client.node, port) == ("client-1", End(None, home.interfaces[3]))
    inside, port = ends["CFN-Dispatcher uplink"]
    assert (inside.node, inside.interface, port) == ("CFN-Dispatcher", "eth0", End(None, home.interfaces[2]))
    assert f"route add default via {plan.addresses.site('CFN-node-1').gateway4.ip}" in wiring.ip_commands["client-1"]


# -- what each is told -------------------------------------------------------------------------------


def told_to_dispatcher(plan: DyncastPlan, folder: Path) -> ControlConfig:
    return dispatcher_configs.control(
        plan, "CFN-Dispatcher", folder, datapath_id=4,
        openflow_fd=9, uplink_port=1, in_band_fd=3,
        inspection_socket="x", switch=SWITCH,
    )  # fmt: skip


def cfn_node(plan: DyncastPlan, site: str, folder: Path) -> ControlConfig:
    return process_configs.control(
        plan, site, folder, datapath_id=1,
        openflow_fd=9, uplink_port=1, in_band_fd=3, switch=SWITCH, zones={},
        dispatchers=dispatcher_configs.peers_of_cfn_node(plan, site, {"CFN-Dispatcher": 2}),
    )  # fmt: skip


@pytest.mark.parametrize("tells", ["explicit", "implicit"])
def test_the_same_process_plays_both_roles_by_what_it_is_told(tells: str, tmp_path: Path) -> None:
    plan = figure_5({"dispatcher.tells": tells})
    path = tmp_path / "x.json"
    path.write_text(json.dumps(told_to_dispatcher(plan, tmp_path).to_document()))
    settings = load(path)
    home = role.core(settings)
    assert isinstance(home, Dispatcher)
    assert (home.config.site, home.config.cfn_node, home.config.tells) == ("CFN-Dispatcher", "CFN-node-1", tells)
    clients = {str(address.ip) for name in ("client-1", "client-2") for address in plan.addresses.host(name)}
    assert {str(prefix.network_address) for prefix in home.config.prefixes} == clients
    assert role.neighbours(settings) == {plan.addresses.site("CFN-node-1").gateway4.ip: "CFN-node-1"}
    settings = cfn_node(plan, "CFN-node-1", tmp_path)
    node = role.core(settings)
    assert isinstance(node, DRouter)
    (known,) = node.config.dispatchers
    assert (known.name, known.port, known.tells) == ("CFN-Dispatcher", 2, tells)
    assert role.neighbours(settings)[plan.addresses.host("CFN-Dispatcher").ipv4.ip] == "CFN-Dispatcher"


def test_other_d_routers_know_of_no_dispatcher(tmp_path: Path) -> None:
    assert cfn_node(figure_5(), "CFN-node-2", tmp_path).dispatchers == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dispatcher": {"cfn_node": "x", "address": "10.0.0.1", "tells": "aloud"}}, "dispatcher.tells"),
        ({"dispatcher": {"cfn_node": "x", "tells": "explicit"}}, "dispatcher.address"),
        (
            {"dispatchers": [{"name": "x", "address": "10.0.0.1", "port": 0, "tells": "explicit"}]},
            "dispatchers[0].port",
        ),
    ],
    ids=["tells", "address", "port"],
)
def test_a_configuration_that_cannot_be_is_refused_naming_the_key(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        ControlConfig.from_document({**told_to_dispatcher(figure_5(), tmp_path).to_document(), **changes})
    assert words in str(caught.value)


def test_a_dispatcher_and_its_cfn_node_share_a_key_that_nobody_else_has(tmp_path: Path) -> None:
    node_keys.write(figure_5(), tmp_path)
    told = {path.name: keys_file.read(path) for path in tmp_path.iterdir()}
    shared = Identity(Role.DISPATCHER, "CFN-Dispatcher")
    assert told["control@CFN-Dispatcher"].keys() == {shared}
    assert {name for name, keys in told.items() if shared in keys} == {"control@CFN-Dispatcher", "control@CFN-node-1"}
    assert told["control@CFN-node-1"][shared] == told["control@CFN-Dispatcher"][shared]
