"""Function delivery as a system of the testbed: clusters at sites run functions, which users invoke."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from testbed.experiment.launch.running import Running
from testbed.experiment.live.flow_rates import FlowRates
from testbed.experiment.live.source import LiveFlows, ShownInstance
from testbed.experiment.plan.plan import Plan
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.system import OfferedService, System, WantedReports
from testbed.experiment.systems.alto.keys.fault import KINDS, AltoFaultKeys
from testbed.experiment.systems.alto.keys.workload import InvokeKeys
from testbed.experiment.systems.alto.plan import offered, plan
from testbed.experiment.systems.alto.plan.faults import plan_fault
from testbed.experiment.systems.alto.plan.plan import AltoPlan
from testbed.experiment.systems.alto.rules import RULES
from testbed.experiment.systems.alto.scenario import AltoScenario
from topologies.sites import Host
from topologies.spec import Topology

if TYPE_CHECKING:
    from testbed.experiment.launch.testbed import Testbed


class Alto(System):
    """The system of draft-alto-deliver-functions."""

    name = "alto"
    keys = AltoScenario
    work = ("functions",)
    workloads: ClassVar = {"invoke": InvokeKeys}
    faults = AltoFaultKeys
    fault_kinds = KINDS
    rules = RULES

    def more_hosts(self, scenario: Scenario, topology: Topology) -> Iterable[Host]:
        """Hosts of clusters."""
        return plan.hosts(scenario, topology)

    def plan(self, of: Plan) -> Any:
        """Clusters with their addresses."""
        return plan.planned(of)

    def plan_fault(self, of: Plan, key: str, keys: FaultKeys, fault: PlannedFault) -> PlannedFault:
        """A cluster, the ALTO server, or code at the repository."""
        return plan_fault(AltoPlan.of(of), key, keys, fault)

    def reach_of_cut(self, of: Plan, links: Collection[frozenset[str]]) -> Iterable[tuple[str, str]]:
        """Sites of users, and clusters, between which the path crosses one of these links."""
        return plan.reach(AltoPlan.of(of), links)

    def references(self, scenario: Scenario) -> Iterable[str]:
        """Code and layers of functions, payloads, and durations of traces."""
        keys = AltoScenario.of(scenario)
        for function in keys.functions.values():
            yield function.code
            yield from function.layers.values()
        for _, workload in keys.invocations:
            if workload.payload is not None and workload.payload.folder is not None:
                yield workload.payload.folder
            if workload.arrivals.invocations is not None and workload.arrivals.invocations.durations is not None:
                yield workload.arrivals.invocations.durations

    def rehearse(self, of: Plan, source: Path, folder: Path, *, with_load: bool) -> None:
        """Code of all functions, configurations of all processes, arrivals and payloads."""
        from testbed.experiment.systems.alto.launch.rehearsal import check

        check(AltoPlan.of(of), source, folder, with_load=with_load)

    def wanted_reports(self, of: Plan) -> WantedReports | None:
        """To the ALTO server."""
        planned, keys = AltoPlan.of(of), AltoScenario.of(of.scenario).alto
        if keys is None or planned.alto_server is None:
            return None
        return WantedReports(planned.alto_server.address, plan.REPORTS_PORT, keys.interval_s, keys.window_s)

    def offered_services(self, scenario: Scenario) -> Iterable[OfferedService]:
        """Functions with a D-SID, at the clusters that may hold them."""
        return offered.services(scenario)

    def policy(self, scenario: Scenario) -> str:
        """By what users are sent to clusters: the placement policy, the nearest that holds it, or as they say."""
        keys = AltoScenario.of(scenario)
        users = [workload for _, workload in keys.invocations]
        asked = [item.to for item in users if keys.is_placed or item.to or not keys.functions[item.function].steered]
        if not asked:
            return ""
        if keys.delivery is not None and keys.is_placed and None in asked:
            return keys.delivery.policy
        return "nearest" if None in asked else "named"

    def overload_tolerant_hosts(self, of: Plan) -> Collection[str]:
        """Clusters, where functions work for real."""
        return [item.name for item in AltoPlan.of(of).clusters]

    def manifest(self, of: Plan) -> Mapping[str, Any]:
        """Clusters and functions."""
        from testbed.experiment.systems.alto.run import manifest

        return manifest.entries(AltoPlan.of(of))

    def running(self, testbed: Testbed) -> Running:
        """Its processes on a testbed."""
        from testbed.experiment.systems.alto.launch.running import RunningAlto

        return RunningAlto(testbed)

    def instances(self, of: Plan) -> Sequence[ShownInstance]:
        """Clusters."""
        return [ShownInstance(item.name, item.name, item.site, item.keys.slots) for item in AltoPlan.of(of).clusters]

    def live_flows(self, of: Plan, work: Path, rates: FlowRates) -> LiveFlows:
        """Invocations, by their own rows."""
        from testbed.experiment.systems.alto.run.live_flows import Invocations

        return Invocations(AltoPlan.of(of), work, rates)

    def completing(self, of: Plan, work: Path) -> Mapping[str, Callable[[dict[str, str]], dict[str, str]]]:
        """Where the cluster is that answered."""
        del work
        site_of = {item.name: item.site for item in AltoPlan.of(of).clusters}

        def of_flow(row: dict[str, str]) -> dict[str, str]:
            return {**row, "site": site_of[row["instance"]]} if row["instance"] in site_of else row

        def of_activation(row: dict[str, str]) -> dict[str, str]:
            return {**row, "cluster_site": site_of.get(row["cluster"], "")}

        return {"flows": of_flow, "activations": of_activation}


SYSTEM = Alto()
