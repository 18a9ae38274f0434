"""A testbed that stands: the network, with the processes of all systems, each ready for a load.

A context manager over the adapters, for runs, tests and one's own programs. What clients do with it is not
its business.

    with Testbed(plan, folder, logs) as testbed:
        testbed.network.run("client-1@berlin", ["curl", "http://203.0.113.10/"], timeout_s=10)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from testbed.emulation import run_tag
from testbed.emulation.links.link_measure import MeasuredDirection
from testbed.emulation.machine import capabilities, limits
from testbed.emulation.machine.capabilities import Backends
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.switches.daemons import Daemons
from testbed.experiment.launch.processes import Processes, RunError
from testbed.experiment.launch.running import Running
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress, Silent
from testbed.experiment.system import systems


class Testbed:
    """Build it on entering the block; leave nothing behind after it. `folder` takes the processes' files."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(self, plan: Plan, folder: Path, logs: Path, progress: Progress | None = None) -> None:
        self.plan = plan
        self.folder = folder
        self.logs = logs
        self.progress = progress or Silent()
        self.progress.phase("looking at the machine")
        tunnels = any(system.needs_tunnels(plan) for system in systems())
        self.backends = _backends(plan, tunnels=tunnels)
        limits.check(len(plan.topology.nodes))
        self.tag = run_tag.claim(plan.scenario.name)
        with run_tag.released_on_error(self.tag):
            self.network = EmulatedNetwork(
                plan.topology,
                plan.addresses,
                tag=self.tag,
                backends=self.backends,
                work_dir=folder / "links",
                seed=plan.scenario.seed,
                tunnels=tunnels,
            )
            self.daemons = Daemons()
            self.processes = Processes(self.network, folder, logs, lambda: self.daemons.look(time.monotonic()))
            self.running: dict[str, Running] = {system.name: system.running(self) for system in systems()}
        self.upon_network: Callable[[EmulatedNetwork], None] | None = None  # called before the first process starts
        self.durations_s: dict[str, float] = {}
        self.measured_links: list[MeasuredDirection] = []  # at rest, before there is traffic

    def __enter__(self) -> Testbed:
        self.network.__enter__()
        try:
            modules = [module for running in self.running.values() for module in running.modules]
            self.network.warm_up(modules, self.logs)  # it happens on another core
            self.network.start(self.progress.phase)
            self.durations_s["network"] = round(self.network.startup_seconds or 0.0, 3)
            if self.upon_network is not None:
                self.upon_network(self.network)
            begun_s = time.monotonic()
            with ThreadPoolExecutor(1) as beside:
                measuring = beside.submit(self.network.links.measure)
                for running in self.running.values():
                    running.start()
                self.measured_links = measuring.result()
            self.durations_s["processes"] = round(time.monotonic() - begun_s, 3)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.daemons.close()
        try:
            for running in self.running.values():
                running.stop()
        finally:
            self.network.__exit__(kind, error, trace)

    def end_processes(self) -> list[str]:
        """End those that speak before those that listen; return who did not end well."""
        groups = [group for running in self.running.values() for group in running.ends_first()]
        unclean = [name for group in groups for name in self.processes.end(group)]
        return unclean + self.processes.end(self.processes.names())


def _backends(plan: Plan, *, tunnels: bool) -> Backends:
    if os.geteuid() != 0:
        raise RunError("a run needs root for namespaces and Open vSwitch: start it with sudo")
    capabilities.start_open_vswitch()
    wanted = plan.scenario.emulation
    return capabilities.choose_backends(
        capabilities.probe(),
        datapath=None if wanted.datapath == "auto" else wanted.datapath,
        link=None if wanted.link == "auto" else wanted.link,
        tunnels=tunnels,
    )
