"""What a system provides to the experiments: the one class to write, and the way to all that are registered.

A system is a subclass of `System` with an instance called `SYSTEM`, in the module that its registration
(`testbed.systems`) names. What it leaves out adds nothing to a run. Modules that are heavy to import are imported by
the method that needs them: a scenario is checked without any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from testbed.experiment.scenario.fault_keys import FaultKeys, FaultKind
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.net.addresses import Address
from testbed.systems import parts

if TYPE_CHECKING:
    from testbed.experiment.launch.running import Running
    from testbed.experiment.launch.testbed import Testbed
    from testbed.experiment.live.flow_rates import FlowRates
    from testbed.experiment.live.source import LiveFlows, ShownInstance
    from testbed.experiment.plan.plan import Plan
    from testbed.experiment.plan.planned_fault import PlannedFault
    from testbed.experiment.progress import Progress
    from topologies.sites import Host
    from topologies.spec import Topology


class ScenarioCommand(NamedTuple):
    """A program of others: the key that says so, the host that it runs at, its words; root or whoever calls runs it."""

    key: str
    host: str
    argv: Sequence[str]
    as_root: bool


class WantedReports(NamedTuple):
    """Where edge routers are to report in band what they measure: how often, and of how long before."""

    address: Address
    port: int
    interval_s: float
    window_s: float


class OfferedInstance(NamedTuple):
    """Where a service may be served: a host of the network, and where that is asked for its metrics by HTTP.

    `is_first`: it serves before the load begins; any other may come meanwhile, and each may go. Metrics are there while
    it serves.
    """

    name: str
    host: str
    site: str
    metrics_port: int
    metrics_path: str
    is_first: bool


class OfferedService(NamedTuple):
    """A service (TCP) at an address that all its instances share, for edge routers to steer. `key`: who asks for it.

    `policy`: by which an instance is chosen; None: as for any service. A connection that was idle for `idle_s` is over.
    """

    key: str
    name: str
    address: Address
    port: int
    policy: str | None
    idle_s: int
    instances: tuple[OfferedInstance, ...]


class System:
    """A system's part of an experiment, in the order of a run. `name` is that of its registration."""

    name: ClassVar[str]

    # -- the scenario: keys that it adds, those of them that mean work to do, kinds of workload and of fault ----------

    keys: ClassVar[type[Scenario]] = Scenario
    work: ClassVar[tuple[str, ...]] = ()
    workloads: ClassVar[Mapping[str, type[WorkloadKeys]]] = {}
    faults: ClassVar[type[FaultKeys]] = FaultKeys
    fault_kinds: ClassVar[Mapping[str, FaultKind]] = {}
    # Rules over a whole scenario; each raises ValueError that begins with the key.
    rules: ClassVar[tuple[Callable[[Scenario], None], ...]] = ()

    # -- the plan: what cannot be is said here, by TopologyError that begins with the key -----------------------------

    def hosts(self, scenario: Scenario, topology: Topology) -> Iterable[Host]:
        """Return the hosts that it adds to the network before clients, which may be behind one."""
        return ()

    def more_hosts(self, scenario: Scenario, topology: Topology) -> Iterable[Host]:
        """Return the hosts that it adds after clients, so that clients keep their addresses whether it does or not."""
        return ()

    def plan(self, plan: Plan) -> Any:
        """Return its part of a plan, kept as `plan.parts[name]`."""
        return None

    def plan_fault(self, plan: Plan, key: str, keys: FaultKeys, fault: PlannedFault) -> PlannedFault:
        """Resolve a fault of one of its kinds; errors begin with the key."""
        raise NotImplementedError(f"{self.name} plans no {fault.kind}")

    def reach_of_cut(self, plan: Plan, links: Collection[frozenset[str]]) -> Iterable[tuple[str, str]]:
        """Return the pairs of ingress site and instance whose flows links concern that a fault hits."""
        return ()

    def references(self, scenario: Scenario) -> Iterable[str]:
        """Return the files and folders, as the scenario names them, that what comes out of a run depends on."""
        return ()

    def unheeded(self, scenario: Scenario, key: str) -> str:
        """Say why a key that a study varies changes nothing; empty if it may. `{scenario}` stands for its file."""
        return ""

    # -- the run: what the machine and the network must have, and what runs on them -----------------------------------

    def check_machine(self, plan: Plan, source: Path) -> None:
        """Raise ScenarioError, naming source and key, for what this machine lacks, such as a program."""

    def rehearse(self, plan: Plan, source: Path, folder: Path, *, with_load: bool) -> None:
        """Build in `folder` all that a run would hand to its processes, their load if asked, as those would read it.

        Raises ScenarioError, naming source and key or process, for what one would refuse.
        """

    def commands(self, plan: Plan) -> Iterable[ScenarioCommand]:
        """Return the programs of others that a run would start, in their order."""
        return ()

    def needs_tunnels(self, plan: Plan) -> bool:
        """Return whether edge routers must be able to send each other packets as they are."""
        return False

    def wanted_reports(self, plan: Plan) -> WantedReports | None:
        """Return where edge routers are to report what they measure of the network; None: nowhere for this system."""
        return None

    def offered_services(self, scenario: Scenario) -> Iterable[OfferedService]:
        """Return its services that another system is to steer users to, whichever can."""
        return ()

    def policy(self, scenario: Scenario) -> str:
        """Return by what it decides, as runs are compared; empty if nothing is up to it."""
        return ""

    def overload_tolerant_hosts(self, plan: Plan) -> Collection[str]:
        """Return the hosts where real work is done, which is meant to be too slow for what it is offered."""
        return ()

    def manifest(self, plan: Plan) -> Mapping[str, Any]:
        """Return the fields of the manifest (`testbed.records.manifest`) that it fills in before the run."""
        return {}

    def running(self, testbed: Testbed) -> Running:
        """Return it on a testbed that is about to be built."""
        from testbed.experiment.launch.running import Running

        return Running(testbed)

    # -- what is shown while the run goes on ---------------------------------------------------------------------------

    def instances(self, plan: Plan) -> Sequence[ShownInstance]:
        """Return its instances, whose loads `Running.loads` returns."""
        return ()

    def live_flows(self, plan: Plan, work: Path, rates: FlowRates) -> LiveFlows:
        """Return what reads its flows from the files in `work` as they grow, and adds them to `rates`."""
        from testbed.experiment.live.source import LiveFlows

        return LiveFlows()

    # -- the files of the run, when all processes have ended -----------------------------------------------------------

    def completing(self, plan: Plan, work: Path) -> Mapping[str, Callable[[dict[str, str]], dict[str, str]]]:
        """Return, by table, what completes a row from all that processes wrote to `work`."""
        return {}

    def conclude(self, plan: Plan, run_dir: Path, progress: Progress) -> None:
        """Work out what only all tables together say, and add it to them."""


def systems() -> tuple[System, ...]:
    """Return all systems that are registered."""
    return tuple(parts("experiment").values())


def policy_of(scenario: Scenario) -> str | None:
    """Return by what a scenario's systems decide; None if nothing is up to any."""
    return ", ".join(filter(None, (system.policy(scenario) for system in systems()))) or None
