"""Dyncast's part of a plan: where instances are and at which addresses, Dispatchers, D-MAs, the name server.

Pure. What cannot be built is said here, before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from testbed.dyncast.roles import DISPATCHER, INSTANCE
from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.systems.dyncast.keys.instance import InstanceKeys
from testbed.experiment.systems.dyncast.offered import offered, with_offered
from testbed.experiment.systems.dyncast.plan import dispatchers, loads, name_service
from testbed.experiment.systems.dyncast.plan.faults import not_running_at_first
from testbed.experiment.systems.dyncast.plan.name_service import PlannedNameServer
from testbed.experiment.systems.dyncast.plan.placement import Placed, agent_name, place
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from topologies.addressing import AddressPlan
from topologies.sites import Host
from topologies.spec import Topology, unknown_name


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
class PlannedOffer:
    """Where a service of another system may be served, which starts what serves it. Otherwise as `PlannedInstance`."""

    name: str
    host: str
    site: str
    service: str
    d_bid: str
    metrics_port: int
    metrics_path: str
    is_first: bool


@dataclass(frozen=True)
class DyncastPlan(Plan):
    """A plan with Dyncast's part: `DyncastPlan.of(plan).instances`; its scenario has services of other systems, too."""

    scenario: DyncastScenario
    instances: tuple[PlannedInstance, ...] = ()
    offered: tuple[PlannedOffer, ...] = ()
    name_server: PlannedNameServer | None = None

    @classmethod
    def of(cls, plan: Plan) -> DyncastPlan:
        """Return a plan with Dyncast's part of it, typed."""
        if isinstance(plan, cls):
            return plan
        shared: dict[str, Any] = {item.name: getattr(plan, item.name) for item in fields(Plan)}
        return cls(**{**shared, **plan.parts["dyncast"]})

    @property
    def reported(self) -> tuple[PlannedInstance | PlannedOffer, ...]:
        """All that D-MAs report of."""
        return (*self.instances, *self.offered)

    @property
    def offers_to_know(self) -> frozenset[tuple[str, str]]:
        """The instances of other systems, by D-SID and D-BID, that each D-Router must know before the load."""
        services = self.scenario.services
        return frozenset((str(services[item.service].d_sid), item.d_bid) for item in self.offered if item.is_first)

    @property
    def d_bids_to_know(self) -> dict[str, set[str]]:
        """The instances that each receiver of reports must know before the load: those it may select, and no others.

        Without those of other systems.
        """
        server, first = self.name_server, self.first_instances
        by_name = {item.d_bid for item in first if server and item.service in server.steered}
        to_know = {f"control@{site}": {item.d_bid for item in first} - by_name for site in self.sites}
        return {**to_know, server.name: by_name} if server and by_name else to_know

    @property
    def first_instances(self) -> tuple[PlannedInstance, ...]:
        """The instances that run from the start; the others are started by a fault."""
        later = not_running_at_first(self.faults)
        return tuple(item for item in self.instances if item.name not in later)

    @property
    def instance_addresses(self) -> frozenset[str]:
        """The addresses of all instances, of both families."""
        return frozenset(str(address.ip) for item in self.reported for address in self.addresses.host(item.host))

    @property
    def dispatchers(self) -> tuple[str, ...]:
        """All CFN Dispatchers."""
        return tuple(node.name for node in self.topology.with_role(DISPATCHER))

    def agent_node(self, site: str) -> str:
        """Return the node that the D-MA of a site runs on."""
        return agent_name(site) if self.scenario.metrics.agent_at == "edge" else site


def hosts(scenario: Scenario, topology: Topology) -> list[Host]:
    """Return the hosts of instances, and Dispatchers. Raises TopologyError."""
    keys = DyncastScenario.of(scenario)
    placed = place(keys, topology)
    added = [Host(item.host, INSTANCE, item.site, item.keys.link.spec()) for item in placed if item.adds_host]
    return added + dispatchers.hosts(keys, topology)


def planned(plan: Plan) -> dict[str, Any]:
    """Return Dyncast's part: what `DyncastPlan` has beside the stage's. Raises TopologyError."""
    own, topology, addresses = DyncastScenario.of(plan.scenario), plan.topology, plan.addresses
    scenario = with_offered(own)
    dispatchers.check(scenario, topology)
    for number, d_sids in enumerate(scenario.d_sid_ranges):
        addresses.check_d_sid_range(d_sids, f"d_sid_ranges[{number}]")
    for name, service in own.services.items():
        addresses.check_d_sid(service.d_sid, f"services.{name}.d_sid")
    for item in offered(own):
        addresses.check_d_sid(item.address, f"{item.key}.d_sid")
    loads.check(plan)
    controller = scenario.control.controller
    if controller is not None and controller not in plan.sites:
        raise unknown_name("control.controller: there is no site", controller, plan.sites)
    _check_static(scenario, plan)
    instances = tuple(
        PlannedInstance(
            item.name, item.host, item.site, item.keys.service, _d_bid(scenario, item, addresses), item.keys
        )
        for item in place(scenario, topology)
    )
    name_server = name_service.planned(scenario, topology, addresses)
    offers = tuple(_offers(own, addresses))
    return {"scenario": scenario, "instances": instances, "offered": offers, "name_server": name_server}


def _offers(scenario: DyncastScenario, addresses: AddressPlan) -> Iterator[PlannedOffer]:
    for service in offered(scenario):
        for item in service.instances:
            host = addresses.host(item.host)
            d_bid = (host.ipv4 if service.address.version == 4 else host.ipv6).ip
            where = item.metrics_port, item.metrics_path, item.is_first
            yield PlannedOffer(item.name, item.host, item.site, service.name, str(d_bid), *where)


def _check_static(scenario: DyncastScenario, plan: Plan) -> None:
    site = scenario.policy_parameters.get("static", {}).get("site", "")
    if site and site not in plan.sites:
        raise unknown_name("policy_parameters.static.site: there is no site", str(site), plan.sites)


def _d_bid(scenario: DyncastScenario, item: Placed, addresses: AddressPlan) -> str:
    host = addresses.host(item.host)
    return str((host.ipv4 if scenario.services[item.keys.service].d_sid.version == 4 else host.ipv6).ip)
