"""A testbed whose instances count (`instance`); all else is as in any run: D-Routers, D-MAs, links, faults."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from testbed.benchmarks.counting.flow_ledger import FlowLedger
from testbed.benchmarks.counting.instance import LOAD_PATH, CountingConfig, ledger_path
from testbed.emulation.netns import namespaces
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.systems.dyncast.keys.service import ADMIN_PORT
from testbed.experiment.systems.dyncast.launch.running import RunningDyncast
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan, PlannedInstance


class CountingDyncast(RunningDyncast):
    """Dyncast with instances that count."""

    def start_instance(self, name: str, load: int | None = None) -> None:
        """Start a counting instance, for the first time or again; `load`: sessions that it reports from the first."""
        item = next(item for item in self.plan.instances if item.name == name)
        config = CountingConfig(
            name=name,
            out_dir=self.testbed.folder,
            seed=self.plan.scenario.seed,
            http_port=self.plan.scenario.services[item.service].service_port,
            admin_port=ADMIN_PORT,
            workers=item.keys.workers,
            queue_limit=item.keys.queue_limit,
            load=load,
        )
        self.testbed.processes.start(item.host, "testbed.benchmarks.counting.instance", config)


class CountingTestbed(Testbed):
    """Use it like a `Testbed`; `plan` has one client host, whose ports distinguish flows."""

    plan: DyncastPlan

    def __init__(self, plan: DyncastPlan, folder: Path) -> None:
        super().__init__(plan, folder, folder / "logs")
        self.dyncast = self.running["dyncast"] = CountingDyncast(self)

    def __enter__(self) -> CountingTestbed:
        super().__enter__()
        return self

    def start_instance(self, name: str, load: int | None = None) -> None:
        """Start a counting instance, for the first time or again; `load`: sessions that it reports from the first."""
        self.dyncast.start_instance(name, load)

    def set_load(self, name: str, sessions: int) -> float:
        """Have an instance report so many sessions; return since when it does. Raises OSError if it does not answer."""
        item = self._instance(name)
        address = str(self.plan.addresses.host(item.host).ipv4.ip)
        pid = self.network.pid(item.host)
        with closing(namespaces.socket_in(pid, socket.AF_INET, socket.SOCK_STREAM)) as opened:
            opened.settimeout(10)
            opened.connect((address, ADMIN_PORT))
            connection = http.client.HTTPConnection(address)
            connection.sock = opened
            connection.request("PUT", f"{LOAD_PATH}{sessions}")
            return float(connection.getresponse().read())

    def ledgers(self) -> Iterator[tuple[str, int, FlowLedger]]:
        """Return what each instance counted in each of its lives."""
        for item in self.plan.instances:
            life = 1
            while (path := ledger_path(self.folder, item.name, life)).exists():
                yield item.name, life, FlowLedger(path)
                life += 1

    def _instance(self, name: str) -> PlannedInstance:
        return next(item for item in self.plan.instances if item.name == name)
