"""Function delivery on a testbed: clusters started with what they hold, users who invoke, figures of fidelity."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from testbed.agents.cluster_client import truth
from testbed.agents.host.shown_documents import ShownDocument
from testbed.emulation import run_tag
from testbed.experiment.faults.steps import Happening, Step
from testbed.experiment.fidelity.process_gaps import Window, Windows
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch import generators
from testbed.experiment.launch.processes import RunError
from testbed.experiment.launch.running import Running
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.live.instance_loads import InstanceLoads
from testbed.experiment.progress import InstanceLoad
from testbed.experiment.systems.alto import topology_facts
from testbed.experiment.systems.alto.cluster_api import ClusterApi, ClusterApiError
from testbed.experiment.systems.alto.faults.operations import RunOperations
from testbed.experiment.systems.alto.faults.performer import FaultPerformer, Refill
from testbed.experiment.systems.alto.keys.workload import InvokeKeys
from testbed.experiment.systems.alto.launch import function_code, installing, process_configs, workload_files
from testbed.experiment.systems.alto.launch.credentials import Credentials
from testbed.experiment.systems.alto.launch.delivering import Delivering
from testbed.experiment.systems.alto.launch.installing import Creating
from testbed.experiment.systems.alto.launch.known_clusters import KnownClusters
from testbed.experiment.systems.alto.plan.faults import concerned
from testbed.experiment.systems.alto.plan.plan import AltoPlan, PlannedCluster, PlannedServer
from testbed.experiment.systems.alto.run import traced
from testbed.experiment.systems.alto.true_paths import true_paths
from traffic.config import InvokeWorkloadConfig
from traffic.traces.file import Drawn

_CLUSTER = "testbed.agents.cluster"
_SUFFIXES = {"alto": "_server"}
_GENERATOR = "traffic.generator"
_LIVES = 10_000  # more than the clusters of a run: what a life of a cluster adds to its number
_START_S = 2.0  # as long as a process takes to start and to serve again
_READY_TIMEOUT_S = 60.0
_DELIVERED_WITHIN_S = 600.0  # as long as a cluster goes on with a delivery


class RunningAlto(Running):
    """The processes of function delivery, its load and its figures."""

    def __init__(self, testbed: Testbed) -> None:
        super().__init__(testbed)
        self.plan = AltoPlan.of(testbed.plan)
        self._auth = f"dyncast:{secrets.token_hex(16)}"  # of all clusters of the run
        self._credentials: Credentials | None = None
        self._workloads: dict[str, list[InvokeWorkloadConfig]] = {}
        self._generators: list[str] = []
        self._started: list[str] = []
        self._paths: ShownDocument | None = None  # for the policy `oracle`
        self._lives: Counter[str] = Counter()  # of clusters
        self._faults = FaultPerformer(
            RunOperations(self),
            self.plan.scenario.faults,
            topology_facts.pid_names(self.plan.topology),
            "" if self.plan.alto_server is None else self.plan.alto_server.name,
            self._refill,
        )
        self._traced: list[Drawn] = []
        self._loads = InstanceLoads(testbed.folder, [item.name for item in self.plan.clusters])

    def start(self) -> None:
        """Start servers and clusters, then who asks them; without a repository, clusters hold what they are to hold."""
        plan, testbed = self.plan, self.testbed
        if not plan.clusters:
            return
        testbed.progress.phase(f"starting {len(plan.clusters)} clusters{_beside(plan)}")
        self._show_truth()
        self._credentials = Credentials.of(plan, run_tag.keys_folder(testbed.tag))
        self._credentials.write(plan)
        self._start_servers("repository", "alto")
        for item in plan.clusters:
            self.start_cluster(item)
        testbed.processes.wait_ready(self._started, _READY_TIMEOUT_S)
        self._start_servers("alto-client", "cluster-client")
        testbed.processes.wait_ready(self._started, _READY_TIMEOUT_S)
        if plan.repository is None:
            self._create_functions()

    def settle(self) -> None:
        """Have functions delivered over the links; wait until the ALTO client knows all clusters."""
        if self.plan.repository is not None:
            self._deliver(self.plan.repository)
        if self.plan.cluster_client is not None:
            self._wait_for_alto()

    def _deliver(self, repository: PlannedServer) -> None:
        holding = [item for item in self.plan.clusters if item.holds]
        if not holding:
            return
        self.testbed.progress.phase(f"delivering functions to {len(holding)} clusters")
        delivering = Delivering(repository, holding, self._auth, self.testbed.network.pid)
        try:
            delivering.begin()
            if not self.testbed.processes.wait_until(delivering.are_over, _DELIVERED_WITHIN_S):
                raise RunError(f"not delivered after {_DELIVERED_WITHIN_S:g} s: {delivering.missing}")
        except ClusterApiError as error:
            raise RunError(str(error)) from error

    def _wait_for_alto(self) -> None:
        """Wait until lists have all clusters and paths to them: what comes before is start-up, not a result."""
        self.testbed.progress.phase("waiting until ALTO knows every cluster")
        authority = None if self._credentials is None else self._credentials.authority
        known = KnownClusters(self.plan, self._auth, self.testbed.network.pid, authority)
        keys = self.plan.scenario.alto
        timeout_s = _READY_TIMEOUT_S + (3 * keys.interval_s + keys.window_s if keys else 0.0)
        try:
            if not self.testbed.processes.wait_until(known.is_complete, timeout_s):
                raise RunError(f"the ALTO client does not know after {timeout_s:g} s: {known.missing}")
        except ClusterApiError as error:
            raise RunError(str(error)) from error

    def ends_first(self) -> Iterable[Collection[str]]:
        """Who asks, then clusters, whose containers end with them, and servers."""
        yield list(reversed(self._started))

    def prepare_load(self, base: Path) -> int:
        """Draw all arrivals, write all payloads."""
        folder = self.testbed.folder / "workloads"
        self._workloads = workload_files.write(self.plan, folder, base, self._auth, self._take_trace)
        return len(self._workloads)

    def _take_trace(self, workload: InvokeKeys, drawn: Drawn) -> None:
        """Say what a trace had for a workload, and keep it for the verdict."""
        self.testbed.progress.phase(f"trace {workload.arrivals.path}, workload {workload.name}: {drawn}")
        self._traced.append(drawn)

    def start_load(self, start_s: float) -> Sequence[str]:
        """Users: one generator at each client that takes part."""
        for client in self.plan.clients:
            if client.name in self._workloads:
                of_client = self._workloads[client.name]
                users = process_configs.users(self.plan, client, of_client, start_s, self.testbed.folder)
                self.testbed.processes.start(client.name, _GENERATOR, users, may_end=True)
                self._generators.append(users.name)
        return self._generators

    @property
    def longest_work_s(self) -> float:
        """The longest time that a user waits."""
        return max((item.timeout_s for _, item in self.plan.scenario.invocations), default=0.0)

    def perform(self, step: Step) -> str:
        """Perform the begin or the end of a fault of a cluster, of the ALTO server or of the repository."""
        return self._faults.perform(step)

    def step(self, now_s: float) -> Iterable[Happening]:
        """Have clusters that came back get what they held."""
        del now_s
        return self._faults.step()

    def end_faults(self) -> Iterable[Happening]:
        """Have halted processes go on; say which clusters lack what they held."""
        return self._faults.end()

    def planned_windows(self, start_s: float) -> Windows:
        """Return when faults end or halt clusters and the ALTO server."""
        server = "" if self.plan.alto_server is None else self.plan.alto_server.name
        windows: dict[str, list[Window]] = {}
        for process, fault in concerned(self.plan.faults, server):
            until_s = math.inf if fault.until_s is None else fault.until_s
            windows.setdefault(process, []).append(Window(start_s + fault.at_s, start_s + until_s + _START_S))
        return windows

    def on_links_changed(self) -> None:
        """Show what paths are like now, if somebody goes by that."""
        if self._paths is not None:
            self._paths.show(true_paths(self.plan, self.testbed.network.present))

    def stop(self) -> None:
        """Show it no more."""
        if self._paths is not None:
            self._paths.close()

    def loads(self) -> list[InstanceLoad]:
        """Return the latest sample of each cluster."""
        return self._loads.read()

    def _show_truth(self) -> None:
        folder = process_configs.truth_dir(self.plan, self.testbed.folder)
        if folder is not None:
            folder.mkdir(parents=True)
            self._paths = ShownDocument(truth.paths_path(folder))
            self.on_links_changed()

    def _folder(self, *parts: str) -> Path:
        folder = self.testbed.folder.joinpath(*parts)
        folder.mkdir(parents=True)
        return folder

    def _start_servers(self, *kinds: str) -> None:
        plan, folder, processes = self.plan, self.testbed.folder, self.testbed.processes
        for kind in kinds:
            item = plan.servers.get(kind)
            if item is not None:
                store = self._folder("repository") if kind == "repository" else folder
                assert self._credentials is not None
                config = process_configs.server(plan, kind, item, self._auth, folder, store, self._credentials)
                processes.start(item.name, f"testbed.agents.{kind.replace('-', '_')}{_SUFFIXES.get(kind, '')}", config)
                self._started.append(item.name)

    def start_cluster(self, item: PlannedCluster) -> None:
        """Start a cluster; in a further life its containers have other names, and it finds what was delivered."""
        testbed = self.testbed
        life = replace(item, number=item.number + _LIVES * self._lives[item.name])
        self._lives[item.name] += 1
        run_dir = run_tag.containers_folder(testbed.tag) / str(life.number)
        run_dir.mkdir()
        store = testbed.folder / "stores" / str(item.number) if self.plan.repository else None
        if store is not None:
            store.mkdir(parents=True, exist_ok=True)
        config = process_configs.cluster(self.plan, life, self._auth, testbed.folder, run_dir=run_dir, store_dir=store)
        testbed.processes.start(item.name, _CLUSTER, config)
        if item.name not in self._started:
            self._started.append(item.name)

    def cluster_api(self, item: PlannedCluster) -> ClusterApi:
        """Return a conversation with a cluster. Raises ClusterApiError."""
        return ClusterApi(item.name, self.testbed.network.pid(item.name), item.address, item.port, self._auth)

    def server_api(self, item: PlannedServer) -> ClusterApi:
        """Return a conversation with a server, in the same way. Raises ClusterApiError."""
        return ClusterApi(item.name, self.testbed.network.pid(item.name), item.address, item.port, self._auth)

    def _refill(self, name: str) -> Refill | None:
        """Return what brings a cluster the functions that it held before the load."""
        item = next(item for item in self.plan.clusters if item.name == name)
        if not item.holds:
            return None
        if self.plan.repository is None:
            return Creating(item, self.testbed.network.pid, self._auth, self._documents(item))
        return Delivering(self.plan.repository, [item], self._auth, self.testbed.network.pid)

    def _create_functions(self) -> None:
        for item in self.plan.clusters:
            installing.create(item, self.testbed.network.pid(item.name), self._auth, self._documents(item))

    def _documents(self, item: PlannedCluster) -> dict[str, dict[str, Any]]:
        """Return what creates the functions that a cluster holds before the load."""
        keys = self.plan.scenario.functions
        return {name: function_code.document(keys[name], self.plan.folder) for name in item.holds}

    def assess(self, fidelity: Fidelity, start_s: float) -> None:
        """Note what traces had, and what of it could not be replayed."""
        del start_s
        traced.assess(fidelity, self._traced)

    def sending(self) -> Mapping[str, Mapping[str, Any]]:
        """Return how its generators kept to their schedules."""
        return dict(generators.sending(self.testbed.folder, self._generators))


def _beside(plan: AltoPlan) -> str:
    return f" and {len(plan.servers)} servers" if plan.servers else ""
