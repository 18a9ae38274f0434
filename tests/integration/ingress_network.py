"""A real ingress for tests: a client behind one D-Router, an instance behind each of two others.

Only the client's D-Router has a control process; metric reports come from the other two as they would from theirs,
through the emulated network. Sockets of the client are opened in its namespace by the test itself.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.roles import D_ROUTER, INSTANCE
from testbed.emulation import run_tag
from testbed.emulation.inspection import client as inspection
from testbed.emulation.machine.capabilities import choose_backends, probe, start_open_vswitch
from testbed.emulation.netns.namespaces import socket_in
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.node_processes import Child
from testbed.net.flow_key import THREE_TUPLE
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.integration import echo_server
from topologies import roles
from topologies.addressing import AddressPlan
from topologies.spec import Link, Node, Topology

HOME, EAST, WEST = "home", "east", "west"
CLIENT, NEIGHBOUR = "client", "neighbour"  # both at home
INSTANCES = {EAST: "instance-east", WEST: "instance-west"}
IN_BAND_PORT, DEFERRABLE_PORT = 7000, 7001
FLUSH_INTERVAL_S = 0.05  # what tests wait for they read in the files
TIMEOUT_S = 1  # the least there is; for what shall idle out

STEADY = ("203.0.113.10", "fd00:5::10")  # five-tuple, a long timeout
FLEETING = ("203.0.113.11", "fd00:5::11")  # five-tuple, times out after TIMEOUT_S
BY_CLIENT = ("203.0.113.12", "fd00:5::12")  # three-tuple
BY_CALL = ("203.0.113.13", "fd00:5::13")  # five-tuple, by blocks of four ports
RANGES = ("203.0.113.0/24", "fd00:5::/64")  # of all these
SERVICES: list[dict[str, Any]] = [
    {"name": "steady", "d_sids": list(STEADY), "affinity_timeout_s": 600},
    {"name": "fleeting", "d_sids": list(FLEETING), "affinity_timeout_s": TIMEOUT_S},
    {"name": "by-client", "d_sids": list(BY_CLIENT), "affinity_timeout_s": 600, "flow_fields": list(THREE_TUPLE)},
    {"name": "by-call", "d_sids": list(BY_CALL), "affinity_timeout_s": 600, "port_block": 4},
]


def topology() -> Topology:
    return Topology(
        "ingress",
        (
            *(Node(name, D_ROUTER) for name in (HOME, EAST, WEST)),
            Node(CLIENT, roles.CLIENT),
            Node(NEIGHBOUR, roles.CLIENT),
            *(Node(name, INSTANCE) for name in INSTANCES.values()),
        ),
        (
            Link(HOME, EAST),
            Link(HOME, WEST),
            Link(CLIENT, HOME),
            Link(NEIGHBOUR, HOME),
            *(Link(name, site) for site, name in INSTANCES.items()),
        ),
    )


@dataclass(frozen=True)
class FlowEntry:
    """One line of `ovs-ofctl dump-flows`."""

    cookie: int
    packets: int
    text: str

    def names_port(self, port: int) -> bool:
        """Whether a transport port, of either end, is this one."""
        return re.search(rf"tp_(src|dst)={port}\b", self.text) is not None

    @property
    def is_affinity(self) -> bool:
        return self.cookie >> 48 == 0xD1

    @property
    def is_forward(self) -> bool:
        return "idle_timeout" in self.text


class IngressNetwork:
    """The network, its echo servers, and what their logs and the switch say."""

    def __init__(self, network: EmulatedNetwork, folder: Path) -> None:
        self.network = network
        self.bridge = network.bridge(HOME).name
        self._folder = folder
        self._sequence: defaultdict[str, int] = defaultdict(int)

    def start_servers(self) -> None:
        for name in INSTANCES.values():
            files = [str(self._folder / f"{name}.{suffix}") for suffix in ("ready", "log")]
            argv = [sys.executable, echo_server.__file__, name, *files, *self.addresses(name)]
            self.network.popen(name, argv, name=name, log_path=self._folder / f"{name}.output")
        for name in INSTANCES.values():
            wait_until((self._folder / f"{name}.ready").exists, what=f"{name} to listen")

    def addresses(self, host: str) -> tuple[str, str]:
        of = self.network.plan.host(host)
        return str(of.ipv4.ip), str(of.ipv6.ip)

    def gateway(self, site: str) -> str:
        return str(self.network.plan.site(site).gateway4.ip)

    def seen(self, instance: str) -> list[str]:
        """What an instance's log says it saw."""
        return (self._folder / f"{instance}.log").read_text().splitlines()

    @contextmanager
    def client_socket(
        self, kind: socket.SocketKind, to: tuple[str, int], *, port: int = 0, host: str = CLIENT
    ) -> Iterator[socket.socket]:
        """A socket in a client's namespace, connected."""
        family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
        with socket_in(self.network.pid(host), family, kind) as ours:
            ours.settimeout(20)
            ours.bind((self.addresses(host)[family == socket.AF_INET6], port))
            ours.connect(to)
            yield ours

    def wait_until_closed(self) -> None:
        """Wait until no client is still closing a connection.

        What it would send again later, when nobody knows the connection any more, would be a new flow of another test.
        """

        def closing() -> list[str]:
            shown = [self.network.run(host, ["ss", "-Htan"], 20).stdout for host in (CLIENT, NEIGHBOUR)]
            return [line for line in "".join(shown).splitlines() if line.split()[0] not in ("ESTAB", "TIME-WAIT")]

        wait_until(lambda: not closing(), 20, "the clients' connections to be closed")

    def tell(self, site: str, data: bytes, port: int = IN_BAND_PORT) -> None:
        """Send bytes in band from a site's D-Router to the ingress."""
        with socket_in(self.network.pid(site), socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.bind((self.gateway(site), 0))
            ours.sendto(data, (self.gateway(HOME), port))

    def report(self, site: str, state: State = State.UP, sessions: int = 0, port: int = IN_BAND_PORT) -> None:
        """Report a site's instance for all services, both families."""
        raw = None if state is State.DOWN else RawMetrics(4, queue_limit=50, sessions=sessions, service_time_s=0.01)
        self._sequence[site] += 1
        bindings = tuple(
            report_of(ip_address(d_sid), ip_address(d_bid), state, raw)
            for service in SERVICES
            for d_sid, d_bid in zip(service["d_sids"], self.addresses(INSTANCES[site]), strict=True)
        )
        message = Report(site, self._sequence[site], time.monotonic(), bindings)
        self.tell(site, codec.encode(message), port)

    def entries(self, node: str = HOME) -> list[FlowEntry]:
        """The flow entries of the client's switch, or that of another node."""
        done = self.ofctl("dump-flows", self.network.bridge(node).name)
        found = []
        for line in done.splitlines():
            if "cookie=" in line:
                words = dict(word.split("=", 1) for word in line.replace(",", " ").split() if "=" in word)
                found.append(FlowEntry(int(words["cookie"], 16), int(words["n_packets"]), line))
        return found

    def affinity_entries(self, node: str = HOME) -> list[FlowEntry]:
        return [entry for entry in self.entries(node) if entry.is_affinity]

    def groups(self, node: str = HOME) -> list[str]:
        """The groups of a switch, a line each."""
        done = self.ofctl("dump-groups", self.network.bridge(node).name, version="OpenFlow15")
        return [line for line in done.splitlines() if "group_id=" in line]

    def ofctl(self, *arguments: str, version: str = "OpenFlow13") -> str:
        command = ["ovs-ofctl", "-O", version, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


class Control:
    """The control process of the client's D-Router, and the files it writes."""

    node = HOME

    def __init__(
        self, ingress: IngressNetwork, folder: Path, python: Sequence[str] = (), mode: str = "reactive", **changes: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ingress = ingress
        self._folder = folder
        self.mode = mode
        self.name = f"control@{HOME}"
        bridge, own = ingress.network.bridge(HOME), ingress.network.plan.site(HOME)
        services = [{"policy": "round_robin", "affinity_mode": mode, **service} for service in SERVICES]
        if mode == "datapath":
            zones = ingress.network.claim_zones([int(service["affinity_timeout_s"]) for service in services])
            services = [{**service, "ct_zone": zone} for service, zone in zip(services, zones, strict=True)]
        self._document = {
            "name": self.name,
            "site": HOME,
            "seed": 1,
            "out_dir": str(folder),
            "datapath_id": bridge.datapath_id,
            "openflow_fd": ingress.network.controller_socket(self.node),
            "uplink_port": bridge.uplink_port,
            "switch": {
                "datapath_type": ingress.network.backends.datapath,
                "management_socket": str(bridge.management_socket),
                "prefixes": [str(own.prefix4), str(own.prefix6)],
            },
            "in_band_port": IN_BAND_PORT,
            "inspection_socket": inspection.socket_name(bridge.name),
            "metric_lifetime_s": 600,
            "flush_interval_s": FLUSH_INTERVAL_S,
            "services": services,
            "peers": [{"site": s, "address": ingress.gateway(s), "path_cost_ms": 1} for s in (EAST, WEST)],
            **changes,
        }
        self._python = list(python)
        self._process: Child | None = None

    @property
    def address(self) -> str:
        """Where it hears messages."""
        return self._ingress.gateway(HOME)

    @property
    def process(self) -> Child:
        assert self._process is not None, "not started"
        return self._process

    @property
    def log_path(self) -> Path:
        return self._folder / "control.log"

    def start(self, *, report: bool = True) -> None:
        """Start it, have the switch connect to it, and tell it of both instances unless that is left to the test."""
        (self._folder / f"{self.name}.ready").unlink(missing_ok=True)
        pid = self._ingress.network.pid(self.node)
        with (
            socket_in(pid, socket.AF_INET, socket.SOCK_DGRAM) as in_band,
            socket_in(pid, socket.AF_INET, socket.SOCK_DGRAM) as deferrable,
        ):
            in_band.bind((self.address, IN_BAND_PORT))
            deferrable.bind((self.address, DEFERRABLE_PORT))
            sockets = {
                "in_band_fd": in_band.fileno(),
                "deferrable": {"fd": deferrable.fileno(), "port": DEFERRABLE_PORT},
            }
            path = self._folder / "config.json"
            path.write_text(json.dumps({**self._document, **sockets}))
            inherited = [in_band.fileno(), deferrable.fileno(), self._document["openflow_fd"]]
            self._process = self._started(str(path), inherited)
        self._ingress.network.connect_controllers([self.node])
        ready = self._folder / f"{self.name}.ready"
        wait_until(lambda: ready.exists() or self.process.poll() is not None, 60, "the control process")
        assert self.process.poll() is None, self.log_path.read_text()
        self._ingress.network.reconnect_soon([self.node])
        if report:
            self._report_all()

    def _started(self, config: str, inherited: list[int]) -> Child:
        module, network = "ryu_apps.launcher", self._ingress.network
        if self._python:
            argv = [*self._python, "-m", module, config]
            return network.popen(None, argv, name=self.name, log_path=self.log_path, pass_fds=inherited)
        return network.start_module(None, module, [config], name=self.name, log_path=self.log_path, pass_fds=inherited)

    def _report_all(self) -> None:
        now_s = time.monotonic()
        for site in INSTANCES:
            self._ingress.report(site)
        expected = len(INSTANCES) * sum(len(service["d_sids"]) for service in SERVICES)
        wait_until(
            lambda: sum(float(row["time_s"] or 0) >= now_s for row in self.table("metrics")) >= expected,
            what="both reports to be heard",
        )
        if self.mode == "datapath":
            wait_until(self._both_are_chosen, 30, "the switch to choose from both instances")

    def _both_are_chosen(self) -> bool:
        """Whether new flows go to both; where the switch cannot bind them, the control process has said so."""
        if "is reactive now" in self.log_path.read_text():
            return True
        groups = self._ingress.groups(self.node)
        wanted = sum(not (service.keys() & {"flow_fields", "port_block"}) for service in SERVICES) * len(STEADY)
        return sum(group.count("bucket_id:") == len(INSTANCES) for group in groups) >= wanted

    def table(self, name: str) -> list[dict[str, str]]:
        return list(whole_rows(self._folder / f"{name}.{self.name}.part.csv"))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def decisions(self, d_sid: str, src_port: int | None = None) -> list[dict[str, str]]:
        """All decisions so far for a service, or for one flow to it."""
        self._wait_until_all_is_written()
        rows = [row for row in self.table("decisions") if row["d_sid"] == d_sid]
        return [row for row in rows if src_port in (None, int(row["src_port"] or 0))]

    def counted(self, kind: str) -> int:
        """What the D-Router last wrote of one of its counters."""
        rows = [row for row in self.table("control") if (row["direction"], row["kind"]) == ("local", kind)]
        return int(rows[-1]["messages"] or 0) if rows else 0

    def _wait_until_all_is_written(self) -> None:
        """Signalling counts are written last, when all that came before is."""
        if self.process.poll() is None:
            now_s = time.monotonic()
            wait_until(
                lambda: any(float(row["time_s"] or 0) > now_s for row in self.table("control")),
                what="the tables to be written",
            )

    def kill(self) -> None:
        """Leave nothing behind, however far it came."""
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGKILL)


def say(connection: socket.socket, text: str) -> str:
    """Send a line and return who answered; the answer must be to this line."""
    connection.sendall(f"{text}\n".encode())
    answer = b""
    while not answer.endswith(b"\n"):
        received = connection.recv(1000)
        assert received, "the connection was closed"
        answer += received
    instance, _, echoed = answer.decode().strip().partition(" ")
    assert echoed == text
    return instance


@contextmanager
def built(folder: Path, described: Topology | None = None) -> Iterator[IngressNetwork]:
    """The network, or another of the same nodes and more, running, with its servers; gone afterwards."""
    start_open_vswitch()
    described = described or topology()
    network = EmulatedNetwork(
        described,
        AddressPlan(described),
        tag=run_tag.claim("ingress"),
        backends=choose_backends(probe()),
        work_dir=folder,
    )
    with network:
        network.start()
        ingress = IngressNetwork(network, folder)
        refusals = {
            d_sid: "reset" if d_sid in BY_CLIENT else "unreachable" for item in SERVICES for d_sid in item["d_sids"]
        }
        ranges = [ip_network(item) for item in RANGES]
        network.refuse({ip_address(d_sid): how for d_sid, how in refusals.items()}, ranges)
        ingress.start_servers()
        yield ingress


@contextmanager
def controlled(
    ingress: IngressNetwork, folder: Path, python: Sequence[str] = (), mode: str = "reactive", **changes: Any
) -> Iterator[Control]:
    """A control process that knows both instances; ended afterwards, and its entries with it."""
    control = Control(ingress, folder, python, mode, **changes)
    try:
        control.start()
        yield control
        ingress.wait_until_closed()
    finally:
        control.kill()
        for kind in ("d1", "d3", "d4", "d5", "d6"):
            ingress.ofctl("del-flows", ingress.bridge, f"cookie=0x{kind}000000000000/0xffff000000000000")
