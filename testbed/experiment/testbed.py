"""A testbed that stands: the network with D-Routers, service instances and metric agents, all knowing each other.

A context manager over the adapters, for runs, tests and one's own programs. What clients do with it is not
its business.

    with Testbed(plan, folder, logs) as testbed:
        testbed.network.run("client-1@berlin", ["curl", "http://203.0.113.10/"], timeout_s=10)
"""

from __future__ import annotations

import csv
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from testbed.emulation import capabilities, inspection, namespaces, run_tag
from testbed.emulation.capabilities import Backends
from testbed.emulation.network import EmulatedNetwork
from testbed.experiment import node_keys, process_configs
from testbed.experiment.plan import Plan
from testbed.experiment.processes import Processes, RunError
from testbed.experiment.progress import Progress, Silent
from testbed.experiment.scenario import EmulationKeys

_READY_TIMEOUT_S = 60.0


class Testbed:
    """Build it on entering the block; leave nothing behind after it. `folder` takes the processes' files."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(self, plan: Plan, folder: Path, logs: Path, progress: Progress | None = None) -> None:
        self._plan = plan
        self._folder = folder
        self._progress = progress or Silent()
        self._progress.phase("looking at the machine")
        self.backends = _backends(plan.scenario.emulation)
        self.tag = run_tag.claim(plan.scenario.name)
        self.network = EmulatedNetwork(
            plan.topology,
            plan.addresses,
            tag=self.tag,
            backends=self.backends,
            work_dir=folder / "links",
            seed=plan.scenario.seed,
        )
        self.processes = Processes(self.network, folder, logs)
        self.durations_s: dict[str, float] = {}
        self._keys_folder: Path | None = None
        self._openflow_ports: dict[str, int] = {}
        self._zones: dict[str, dict[str, int]] = {}

    def __enter__(self) -> Testbed:
        self.network.__enter__()
        try:
            self.network.start(self._progress.phase)
            self.durations_s["network"] = round(self.network.startup_seconds or 0.0, 3)
            begun_s = time.monotonic()
            self._start_processes()
            self._wait_for_bindings()
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
        self.network.refuse({item.d_sid: item.refusal for item in plan.scenario.services.values()})
        self._progress.phase(f"starting {len(plan.sites)} D-Routers, {len(plan.instances)} instances and their agents")
        for item in plan.first_instances:
            self.start_instance(item.name)
        self._openflow_ports = dict(zip(plan.sites, _free_ports(len(plan.sites)), strict=True))
        self._zones = self._claim_zones()
        for site in plan.sites:
            self.start_control(site)
        self.network.set_controllers(self._openflow_ports)
        processes.wait_ready(processes.names(), _READY_TIMEOUT_S)
        for site in plan.sites:
            agent = process_configs.metric_agent(plan, site, self._folder, self._keys_folder)
            if agent is not None:
                processes.start(site, "testbed.agents.metric_agent", agent)

    def start_instance(self, name: str) -> None:
        """Start a service instance, for the first time or again."""
        number, item = next(pair for pair in enumerate(self._plan.instances) if pair[1].name == name)
        document = process_configs.instance(self._plan, item, number, self._folder)
        self.processes.start(item.host, "testbed.agents.instance", document)

    def start_control(self, site: str) -> None:
        """Start the control process of a D-Router, for the first time or again."""
        bridge = self.network.bridge(site)
        with self._in_band_socket(site) as in_band:
            document = process_configs.control(
                self._plan, site, self._folder, datapath_id=bridge.datapath_id, uplink_port=bridge.uplink_port,
                openflow_port=self._openflow_ports[site], in_band_fd=in_band.fileno(), zones=self._zones[site],
                inspection_socket=inspection.socket_name(bridge.name), keys_folder=self._keys_folder,
                switch={
                    "datapath_type": self.backends.datapath,
                    "management_socket": str(bridge.management_socket),
                },
            )  # fmt: skip
            self.processes.start(None, "ryu_apps.launcher", document, pass_fds=[in_band.fileno()])

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
        address = self._plan.addresses.site(site).gateway4.ip
        with namespaces.socket_in(self.network.pid(site), socket.AF_INET, socket.SOCK_DGRAM) as in_band:
            in_band.bind((str(address), process_configs.IN_BAND_PORT))
            yield in_band

    def _wait_for_bindings(self) -> None:
        """Wait until every D-Router has heard of every instance: what comes before is start-up, not a result."""
        self._progress.phase("waiting until every D-Router knows every instance")
        expected = {item.d_bid for item in self._plan.first_instances}
        timeout_s = _READY_TIMEOUT_S + 3 * self._plan.scenario.metrics.interval_s

        def known() -> bool:
            return all(expected <= self._d_bids_heard(site) for site in self._plan.sites)

        if not self.processes.wait_until(known, timeout_s):
            for site in self._plan.sites:
                missing = sorted(expected - self._d_bids_heard(site))
                if missing:
                    raise RunError(
                        f"D-Router {site} heard nothing of {missing[0]} in {timeout_s:g} s; is there a path?"
                    )

    def _d_bids_heard(self, site: str) -> set[str]:
        path = self._folder / f"metrics.control@{site}.part.csv"
        if not path.exists():
            return set()
        with path.open(newline="", encoding="utf-8") as stream:
            return {row["d_bid"] for row in csv.DictReader(stream) if row["event"] == "received" and row["workers"]}


def _backends(wanted: EmulationKeys) -> Backends:
    if os.geteuid() != 0:
        raise RunError("a run needs root for namespaces and Open vSwitch: start it with sudo")
    capabilities.start_open_vswitch()
    return capabilities.choose_backends(
        capabilities.probe(),
        datapath=None if wanted.datapath == "auto" else wanted.datapath,
        link=None if wanted.link == "auto" else wanted.link,
    )


def _free_ports(count: int) -> list[int]:
    """Return TCP ports that are free now, for the OpenFlow listeners."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
