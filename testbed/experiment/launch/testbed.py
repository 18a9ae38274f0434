"""A testbed that stands: the network with D-Routers, service instances and metric agents, all knowing each other.

A context manager over the adapters, for runs, tests and one's own programs. What clients do with it is not
its business.

    with Testbed(plan, folder, logs) as testbed:
        testbed.network.run("client-1@berlin", ["curl", "http://203.0.113.10/"], timeout_s=10)
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ryu_apps.dyncast.config.control_process import SwitchConfig
from testbed.emulation import run_tag
from testbed.emulation.inspection import client as inspection
from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.machine import capabilities
from testbed.emulation.machine.capabilities import Backends
from testbed.emulation.netns import namespaces
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.switches.bridges import RunningBridge
from testbed.experiment.launch import (
    command_configs,
    dispatcher_configs,
    measurement_sockets,
    node_keys,
    process_configs,
)
from testbed.experiment.launch.processes import Processes, RunError
from testbed.experiment.plan import name_service
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress, Silent
from testbed.experiment.scenario.scenario import Scenario
from testbed.records.parts import whole_rows

_READY_TIMEOUT_S = 60.0
_CONTROL = "ryu_apps.launcher"
_INSTANCE = "testbed.agents.instance"
_METRIC_AGENT = "testbed.agents.metric_agent"
_MODULES = (_CONTROL, _INSTANCE, _METRIC_AGENT)  # that nearly every run needs


class Testbed:
    """Build it on entering the block; leave nothing behind after it. `folder` takes the processes' files."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(self, plan: Plan, folder: Path, logs: Path, progress: Progress | None = None) -> None:
        self._plan = plan
        self._folder = folder
        self._logs = logs
        self._progress = progress or Silent()
        self._progress.phase("looking at the machine")
        self.backends = _backends(plan.scenario)
        self.tag = run_tag.claim(plan.scenario.name)
        self.network = EmulatedNetwork(
            plan.topology,
            plan.addresses,
            tag=self.tag,
            backends=self.backends,
            work_dir=folder / "links",
            seed=plan.scenario.seed,
            tunnels=bool(plan.scenario.tunnelled_services),
        )
        self.processes = Processes(self.network, folder, logs)
        self.durations_s: dict[str, float] = {}
        self.measured_links: list[MeasuredDirection] = []  # at rest, before there is traffic
        self._keys_folder: Path | None = None
        self._openflow_ports: dict[str, int] = {}
        self._zones: dict[str, dict[str, int]] = {}

    def __enter__(self) -> Testbed:
        self.network.__enter__()
        try:
            self.network.warm_up(_MODULES, self._logs)  # it happens on another core
            self.network.start(self._progress.phase)
            self.durations_s["network"] = round(self.network.startup_seconds or 0.0, 3)
            begun_s = time.monotonic()
            with ThreadPoolExecutor(1) as beside:
                measuring = beside.submit(self.network.links.measure)
                self._start_processes()
                self._wait_for_bindings()
                self.measured_links = measuring.result()
            self.durations_s["processes"] = round(time.monotonic() - begun_s, 3)
        except BaseException as error:
            self.network.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.network.__exit__(kind, error, trace)

    def end_processes(self) -> list[str]:
        """End those that speak before those that listen; return who did not end well."""
        unclean = self.processes.end(self.processes.names("dma@"))
        unclean += self.processes.end(self.processes.names("control@"))
        return unclean + self.processes.end(self.processes.names())

    def _start_processes(self) -> None:
        plan, processes = self._plan, self.processes
        if plan.scenario.metrics.authentication == "hmac":
            self._keys_folder = run_tag.keys_folder(self.tag)
            node_keys.write(plan, self._keys_folder)
        self.network.offer(
            {
                item.host: [plan.scenario.services[item.service].d_sid]
                for item in plan.instances
                if item.service in plan.scenario.tunnelled_services
            }
        )
        refusals = {item.d_sid: item.refusal for item in plan.scenario.services.values()}
        self.network.refuse(refusals, plan.scenario.d_sid_ranges)
        self._progress.phase(f"starting {len(plan.sites)} D-Routers, {len(plan.instances)} instances and their agents")
        for item in plan.first_instances:
            self.start_instance(item.name)
        steering = [*plan.sites, *plan.dispatchers]
        self._openflow_ports = dict(zip(steering, _free_ports(len(steering)), strict=True))
        self._zones = self._claim_zones()
        for name in steering:
            self.start_control(name)
        self._start_name_server()
        self.network.set_controllers(self._openflow_ports)
        processes.wait_ready(processes.names(), command_configs.ready_timeout_s(plan, _READY_TIMEOUT_S))
        for site in plan.sites:
            agent = process_configs.metric_agent(plan, site, self._folder, self._keys_folder)
            if agent is not None:
                processes.start(plan.agent_node(site), _METRIC_AGENT, agent)

    def _start_name_server(self) -> None:
        server = self._plan.name_server
        config = process_configs.name_server(self._plan, self._folder, self._keys_folder)
        if server is None or config is None:
            return
        self.processes.start(server.node, "testbed.agents.name_server", config)
        resolver = self._folder / "resolv.conf"
        resolver.write_text("".join(f"{line}\n" for line in name_service.resolv_conf(server)), encoding="utf-8")
        self.network.use_resolver(resolver)

    def start_instance(self, name: str) -> None:
        """Start a service instance, for the first time or again."""
        number, item = next(pair for pair in enumerate(self._plan.instances) if pair[1].name == name)
        if self._plan.scenario.services[item.service].kind == "command":
            command = command_configs.instance(self._plan, item, self._folder, self._logs)
            self.processes.start(item.host, command_configs.INSTANCE_MODULE, command)
            return
        config = process_configs.instance(self._plan, item, number, self._folder)
        self.processes.start(item.host, _INSTANCE, config)

    def start_control(self, site: str) -> None:
        """Start the control process of a D-Router or Dispatcher, for the first time or again."""
        plan, bridge = self._plan, self.network.bridge(site)
        with self._in_band_socket(site) as in_band, measurement_sockets.opened(self.network, plan, site) as measured:
            told: dict[str, Any] = {
                "datapath_id": bridge.datapath_id,
                "uplink_port": bridge.uplink_port,
                "openflow_port": self._openflow_ports[site],
                "in_band_fd": in_band.fileno(),
                "inspection_socket": inspection.socket_name(bridge.name),
                "keys_folder": self._keys_folder,
                "switch": SwitchConfig(self.backends.datapath, bridge.management_socket),
            }
            if site in plan.dispatchers:
                config = dispatcher_configs.control(plan, site, self._folder, **told)
            else:
                config = process_configs.control(
                    plan, site, self._folder, **told, zones=self._zones[site],
                    tunnel=process_configs.tunnel(plan, site, bridge.tunnel_port, bridge.ports),
                    dispatchers=dispatcher_configs.told_to_cfn_node(plan, site, bridge.ports), measuring=measured,
                )  # fmt: skip
            inherited = [in_band.fileno(), *measured.descriptors]
            self.processes.start(None, _CONTROL, config, pass_fds=inherited)

    def inspect(self, site: str, section: str) -> list[dict[str, Any]]:
        """Return what a D-Router knows, as `dyncast inspect` shows it. Raises InspectionError if it does not answer."""
        bridge = self.network.bridge(site)
        running = RunningBridge(self.tag, bridge.name, self.backends.datapath, site, bridge.prefixes)
        with inspection.ControlProcess(running) as control:
            return list(control.rows(section))

    def _claim_zones(self) -> dict[str, dict[str, int]]:
        """Return the conntrack zone of each service in datapath mode, at each site."""
        timeouts_s = {
            name: service.affinity.timeout_s
            for name, service in self._plan.scenario.services.items()
            if service.affinity.mode == "datapath"
        }
        numbers = iter(self.network.claim_zones([*timeouts_s.values()] * len(self._plan.sites)))
        return {site: {name: next(numbers) for name in timeouts_s} for site in self._plan.sites}

    @contextmanager
    def _in_band_socket(self, site: str) -> Iterator[socket.socket]:
        of = self._plan.addresses
        address = of.host(site).ipv4.ip if site in self._plan.dispatchers else of.site(site).gateway4.ip
        with namespaces.socket_in(self.network.pid(site), socket.AF_INET, socket.SOCK_DGRAM) as in_band:
            in_band.bind((str(address), process_configs.IN_BAND_PORT))
            yield in_band

    def _wait_for_bindings(self) -> None:
        """Wait until every D-Router has heard of every instance: what comes before is start-up, not a result."""
        self._progress.phase("waiting until every D-Router knows every instance")
        expected = {item.d_bid for item in self._plan.first_instances}
        timeout_s = _READY_TIMEOUT_S + 3 * self._plan.scenario.metrics.interval_s

        server = self._plan.name_server
        hearers = [f"control@{site}" for site in self._plan.sites]
        hearers += [server.name] if server and server.steered else []

        def known() -> bool:
            return all(expected <= self._d_bids_heard(hearer) for hearer in hearers)

        if not self.processes.wait_until(known, timeout_s):
            for hearer in hearers:
                missing = sorted(expected - self._d_bids_heard(hearer))
                if missing:
                    raise RunError(f"{hearer} heard nothing of {missing[0]} in {timeout_s:g} s; is there a path?")

    def _d_bids_heard(self, hearer: str) -> set[str]:
        return {row["d_bid"] for row in whole_rows(self._folder / f"metrics.{hearer}.part.csv") if _tells(row)}


def _tells(row: dict[str, str]) -> bool:
    """Tell whether a row of metrics says that somebody knows an instance: by a report or by the controller."""
    return row["event"] == "told" or (row["event"] == "received" and bool(row["workers"]))


def _backends(scenario: Scenario) -> Backends:
    if os.geteuid() != 0:
        raise RunError("a run needs root for namespaces and Open vSwitch: start it with sudo")
    capabilities.start_open_vswitch()
    wanted = scenario.emulation
    return capabilities.choose_backends(
        capabilities.probe(),
        datapath=None if wanted.datapath == "auto" else wanted.datapath,
        link=None if wanted.link == "auto" else wanted.link,
        tunnels=bool(scenario.tunnelled_services),
    )


def _free_ports(count: int) -> list[int]:
    """Return TCP ports that are free now, for the OpenFlow listeners."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
