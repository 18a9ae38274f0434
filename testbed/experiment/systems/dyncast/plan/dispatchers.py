"""CFN Dispatchers in a plan: those that `clients` ask for, and which services they can serve. Pure."""

from __future__ import annotations

from testbed.dyncast.roles import DISPATCHER
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from topologies.sites import Host
from topologies.spec import LinkSpec, Topology, TopologyError


def hosts(scenario: DyncastScenario, topology: Topology) -> list[Host]:
    """Return the Dispatchers that clients name and the topology has not. Raises TopologyError."""
    known = {node.name: topology.site_of(node.name) for node in topology.with_role(DISPATCHER)}
    added: list[Host] = []
    for number, keys in enumerate(scenario.clients):
        if keys.dispatcher is None:
            continue
        if keys.dispatcher not in known:
            link = LinkSpec(delay_ms=scenario.dispatcher.delay_ms)
            added.append(Host(keys.dispatcher, DISPATCHER, keys.site, link))
            known[keys.dispatcher] = keys.site
        if known[keys.dispatcher] != keys.site:
            at = known[keys.dispatcher]
            raise TopologyError(f"clients[{number}].dispatcher: {keys.dispatcher!r} is at {at!r}, not at {keys.site!r}")
    return added


def check(scenario: DyncastScenario, topology: Topology) -> None:
    """Raise TopologyError for a service that clients behind a Dispatcher could not use."""
    if not topology.with_role(DISPATCHER):
        return
    for name, service in scenario.services.items():
        for key, value, needed in (
            ("affinity.mode", service.affinity.mode, "reactive"),
            ("steering", service.steering, "rewrite"),
        ):
            if value != needed:
                raise TopologyError(
                    f"services.{name}.{key}: a CFN Dispatcher binds flows itself and rewrites; make it {needed}"
                )
