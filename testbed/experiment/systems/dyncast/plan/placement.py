"""Where the instances and D-MAs of a scenario are: names, hosts and sites. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.dyncast.roles import AGENT, INSTANCE
from testbed.experiment.plan.names import fresh_names
from testbed.experiment.schema_parts import LinkKeys
from testbed.experiment.systems.dyncast.keys.instance import InstanceKeys
from testbed.experiment.systems.dyncast.offered import offered
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from topologies.sites import Host
from topologies.spec import Topology, TopologyError, unknown_name


@dataclass(frozen=True)
class Placed:
    """An instance on its host; `adds_host`: the host is none of the topology's own."""

    name: str
    host: str
    site: str
    keys: InstanceKeys
    adds_host: bool


def place(scenario: DyncastScenario, topology: Topology) -> list[Placed]:
    """Return the instances of a scenario, in order. Raises TopologyError for a host that is not there."""
    placed: list[Placed] = []
    existing = [node.name for node in topology.with_role(INSTANCE)]
    for keys in scenario.instances:
        taken = {item.name for item in placed}
        if keys.site is not None:
            names = fresh_names(keys.service, keys.site, keys.count, taken)
            placed += [Placed(name, name, keys.site, keys, adds_host=True) for name in names]
            continue
        assert keys.host is not None
        if keys.host not in existing:
            raise unknown_name("instances: the topology has no instance host", keys.host, existing)
        if any(item.host == keys.host for item in placed):
            raise TopologyError(f"instances: host {keys.host!r} runs two instances; give each a host of its own")
        site = topology.site_of(keys.host)
        (name,) = fresh_names(keys.service, site, 1, taken)
        placed.append(Placed(name, keys.host, site, keys, adds_host=False))
    return placed


def agent_hosts(scenario: DyncastScenario, topology: Topology) -> list[Host]:
    """Return a host for the D-MA of each site with instances, where it does not run on the D-Router."""
    if scenario.metrics.agent_at == "d_router":
        return []
    link = (scenario.metrics.agent_link or LinkKeys()).spec()
    sites = [item.site for item in place(scenario, topology)]
    sites += [item.site for service in offered(scenario) for item in service.instances]
    return [Host(agent_name(site), AGENT, site, link) for site in dict.fromkeys(sites)]


def agent_name(site: str) -> str:
    """Return what the D-MA of a site is called, and its host where it has one of its own."""
    return f"dma@{site}"
