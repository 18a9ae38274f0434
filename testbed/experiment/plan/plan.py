"""From a scenario to everything a run will build: hosts, addresses, instances, clients, services.

Pure but for reading the topology. What cannot be built is said here, before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testbed.experiment.plan import dispatchers, name_service
from testbed.experiment.plan.fault_plan import PlacedInstance, PlannedFault, not_running_at_first, plan_faults
from testbed.experiment.plan.name_service import PlannedNameServer
from testbed.experiment.scenario import call_keys
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.scenario.host_keys import InstanceKeys
from testbed.experiment.scenario.rules.commands import check_places
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.scenario.service_keys import ServiceKeys
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.schema_parts import LinkKeys
from topologies import catalogue, routing
from topologies.addressing import AddressPlan
from topologies.sites import Host, Site, with_hosts, with_sites
from topologies.spec import Link, Role, Topology, TopologyError, unknown_name

# What one generator process (one client host) was seen to send on one core of a small machine; the bench says more.
MOST_REQUESTS_PER_CLIENT_PER_S = 1000.0
MOST_PACKETS_PER_CLIENT_PER_S = 10_000.0
_SWITCH_LOOKS_S = 1.0  # how often Open vSwitch ends what is idle


@dataclass(frozen=True)
class PlannedInstance:
    """One service instance on its host. `d_bid` is its address in the family of the service's D-SID."""

    name: str
    host: str
    site: str
    service: str
    d_bid: str
    keys: InstanceKeys


@dataclass(frozen=True)
class PlannedClient:
    """One client host and its ingress."""

    name: str
    site: str


@dataclass(frozen=True)
class Plan:
    """A scenario, resolved."""

    scenario: Scenario
    topology: Topology
    addresses: AddressPlan
    instances: tuple[PlannedInstance, ...]
    clients: tuple[PlannedClient, ...]
    faults: tuple[PlannedFault, ...] = ()
    name_server: PlannedNameServer | None = None
    folder: Path = Path()  # of the scenario file

    @property
    def first_instances(self) -> tuple[PlannedInstance, ...]:
        """The instances that run from the start; the others are started by a fault."""
        later = not_running_at_first(self.faults)
        return tuple(item for item in self.instances if item.name not in later)

    @property
    def sites(self) -> tuple[str, ...]:
        """All D-Routers; a site is called like its D-Router."""
        return tuple(node.name for node in self.topology.with_role(Role.D_ROUTER))

    @property
    def dispatchers(self) -> tuple[str, ...]:
        """All CFN Dispatchers."""
        return tuple(node.name for node in self.topology.with_role(Role.DISPATCHER))

    def agent_node(self, site: str) -> str:
        """Return the node that the D-MA of a site runs on."""
        return agent_name(site) if self.scenario.metrics.agent_at == "edge" else site

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


def agent_name(site: str) -> str:
    """Return what the D-MA of a site is called, and its host where it has one of its own."""
    return f"dma@{site}"


def make_plan(scenario: Scenario, source: Path) -> Plan:
    """Resolve a scenario read from `source`. Raises ScenarioError in one line."""
    try:
        return _make_plan(scenario, source)
    except TopologyError as error:
        raise ScenarioError(f"{source}: {error}") from error


def _make_plan(scenario: Scenario, source: Path) -> Plan:
    topology = catalogue.load(topology_reference(scenario.topology, source.parent), rate_mbps=scenario.rate_mbps)
    topology = with_sites(topology, [Site(name, keys.at, keys.link.spec()) for name, keys in scenario.sites.items()])
    topology, instances = _place_instances(topology, scenario)
    hosts = dispatchers.hosts(scenario, topology)
    for keys in scenario.clients:
        taken = {host.name for host in hosts} | {node.name for node in topology.nodes}
        hosts += [
            Host(name, Role.CLIENT, keys.site, keys.link.spec(), keys.dispatcher)
            for name in _fresh_names(f"client@{keys.site}", keys.count, taken)
        ]
    hosts += _agent_hosts(scenario, (topology.d_router_of(host) for _, host, _ in instances))
    topology = with_hosts(topology, hosts)
    dispatchers.check(scenario, topology)
    clients = tuple(
        PlannedClient(node.name, topology.d_router_of(node.name)) for node in topology.with_role(Role.CLIENT)
    )
    addresses = AddressPlan(topology)
    for number, d_sids in enumerate(scenario.d_sid_ranges):
        addresses.check_d_sid_range(d_sids, f"d_sid_ranges[{number}]")
    for name, service in scenario.services.items():
        addresses.check_d_sid(service.d_sid, f"services.{name}.d_sid")
    placed = tuple(
        PlannedInstance(name, host, topology.d_router_of(host), keys.service, "", keys)
        for name, host, keys in instances
    )
    by_name = {
        item.name: PlacedInstance(item.host, item.site, item.service, _quiet_s(scenario, item.service))
        for item in placed
    }
    faults = plan_faults(scenario.faults, topology, by_name, scenario.duration_s)
    named = name_service.planned(scenario, topology, addresses)
    folder = source.parent.absolute()
    located = _with_addresses(placed, scenario, addresses)
    plan = Plan(scenario, topology, addresses, located, clients, faults, named, folder)
    _check_workloads(plan)
    check_places(scenario.captures, topology)
    controller = scenario.control.controller
    if controller is not None and controller not in plan.sites:
        raise unknown_name("control.controller: there is no site", controller, plan.sites)
    return plan


def _agent_hosts(scenario: Scenario, sites: Iterable[str]) -> list[Host]:
    """Return a host for the D-MA of each of these sites, where it does not run on the D-Router."""
    if scenario.metrics.agent_at == "d_router":
        return []
    link = (scenario.metrics.agent_link or LinkKeys()).spec()
    return [Host(agent_name(site), Role.AGENT, site, link) for site in dict.fromkeys(sites)]


def _quiet_s(scenario: Scenario, service: str) -> float:
    """Return after how long without a session no D-Router has a flow bound to a draining instance.

    It keeps a flow for the timeout after its last packet, and as long again where answers came home since; the switch
    looks about each second; and the D-MA must have said that the instance drains.
    """
    poll_interval_s = scenario.metrics.poll_interval_s or scenario.metrics.interval_s
    return 2 * scenario.services[service].affinity.timeout_s + _SWITCH_LOOKS_S + poll_interval_s


def topology_reference(reference: str, folder: Path) -> str:
    """Return what the catalogue is asked for: a file beside the scenario (in `folder`) before any other."""
    beside = folder / reference
    return str(beside) if reference.endswith((".yaml", ".yml")) and beside.exists() else reference


def _place_instances(topology: Topology, scenario: Scenario) -> tuple[Topology, list[tuple[str, str, InstanceKeys]]]:
    """Return the topology with the instances' hosts, and (instance, host, keys) of each."""
    placed: list[tuple[str, str, InstanceKeys]] = []
    hosts: list[Host] = []
    existing = [node.name for node in topology.with_role(Role.INSTANCE)]
    for keys in scenario.instances:
        taken = {name for name, _, _ in placed}
        if keys.host is not None:
            if keys.host not in existing:
                raise unknown_name("instances: the topology has no instance host", keys.host, existing)
            if any(host == keys.host for _, host, _ in placed):
                raise TopologyError(f"instances: host {keys.host!r} runs two instances; give each a host of its own")
            site = topology.d_router_of(keys.host)
            placed.append((_fresh_names(f"{keys.service}@{site}", 1, taken)[0], keys.host, keys))
            continue
        assert keys.site is not None
        for name in _fresh_names(f"{keys.service}@{keys.site}", keys.count, taken):
            hosts.append(Host(name, Role.INSTANCE, keys.site, keys.link.spec()))
            placed.append((name, name, keys))
    return with_hosts(topology, hosts), placed


def _fresh_names(stem: str, count: int, taken: set[str]) -> list[str]:
    """Return `count` names like client-1@berlin that nothing else bears."""
    kind, _, site = stem.partition("@")
    names: list[str] = []
    number = 0
    while len(names) < count:
        number += 1
        name = f"{kind}-{number}@{site}"
        if name not in taken:
            names.append(name)
    return names


def _with_addresses(
    placed: tuple[PlannedInstance, ...], scenario: Scenario, addresses: AddressPlan
) -> tuple[PlannedInstance, ...]:
    def d_bid(item: PlannedInstance) -> str:
        host = addresses.host(item.host)
        return str((host.ipv4 if scenario.services[item.service].d_sid.version == 4 else host.ipv6).ip)

    return tuple(
        PlannedInstance(item.name, item.host, item.site, item.service, d_bid(item), item.keys) for item in placed
    )


def _check_workloads(plan: Plan) -> None:
    scenario, sites = plan.scenario, plan.sites
    for number, workload in enumerate(scenario.workloads):
        key = f"workloads[{number}]"
        for site in workload.clients:
            if site not in sites:
                raise unknown_name(f"{key}.clients: there is no site", site, sites)
        clients = plan.clients_of(workload)
        if not clients:
            raise TopologyError(f"{key}.clients: no clients at {', '.join(workload.clients)}; add some under clients")
        _check_rate(key, workload, scenario.services[workload.service], len(clients))


def _check_rate(key: str, workload: WorkloadKeys, service: ServiceKeys, clients: int) -> None:
    """Refuse more load than the generators can send: the numbers would be theirs, not the network's."""
    rate = workload.arrivals.rate_per_s
    if rate is None:
        return
    if service.kind != "rtp":
        offered, most, what = rate, MOST_REQUESTS_PER_CLIENT_PER_S * clients, "requests/s"
    else:
        per_call_per_s = call_keys.packets_per_s(workload.media, workload.video_kbps)
        offered = rate * workload.call_duration.mean_ms / 1e3 * per_call_per_s
        most, what = MOST_PACKETS_PER_CLIENT_PER_S * clients, "packets/s"
    if offered > most:
        raise TopologyError(
            f"{key}: {offered:.0f} {what} from {clients} client(s) is more than their generators can send "
            f"({most:.0f}); add clients or lower the rate"
        )
