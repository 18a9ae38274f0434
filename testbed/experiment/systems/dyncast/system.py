"""Dyncast as a system of the testbed: services at D-SIDs, steered by D-Routers to the best of their instances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from testbed.experiment.launch.running import Running
from testbed.experiment.live.flow_rates import FlowRates
from testbed.experiment.live.source import LiveFlows, ShownInstance
from testbed.experiment.plan.plan import Plan
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.progress import Progress
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.system import ScenarioCommand, System
from testbed.experiment.systems.dyncast.keys.fault import KINDS, DyncastFaultKeys
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.offered import with_offered
from testbed.experiment.systems.dyncast.plan import faults, placement, plan
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.experiment.systems.dyncast.rules import RULES
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from topologies.sites import Host
from topologies.spec import Topology

if TYPE_CHECKING:
    from testbed.experiment.launch.testbed import Testbed


class Dyncast(System):
    """The system of draft-li-rtgwg-dyncast-architecture and draft-li-rtgwg-cfn-dyncast-architecture."""

    name = "dyncast"
    keys = DyncastScenario
    work = ("services",)
    workloads: ClassVar = {"flows": FlowKeys}
    faults = DyncastFaultKeys
    fault_kinds = KINDS
    rules = RULES

    def hosts(self, scenario: Scenario, topology: Topology) -> Iterable[Host]:
        """Hosts of instances, and Dispatchers."""
        return plan.hosts(scenario, topology)

    def more_hosts(self, scenario: Scenario, topology: Topology) -> Iterable[Host]:
        """Hosts of D-MAs at the edge."""
        return placement.agent_hosts(DyncastScenario.of(scenario), topology)

    def plan(self, of: Plan) -> Any:
        """Instances with their D-BIDs, and the name server."""
        return plan.planned(of)

    def plan_fault(self, of: Plan, key: str, keys: FaultKeys, fault: PlannedFault) -> PlannedFault:
        """Faults of instances, D-MAs and control processes."""
        return faults.plan_fault(DyncastPlan.of(of), key, keys, fault)

    def reach_of_cut(self, of: Plan, links: Collection[frozenset[str]]) -> Iterable[tuple[str, str]]:
        """Flows, and metrics on the way from a D-MA at the edge."""
        return faults.reach_of_cut(DyncastPlan.of(of), links)

    def unheeded(self, scenario: Scenario, key: str) -> str:
        """The policy, where no service is steered by it."""
        services = with_offered(scenario).services.values()
        if key == "policy" and services and all(service.policy is not None for service in services):
            return "each service of {scenario} has a policy of its own; leave those out"
        return ""

    def check_machine(self, of: Plan, source: Path) -> None:
        """Programs that instances and clients run."""
        from testbed.experiment.systems.dyncast.launch import command_configs

        command_configs.check_programs(DyncastPlan.of(of), source)

    def rehearse(self, of: Plan, source: Path, folder: Path, *, with_load: bool) -> None:
        """Configurations of all processes, and arrivals."""
        from testbed.experiment.systems.dyncast.launch.rehearsal import check

        check(DyncastPlan.of(of), source, folder, with_load=with_load)

    def commands(self, of: Plan) -> Iterable[ScenarioCommand]:
        """Programs that instances and clients run."""
        from testbed.experiment.systems.dyncast.launch import command_configs

        return command_configs.scenario_commands(DyncastPlan.of(of))

    def needs_tunnels(self, of: Plan) -> bool:
        """For services whose D-SID stays in the packet."""
        return bool(DyncastScenario.of(of.scenario).tunnelled_services)

    def policy(self, scenario: Scenario) -> str:
        """The policy of all services that name none."""
        keys = with_offered(scenario)
        return keys.policy if keys.services else ""

    def overload_tolerant_hosts(self, of: Plan) -> Collection[str]:
        """Hosts of instances that work for real."""
        return [item.host for item in DyncastPlan.of(of).instances if item.keys.mode == "burn" or item.keys.command]

    def manifest(self, of: Plan) -> Mapping[str, Any]:
        """Policies, services, instances, and round trips."""
        from testbed.experiment.systems.dyncast.run import manifest

        return manifest.entries(DyncastPlan.of(of))

    def running(self, testbed: Testbed) -> Running:
        """Its processes on a testbed."""
        from testbed.experiment.systems.dyncast.launch.running import RunningDyncast

        return RunningDyncast(testbed)

    def instances(self, of: Plan) -> Sequence[ShownInstance]:
        """Service instances."""
        found = DyncastPlan.of(of).instances
        return [ShownInstance(item.name, item.host, item.site, item.keys.workers) for item in found]

    def live_flows(self, of: Plan, work: Path, rates: FlowRates) -> LiveFlows:
        """Flows, by their own rows, by decisions and by weights."""
        from testbed.experiment.systems.dyncast.run.live_flows import DyncastFlows

        return DyncastFlows(DyncastPlan.of(of), work, rates)

    def completing(self, of: Plan, work: Path) -> Mapping[str, Callable[[dict[str, str]], dict[str, str]]]:
        """Who served each flow."""
        from testbed.experiment.systems.dyncast.run import served_flows

        return {"flows": served_flows.completing(DyncastPlan.of(of), work)}

    def conclude(self, of: Plan, run_dir: Path, progress: Progress) -> None:
        """What the faults did to flows."""
        if of.faults:
            from testbed.analysis.flows import fault_effects

            progress.phase("working out what the faults did")
            fault_effects.complete(run_dir)


SYSTEM = Dyncast()
