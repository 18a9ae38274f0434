"""From a scenario to everything a run will build: the network with all hosts, addresses, clients, faults.

Pure but for reading the topology. What cannot be built is said here, before anything is touched. Systems add hosts and
have a part of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.experiment.plan.capture_places import check_places
from testbed.experiment.plan.fault_plan import plan_faults
from testbed.experiment.plan.names import fresh_names
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.system import systems
from topologies import catalogue, routing
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT, Kind
from topologies.sites import Host, Site, with_hosts, with_sites
from topologies.spec import Link, Topology, TopologyError, unknown_name


@dataclass(frozen=True)
class PlannedClient:
    """One client host and its ingress."""

    name: str
    site: str


@dataclass(frozen=True)
class Plan:
    """A scenario, resolved. `parts`: what systems have planned, by the system's name."""

    scenario: Scenario
    topology: Topology
    addresses: AddressPlan
    clients: tuple[PlannedClient, ...]
    faults: tuple[PlannedFault, ...] = ()
    folder: Path = Path()  # of the scenario file
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites; each is called like its edge router."""
        return tuple(node.name for node in self.topology.of_kind(Kind.EDGE))

    def path_cost_ms(self, a: str, b: str) -> float:
        """Return the routing's round-trip cost between two sites; hops break ties between equal delays."""
        hops = len(routing.path(self.topology, a, b)) - 1
        return 2 * routing.path_delay_ms(self.topology, a, b) + 0.001 * hops

    def first_link(self, a: str, b: str) -> Link:
        """Return the link that the way from one site to another begins with."""
        ends = set(routing.path(self.topology, a, b)[:2])
        return next(link for link in self.topology.links if {link.a, link.b} == ends)

    def clients_of(self, workload: WorkloadKeys) -> list[PlannedClient]:
        """Return the clients that take part in a workload."""
        return [client for client in self.clients if client.site in workload.clients]


def make_plan(scenario: Scenario, source: Path) -> Plan:
    """Resolve a scenario read from `source`. Raises ScenarioError in one line."""
    try:
        return _make_plan(scenario, source)
    except TopologyError as error:
        raise ScenarioError(f"{source}: {error}") from error


def _make_plan(scenario: Scenario, source: Path) -> Plan:
    topology = catalogue.load(topology_reference(scenario.topology, source.parent), rate_mbps=scenario.rate_mbps)
    topology = with_sites(topology, [Site(name, keys.at, keys.link.spec()) for name, keys in scenario.sites.items()])
    for system in systems():
        topology = with_hosts(topology, system.hosts(scenario, topology))
    topology = with_hosts(topology, _client_hosts(scenario, topology))
    for system in systems():
        topology = with_hosts(topology, system.more_hosts(scenario, topology))
    clients = tuple(PlannedClient(node.name, topology.site_of(node.name)) for node in topology.with_role(CLIENT))
    plan = Plan(scenario, topology, AddressPlan(topology), clients, folder=source.parent.absolute())
    _check_workloads(plan)
    check_places(scenario.captures, topology)
    plan = replace(plan, parts={system.name: system.plan(plan) for system in systems()})
    return replace(plan, faults=plan_faults(plan))


def _client_hosts(scenario: Scenario, topology: Topology) -> list[Host]:
    hosts: list[Host] = []
    for keys in scenario.clients:
        taken = {host.name for host in hosts} | {node.name for node in topology.nodes}
        hosts += [
            Host(name, CLIENT, keys.site, keys.link.spec(), keys.behind)
            for name in fresh_names("client", keys.site, keys.count, taken)
        ]
    return hosts


def topology_reference(reference: str, folder: Path) -> str:
    """Return what the catalogue is asked for: a file beside the scenario (in `folder`) before any other."""
    beside = folder / reference
    return str(beside) if reference.endswith((".yaml", ".yml")) and beside.exists() else reference


def _check_workloads(plan: Plan) -> None:
    for number, workload in enumerate(plan.scenario.workloads):
        key = f"workloads[{number}]"
        for site in workload.clients:
            if site not in plan.sites:
                raise unknown_name(f"{key}.clients: there is no site", site, plan.sites)
        if not plan.clients_of(workload):
            raise TopologyError(f"{key}.clients: no clients at {', '.join(workload.clients)}; add some under clients")
