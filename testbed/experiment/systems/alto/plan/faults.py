"""Faults of clusters, of the ALTO server and of the repository: whose invocations each can concern. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from testbed.experiment.plan.fault_plan import check_name
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.systems.alto.keys import fault as kinds
from testbed.experiment.systems.alto.keys.fault import AltoFaultKeys
from testbed.experiment.systems.alto.plan.plan import AltoPlan, PlannedCluster
from topologies.spec import TopologyError


def plan_fault(plan: AltoPlan, key: str, keys: FaultKeys, fault: PlannedFault) -> PlannedFault:
    """Resolve a fault of one of function delivery's kinds. Raises TopologyError naming the key and the way out."""
    own = AltoFaultKeys.of(keys)
    if own.kind in (kinds.CLUSTER_KILLED, kinds.CONTAINER_KILLED):
        return _of_cluster(plan, key, own, fault)
    if own.kind == kinds.CODE_CORRUPT:
        return _of_code(plan, key, own, fault)
    if plan.alto_server is None:
        raise TopologyError(
            f"{key}.kind: {own.kind} is about an ALTO server, and there is none; say where by alto.site"
        )
    if own.kind == kinds.ALTO_WRONG_COST:
        return _of_cost(plan, key, own, fault)
    return replace(fault, target=plan.alto_server.name, site=plan.alto_server.site)


def concerned(faults: Iterable[PlannedFault], alto_server: str) -> Iterator[tuple[str, PlannedFault]]:
    """Yield the process that each fault ends or halts, if it does."""
    for fault in faults:
        if fault.kind == kinds.CLUSTER_KILLED:
            yield fault.instance, fault
        elif fault.kind == kinds.ALTO_SILENT:
            yield alto_server, fault


def _of_cluster(plan: AltoPlan, key: str, keys: AltoFaultKeys, fault: PlannedFault) -> PlannedFault:
    assert keys.site is not None
    by_site = {item.site: item for item in plan.clusters}
    check_name(f"{key}.site: there is no cluster at site", keys.site, by_site)
    if keys.kind == kinds.CONTAINER_KILLED and keys.until_s is not None:
        raise TopologyError(f"{key}.until_s: a container that was killed does not come back; leave it out")
    cluster: PlannedCluster = by_site[keys.site]
    reach = tuple((site, cluster.name) for site in sorted({client.site for client in plan.clients}))
    return replace(fault, target=cluster.name, instance=cluster.name, site=cluster.site, reach=reach)


def _of_code(plan: AltoPlan, key: str, keys: AltoFaultKeys, fault: PlannedFault) -> PlannedFault:
    assert keys.function is not None
    check_name(f"{key}.function: there is no function", keys.function, plan.scenario.functions)
    if plan.repository is None:
        raise TopologyError(
            f"{key}.kind: code_corrupt is about a repository, and there is none; see delivery.repository"
        )
    return replace(fault, target=keys.function, site=plan.repository.site)


def _of_cost(plan: AltoPlan, key: str, keys: AltoFaultKeys, fault: PlannedFault) -> PlannedFault:
    assert keys.between is not None
    for site in keys.between:
        check_name(f"{key}.between: there is no site", site, plan.sites)
    if len(set(keys.between)) == 1:
        raise TopologyError(f"{key}.between: takes two sites, not {keys.between[0]!r} twice")
    if (keys.factor is None) == (keys.delay_ms is None):
        raise TopologyError(f"{key}: alto_wrong_cost takes either factor or delay_ms")
    return replace(fault, target=" - ".join(keys.between))
