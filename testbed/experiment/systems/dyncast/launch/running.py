"""Dyncast on a testbed: its processes started and ended, its load offered, its faults performed, its figures taken."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ryu_apps.dyncast.config.control_process import SwitchConfig
from ryu_apps.dyncast.config.direct import DirectConfig
from testbed.emulation import run_tag
from testbed.emulation.inspection import client as inspection
from testbed.emulation.netns import namespaces, resolver
from testbed.emulation.switches.bridges import RunningBridge
from testbed.experiment.faults.steps import Happening, Step
from testbed.experiment.fidelity.fidelity import assess_control
from testbed.experiment.fidelity.link_fidelity import IdlePath, assess_paths
from testbed.experiment.fidelity.process_gaps import Windows, is_gone
from testbed.experiment.fidelity.troubles import assess_troubles
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch.processes import RunError
from testbed.experiment.launch.running import Running
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.live.instance_loads import InstanceLoads
from testbed.experiment.progress import InstanceLoad
from testbed.experiment.systems.dyncast.faults.operations import RunOperations
from testbed.experiment.systems.dyncast.faults.performer import FaultPerformer
from testbed.experiment.systems.dyncast.faults.windows import planned_windows
from testbed.experiment.systems.dyncast.launch import (
    command_configs,
    dispatcher_configs,
    measurement_sockets,
    node_keys,
    process_configs,
)
from testbed.experiment.systems.dyncast.plan import name_service
from testbed.experiment.systems.dyncast.plan.name_service import PlannedNameServer
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.experiment.systems.dyncast.run import fidelity
from testbed.experiment.systems.dyncast.run.direct_traffic import DirectTraffic
from testbed.experiment.systems.dyncast.run.load import OfferedLoad
from testbed.records.file_names import part_path
from testbed.records.parts import whole_rows

Known = TypeVar("Known", str, tuple[str, str])  # of an instance: its D-BID, or its D-SID and D-BID

_DIRECT_TIMEOUT_S = 600  # for so long a silent conversation without a D-SID is known to the switch
_READY_TIMEOUT_S = 60.0
_CONTROL = "ryu_apps.launcher"
_INSTANCE = "testbed.agents.instance"
_METRIC_AGENT = "testbed.agents.metric_agent"


class RunningDyncast(Running):
    """Dyncast's processes, load, faults and figures."""

    modules = (_CONTROL, _INSTANCE, _METRIC_AGENT)

    def __init__(self, testbed: Testbed) -> None:
        super().__init__(testbed)
        self.plan = DyncastPlan.of(testbed.plan)
        self._folder = testbed.folder
        self._logs = testbed.logs
        self._load = OfferedLoad(self.plan, testbed)
        self._live = InstanceLoads(testbed.folder, [item.name for item in self.plan.instances])
        self._faults = FaultPerformer(RunOperations(self))
        self._idle_paths: list[IdlePath] = []
        self._keys_folder: Path | None = None
        self._zones: dict[str, dict[str, int]] = {}
        self._direct: DirectTraffic | None = None
        self._direct_zones: dict[str, int] = {}

    # -- the door --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start D-Routers, Dispatchers, instances, the name server, then D-MAs; wait until all D-Routers know all."""
        plan, processes, network = self.plan, self.testbed.processes, self.testbed.network
        if plan.scenario.metrics.authentication == "hmac":
            self._keys_folder = run_tag.keys_folder(self.testbed.tag)
            node_keys.write(plan, self._keys_folder)
        network.offer(
            {
                item.host: [plan.scenario.services[item.service].d_sid]
                for item in plan.instances
                if item.service in plan.scenario.tunnelled_services
            }
        )
        refusals = {item.d_sid: item.refusal for item in plan.scenario.services.values()}
        network.refuse(refusals, plan.scenario.d_sid_ranges)
        if not (plan.name_server and plan.name_server.steered):  # else all that clients do is direct
            clients = {client.name: network.pid(client.name) for client in plan.clients}
            self._direct = DirectTraffic(clients, plan.instance_addresses, self._folder)
        what = f"{len(plan.sites)} D-Routers, {len(plan.instances)} instances and their agents"
        self.testbed.progress.phase(f"starting {what}")
        for item in plan.first_instances:
            self.start_instance(item.name)
        steering = [*plan.sites, *plan.dispatchers]
        self._zones = self._claim_zones()
        nodes = [*self.plan.sites, *self.plan.dispatchers]
        zones = self.testbed.network.claim_zones([_DIRECT_TIMEOUT_S] * len(nodes))
        self._direct_zones = dict(zip(nodes, zones, strict=True))
        for name in steering:
            self.start_control(name)
        self._start_name_server()
        network.connect_controllers(steering)
        processes.wait_ready(processes.names(), command_configs.ready_timeout_s(plan, _READY_TIMEOUT_S))
        network.reconnect_soon(steering)
        for site in plan.sites:
            agent = process_configs.metric_agent(plan, site, self._folder, self._keys_folder)
            if agent is not None:
                processes.start(plan.agent_node(site), _METRIC_AGENT, agent)
        self._wait_for_bindings()

    def ends_first(self) -> Iterable[Collection[str]]:
        """D-MAs, then control processes."""
        yield self.testbed.processes.names("dma@")
        yield self.testbed.processes.names("control@")

    def prepare_load(self, base: Path) -> int:
        """Draw all arrivals; find out, before a network is built, whether commands can look names up."""
        if self.plan.name_server is not None:
            self._resolver(self.plan.name_server)
        return self._load.prepare(base)

    def converge(self) -> None:
        """Wait until all D-Routers know the instances of other systems, which serve by now."""
        to_know = self.plan.offers_to_know
        if to_know:
            self.testbed.progress.phase("waiting until every D-Router knows every instance")
            self._wait_until_known({f"control@{site}": to_know for site in self.plan.sites}, self._bindings_received)

    def start_load(self, start_s: float) -> Sequence[str]:
        """Generators, and commands at clients."""
        return self._load.start(start_s)

    @property
    def longest_work_s(self) -> float:
        """The longest timeout of a workload, and the longest call."""
        return self._load.longest_flow_s

    def measure_at_rest(self, until_s: float) -> None:
        """Paths between D-Routers, as their probes found them."""
        self._idle_paths = fidelity.idle_paths(self.plan, self.inspect, until_s)

    def loads(self) -> list[InstanceLoad]:
        """Return the latest sample of each instance."""
        return self._live.read()

    def perform(self, step: Step) -> str:
        """Perform the begin or the end of a fault of an instance, D-MA or control process."""
        return self._faults.perform(step)

    def step(self, now_s: float) -> Iterable[Happening]:
        """Go on with migrations."""
        return self._faults.step(now_s)

    def end_faults(self) -> Iterable[Happening]:
        """Have halted processes go on; say which migrations are unfinished."""
        return self._faults.end()

    def planned_windows(self, start_s: float) -> Windows:
        """Return when faults end or halt instances, D-MAs and control processes."""
        return planned_windows(self.plan.faults, start_s)

    def sending(self) -> Mapping[str, Mapping[str, Any]]:
        """Return how its generators kept to their schedules."""
        return self._load.sending()

    def assess(self, verdict: Fidelity, start_s: float) -> None:
        """Judge paths at rest, commands, control channels, and troubles with switches and messages."""
        planned = self.planned_windows(start_s)
        steering = [f"control@{name}" for name in (*self.plan.sites, *self.plan.dispatchers)]
        expected = [name for name in steering if not is_gone(planned.get(name, ()))]
        assess_paths(verdict, self._idle_paths)
        assess_control(verdict, fidelity.control_delays_ms(self._folder, start_s), expected)
        assess_troubles(verdict, fidelity.troubles(self._folder, self.plan, start_s, planned))
        self._load.assess(verdict)

    def stop(self) -> None:
        """Write down what went between clients and instances directly."""
        if self._direct is not None:
            self._direct.close()

    # -- processes -------------------------------------------------------------------------------------------------

    def _resolver(self, server: PlannedNameServer) -> Path:
        """Write the resolv.conf of commands; return its folder. Raises ResolverError."""
        lines = "".join(f"{line}\n" for line in name_service.resolv_conf(server))
        return resolver.write(command_configs.resolver_folder(self._folder), lines)

    def _start_name_server(self) -> None:
        server = self.plan.name_server
        config = process_configs.name_server(self.plan, self._folder, self._keys_folder)
        if server is None or config is None:
            return
        self.testbed.processes.start(server.node, "testbed.agents.name_server", config)
        self.testbed.network.use_resolver(self._resolver(server))

    def start_instance(self, name: str) -> None:
        """Start a service instance, for the first time or again."""
        number, item = next(pair for pair in enumerate(self.plan.instances) if pair[1].name == name)
        if self.plan.scenario.services[item.service].kind == "command":
            command = command_configs.instance(self.plan, item, self._folder, self._logs)
            self.testbed.processes.start(item.host, command_configs.INSTANCE_MODULE, command)
            return
        config = process_configs.instance(self.plan, item, number, self._folder)
        self.testbed.processes.start(item.host, _INSTANCE, config)

    def start_control(self, site: str) -> None:
        """Start the control process of a D-Router or Dispatcher, for the first time or again."""
        plan, bridge = self.plan, self.testbed.network.bridge(site)
        measuring = measurement_sockets.opened(self.testbed.network, plan, site)
        with self._in_band_socket(site) as in_band, measuring as measured:
            common: dict[str, Any] = {
                "datapath_id": bridge.datapath_id,
                "uplink_port": bridge.uplink_port,
                "openflow_fd": self.testbed.network.controller_socket(site),
                "in_band_fd": in_band.fileno(),
                "inspection_socket": inspection.socket_name(bridge.name),
                "keys_folder": self._keys_folder,
                "switch": SwitchConfig(
                    self.testbed.backends.datapath, bridge.management_socket, direct=self._direct_config(site)
                ),
            }
            if site in plan.dispatchers:
                config = dispatcher_configs.control(plan, site, self._folder, **common)
            else:
                config = process_configs.control(
                    plan, site, self._folder, **common, zones=self._zones[site],
                    tunnel=process_configs.tunnel(plan, site, bridge.tunnel_port, bridge.ports),
                    dispatchers=dispatcher_configs.peers_of_cfn_node(plan, site, bridge.ports), measuring=measured,
                )  # fmt: skip
            inherited = [in_band.fileno(), common["openflow_fd"], *measured.descriptors]
            self.testbed.processes.start(None, _CONTROL, config, pass_fds=inherited)

    def inspect(self, site: str, section: str) -> list[dict[str, Any]]:
        """Return what a D-Router knows, as `dyncast inspect` shows it. Raises InspectionError if it does not answer."""
        bridge = self.testbed.network.bridge(site)
        running = RunningBridge(self.testbed.tag, bridge.name, self.testbed.backends.datapath, site, bridge.prefixes)
        with inspection.ControlProcess(running) as control:
            return list(control.rows(section))

    def _direct_config(self, node: str) -> DirectConfig:
        """Return how the switch of a D-Router or Dispatcher knows direct traffic."""
        own = self.plan.addresses.site(node) if node in self.plan.sites else None
        return DirectConfig(self._direct_zones[node], (own.gateway4.ip, own.gateway6.ip) if own else ())

    def _claim_zones(self) -> dict[str, dict[str, int]]:
        """Return the conntrack zone of each service in datapath mode, at each site."""
        timeouts_s = {
            name: service.affinity.timeout_s
            for name, service in self.plan.scenario.services.items()
            if service.affinity.mode == "datapath"
        }
        numbers = iter(self.testbed.network.claim_zones([*timeouts_s.values()] * len(self.plan.sites)))
        return {site: {name: next(numbers) for name in timeouts_s} for site in self.plan.sites}

    @contextmanager
    def _in_band_socket(self, site: str) -> Iterator[socket.socket]:
        of = self.plan.addresses
        address = of.host(site).ipv4.ip if site in self.plan.dispatchers else of.site(site).gateway4.ip
        with namespaces.socket_in(self.testbed.network.pid(site), socket.AF_INET, socket.SOCK_DGRAM) as in_band:
            in_band.bind((str(address), process_configs.IN_BAND_PORT))
            yield in_band

    def _wait_for_bindings(self) -> None:
        """Wait until each node knows every instance that it may select: what comes before is start-up, not a result."""
        self.testbed.progress.phase("waiting until every D-Router knows every instance")
        self._wait_until_known(self.plan.d_bids_to_know, self._d_bids_received)

    def _wait_until_known(
        self, expected: Mapping[str, AbstractSet[Known]], known_to: Callable[[str], AbstractSet[Known]]
    ) -> None:
        timeout_s = _READY_TIMEOUT_S + 3 * self.plan.scenario.metrics.interval_s

        def known() -> bool:
            return all(items <= known_to(receiver) for receiver, items in expected.items())

        if not self.testbed.processes.wait_until(known, timeout_s):
            for receiver, items in expected.items():
                missing = sorted(items - known_to(receiver))
                if missing:
                    what = missing[0] if isinstance(missing[0], str) else " at ".join(missing[0])
                    raise RunError(f"{receiver} received no report of {what} in {timeout_s:g} s; is there a path?")

    def _d_bids_received(self, receiver: str) -> set[str]:
        return {d_bid for _, d_bid in self._bindings_received(receiver)}

    def _bindings_received(self, receiver: str) -> set[tuple[str, str]]:
        rows = whole_rows(part_path(self._folder, "metrics", receiver))
        return {(row["d_sid"], row["d_bid"]) for row in rows if _makes_known(row)}


def _makes_known(row: dict[str, str]) -> bool:
    """Return whether a row of metrics says that somebody knows an instance: by a report or by the controller."""
    return row["event"] == "told" or (row["event"] == "received" and bool(row["workers"]))
