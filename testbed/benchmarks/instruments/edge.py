"""An edge for benchmarks: ingress D-Routers with a client each, and instances behind egress D-Routers.

Ingresses are alike but for who controls their switch, so that two ways of steering are measured in alternation on one
network. Instances listen to UDP and never read: what reaches them is captured on its way in.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from testbed.benchmarks.harness import Skipped
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.roles import D_ROUTER, INSTANCE
from testbed.emulation import run_tag
from testbed.emulation.machine.capabilities import choose_backends, probe, start_open_vswitch
from testbed.emulation.netns.namespaces import socket_in
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.temporary_folders import temporary_folder
from testbed.runtime.polling import wait_until, wait_until_still
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT
from topologies.spec import Link, Node, Topology

D_SID = "203.0.113.10"
UDP_PORT = 5004
EGRESSES = ("east", "west")
_SERVICE = "edge"
IN_BAND_PORT = 7000
_LOOK_S = 0.1
_AFFINITY_COOKIES = "cookie=0xd1000000000000/0xffff000000000000"


class Edge:
    """The running network. Its ingresses, egresses and instances are known by name."""

    def __init__(self, network: EmulatedNetwork, instances: Sequence[str], folder: Path) -> None:
        self.network = network
        self.instances = tuple(instances)
        self.folder = folder
        self._sequence = 0
        self._controllers: dict[str, int] = {}

    def client_of(self, ingress: str) -> str:
        """Return the client behind an ingress."""
        return _client(ingress)

    def site_of(self, instance: str) -> str:
        """Return the egress that an instance is behind."""
        return _site(self.instances.index(instance))

    def pid(self, node: str) -> int:
        """Return the process that holds a node's namespace open."""
        return self.network.pid(node)

    def address(self, host: str) -> str:
        """Return a host's IPv4 address; of an instance, its D-BID."""
        return str(self.network.plan.host(host).ipv4.ip)

    def gateway(self, site: str) -> str:
        """Return the address of a D-Router towards its hosts."""
        return str(self.network.plan.site(site).gateway4.ip)

    def report(self, ingress: str) -> None:
        """Report all instances to an ingress in band, as their D-Routers would."""
        self._sequence += 1
        raw = RawMetrics(4, queue_limit=50, sessions=0, service_time_s=0.01)
        for site in EGRESSES:
            bindings = [
                report_of(ip_address(D_SID), ip_address(self.address(instance)), State.UP, raw)
                for instance in self.instances
                if self.site_of(instance) == site
            ]
            message = Report(site, self._sequence, time.monotonic(), tuple(bindings))
            with socket_in(self.pid(site), socket.AF_INET, socket.SOCK_DGRAM) as ours:
                ours.bind((self.gateway(site), 0))
                ours.sendto(codec.encode(message), (self.gateway(ingress), IN_BAND_PORT))

    def forget_flows(self, ingress: str) -> None:
        """Take all flow entries of bound flows off a switch, and from its datapath what it made of them.

        Returns when the controller, which learns of each, is at rest again.
        """
        bridge = self.network.bridge(ingress).name
        for command in (["ovs-ofctl", "-O", "OpenFlow13", "del-flows", bridge, _AFFINITY_COOKIES],
                        ["ovs-appctl", "revalidator/purge"]):  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        if ingress in self._controllers:
            used = partial(ticks, self._controllers[ingress])
            wait_until_still(used, _LOOK_S, noise=1, what=f"the processor time of {ingress}'s controller")

    @contextmanager
    def steered(
        self, ingress: str, mode: str = "reactive", launcher: Sequence[str] = (), policy: str = "dyncast"
    ) -> Iterator[int]:
        """Run a D-Router's control process for an ingress, and report all instances to it; yields its process id."""
        with self.controlled(ingress, mode, launcher, policy) as pid:
            self.report(ingress)
            metrics = self.table(ingress, "metrics")
            wait_until(
                lambda: metrics.exists() and metrics.read_text().count("received") >= len(self.instances),
                what="the reports to arrive",
            )
            yield pid

    @contextmanager
    def controlled(
        self, ingress: str, mode: str, launcher: Sequence[str] = (), policy: str = "dyncast", **changes: Any
    ) -> Iterator[int]:
        """Run a D-Router's control process that knows no instance; `changes` are of its configuration."""
        folder = self.folder / ingress
        folder.mkdir(exist_ok=True)
        name = _control(ingress)
        (folder / f"{name}.ready").unlink(missing_ok=True)
        document = {**self._configuration(ingress, mode, policy, name, folder), **changes}
        with socket_in(self.pid(ingress), socket.AF_INET, socket.SOCK_DGRAM) as in_band:
            in_band.bind((self.gateway(ingress), IN_BAND_PORT))
            path = folder / "config.json"
            path.write_text(json.dumps({**document, "in_band_fd": in_band.fileno()}))
            argv = [sys.executable, *launcher, "-m", "ryu_apps.launcher", str(path)]
            with self.controller(ingress, argv, pass_fds=[in_band.fileno()]) as pid:
                wait_until((folder / f"{name}.ready").exists, 30, "the switch to be taken over")
                yield pid

    def table(self, ingress: str, name: str) -> Path:
        """Return the file that an ingress's control process writes a table to."""
        return self.folder / ingress / f"{name}.{_control(ingress)}.part.csv"

    @contextmanager
    def controller(self, ingress: str, argv: Sequence[str], pass_fds: Sequence[int] = ()) -> Iterator[int]:
        """Run the controller of an ingress's switch; yields its process id."""
        log_path, listening = self.folder / f"{ingress}.log", self.network.controller_socket(ingress)
        process = self.network.popen(None, argv, name=ingress, log_path=log_path, pass_fds=[*pass_fds, listening])
        try:
            self.network.connect_controllers([ingress])
            self._controllers[ingress] = process.pid
            yield process.pid
            if process.poll() is not None:
                raise RuntimeError(f"the controller of {ingress} ended meanwhile: {log_path.read_text()}")
        finally:
            self._controllers.pop(ingress, None)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _configuration(self, ingress: str, mode: str, policy: str, name: str, folder: Path) -> dict[str, Any]:
        bridge, own = self.network.bridge(ingress), self.network.plan.site(ingress)
        service: dict[str, Any] = {
            "name": _SERVICE,
            "d_sids": [D_SID],
            "policy": policy,
            "affinity_timeout_s": 600,
            "affinity_mode": mode,
        }
        if mode == "datapath":
            (service["ct_zone"],) = self.network.claim_zones([600])
        return {
            "name": name,
            "site": ingress,
            "seed": 1,
            "out_dir": str(folder),
            "datapath_id": bridge.datapath_id,
            "openflow_fd": self.network.controller_socket(ingress),
            "uplink_port": bridge.uplink_port,
            "switch": {
                "datapath_type": self.network.backends.datapath,
                "management_socket": str(bridge.management_socket),
                "prefixes": [str(own.prefix4), str(own.prefix6)],
            },
            "in_band_port": IN_BAND_PORT,
            "metric_lifetime_s": 600,
            "services": [service],
            "peers": [{"site": site, "address": self.gateway(site), "path_cost_ms": 1} for site in EGRESSES],
        }


@contextmanager
def edge(ingresses: Sequence[str], instances: int) -> Iterator[Edge]:
    """Build the network; it is gone afterwards. Raises Skipped where the machine cannot carry it."""
    capabilities = probe()
    for needed in ("root", "open_vswitch"):
        if not capabilities.has(needed):
            raise Skipped(f"capability {needed} is missing: {capabilities.row(needed).remedy}")
    if start_open_vswitch():
        capabilities = probe()
    hosts = [f"instance-{number}" for number in range(1, instances + 1)]
    topology = _topology(ingresses, hosts)
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("bench"))
        network = stack.enter_context(
            EmulatedNetwork(
                topology,
                AddressPlan(topology),
                tag=run_tag.claim("bench"),
                backends=choose_backends(capabilities),
                work_dir=folder,
            )
        )
        network.start()
        built = Edge(network, hosts, folder)
        for host in hosts:
            sink = stack.enter_context(socket_in(built.pid(host), socket.AF_INET, socket.SOCK_DGRAM))
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # nobody reads: the least there is
            sink.bind((built.address(host), UDP_PORT))
        yield built


def ticks(pid: int) -> int:
    """Return how much processor time a process has used, in clock ticks."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


def _topology(ingresses: Sequence[str], instances: Sequence[str]) -> Topology:
    return Topology(
        "edge",
        (
            *(Node(name, D_ROUTER) for name in (*ingresses, *EGRESSES)),
            *(Node(_client(ingress), CLIENT) for ingress in ingresses),
            *(Node(instance, INSTANCE) for instance in instances),
        ),
        (
            *(Link(ingress, egress) for ingress in ingresses for egress in EGRESSES),
            *(Link(_client(ingress), ingress) for ingress in ingresses),
            *(Link(instance, _site(number)) for number, instance in enumerate(instances)),
        ),
    )


def _control(ingress: str) -> str:
    return f"control@{ingress}"


def _client(ingress: str) -> str:
    return f"client-{ingress}"


def _site(number: int) -> str:
    return EGRESSES[number % len(EGRESSES)]
