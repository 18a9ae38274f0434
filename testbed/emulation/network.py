"""Build an emulated network with Mininet, and take it down again.

Owns the order of construction, the nodes' namespaces and the processes started in them. What connects to
what is decided in `wiring`, how packets are delayed in `links`; the structure of a D-Router is explained in
docs/decisions/0001. Knows nothing of services, policies or scenarios.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from weakref import WeakSet

from testbed.emulation import cleanup, debug_shell, run_tag
from testbed.emulation.cleanup import CleanReport
from testbed.emulation.links.links import LinkEnd, LinkRequest, Links, create_links
from testbed.emulation.machine import host_drops
from testbed.emulation.machine.capabilities import Backends
from testbed.emulation.machine.host_drops import HostDrops
from testbed.emulation.mininet_nodes import EmulatedMininet
from testbed.emulation.netns import all_nodes
from testbed.emulation.netns.iproute import run_batch
from testbed.emulation.netns.resolver import with_resolver
from testbed.emulation.node_processes import NodeProcesses
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches import bridges, ct_zones, switch_sockets, tunnels
from testbed.emulation.switches.bridges import Bridge
from testbed.emulation.wiring import HOST_INTERFACE, End, Wiring, link_label, offer_commands, refusal_commands, wire
from testbed.errors import TestbedError
from testbed.linux.port_reader import PortSource
from testbed.net.addresses import Address, Network
from testbed.runtime import caller
from testbed.runtime.forked_process import ForkedProcess
from testbed.runtime.signals import deferred_signals, signals_as_exit
from topologies.addressing import AddressPlan
from topologies.roles import Kind
from topologies.spec import LinkSpec, Topology, unknown_name

standing: WeakSet[EmulatedNetwork] = WeakSet()  # those of this process


class NetworkError(TestbedError):
    """The network cannot be built or used; one line that names the node or resource."""


class EmulatedNetwork:
    """A running network of namespaces, links and bridges, all under one run tag.

    A context manager: however its block ends (normally, by an exception, by Ctrl-C, by SIGTERM or SIGHUP),
    nothing of the run stays. One object serves for one start and one stop. `work_dir` takes the link statistics;
    `seed` drives the links' jitter and loss. With `tunnels`, D-Routers can send each other packets as they are.
    """

    def __init__(
        self,
        topology: Topology,
        plan: AddressPlan,
        *,
        tag: RunTag,
        backends: Backends,
        work_dir: Path,
        seed: int = 0,
        tunnels: bool = False,
    ) -> None:
        self.topology = topology
        self.plan = plan
        self.tag = tag
        self.backends = backends
        self.work_dir = work_dir
        self.seed = seed
        self.startup_seconds: float | None = None
        self.clean_report: CleanReport | None = None
        self._wiring: Wiring = wire(topology, plan, tag, tunnels=tunnels)
        self._bridges: dict[str, Bridge] = dict(self._wiring.bridges)
        self._controller_sockets: dict[str, socket.socket] = {}
        self._mininet: EmulatedMininet | None = None
        self._links: Links | None = None
        self._processes = NodeProcesses(tag, self.pid)
        self._resolver: Path | None = None
        self._progress: Callable[[str], None] = _silent
        self._signals = signals_as_exit()

    # Life ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> EmulatedNetwork:
        atexit.register(self.stop)  # should a signal arrive between the block's end and stop()
        self._signals.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            debug_shell.offer(self, error)
        finally:
            self._stop(redeliver=kind is None)
            self._signals.__exit__(None, None, None)
            atexit.unregister(self.stop)

    def start(self, progress: Callable[[str], None] | None = None) -> None:
        """Build the network; on return it carries traffic between all hosts and routers.

        Removes the remains of dead runs first. Raises NetworkError, SettingError, IprouteError, BridgeError or the link
        backend's error.
        """
        if self._mininet is not None:
            raise NetworkError("this network was started before; make a new EmulatedNetwork with a new tag")
        self._progress = progress or _silent
        begin_s = time.monotonic()
        cleanup.clean(only_dead=True, progress=self._progress)
        self.work_dir.mkdir(parents=True, exist_ok=True)
        run_tag.record_bridges(self.tag, [bridge.name for bridge in self._bridges.values()])

        names = [node.name for node in self.topology.nodes]
        self._progress(f"starting {len(names)} nodes")
        self._mininet = EmulatedMininet(self.tag)
        self._mininet.add_nodes(names)
        # Before any interface exists, so that each one inherits the defaults.
        all_nodes.write_settings(self.pid, self._wiring.kernel_settings)

        self._progress(f"creating {len(self._wiring.wires)} links")
        requests = [
            LinkRequest(a=self._link_end(item.a), b=self._link_end(item.b), spec=item.spec, label=item.label)
            for item in self._wiring.wires
        ]
        self._links = create_links(
            requests, self.backends.link, out_dir=self.work_dir, seed=self.seed, environment=self.tag.environment
        )
        self._make_tunnels()
        run_batch("ip", self._wiring.root_commands, "bridge ports")

        self._progress(f"configuring addresses, routes and {len(self._bridges)} bridges")
        with ThreadPoolExecutor(1) as beside:
            switching = beside.submit(
                bridges.create_bridges,
                list(self._bridges.values()),
                self.tag,
                datapath_type=self.backends.datapath,
            )
            all_nodes.run_ip(self.pid, self._wiring.ip_commands)
            switching.result()
        for interface in self._wiring.interfaces:
            self._mininet.note_interface(interface)
        self.startup_seconds = time.monotonic() - begin_s
        standing.add(self)
        self._progress(f"network ready after {self.startup_seconds:.1f} s")

    def stop(self) -> None:
        """Remove everything of this run. Safe to call twice, and not disturbed by Ctrl-C or SIGTERM."""
        self._stop(redeliver=True)

    # Use ----------------------------------------------------------------------------------------------------------

    @property
    def mininet(self) -> EmulatedMininet:
        """Return the Mininet object; nodes are looked up by name: `network.mininet['client-1'].cmd('ip route')`."""
        if self._mininet is None:
            raise NetworkError("the network is not running; call start() first")
        return self._mininet

    @property
    def links(self) -> Links:
        """Return the links, for their statistics (the final ones after `stop`)."""
        if self._links is None:
            raise NetworkError("the network is not running; call start() first")
        return self._links

    def pid(self, node: str) -> int:
        """Return the process that holds the node's namespace open."""
        self.topology.node(node)
        return int(self.mininet[node].pid)

    def popen(
        self,
        node: str | None,
        argv: Sequence[str],
        *,
        name: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        pass_fds: Collection[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a process in a node's namespace (None: the root namespace) in a session of its own.

        Its output goes to the end of `log_path`. `stop` ends it, if it still runs.
        """
        try:
            return self._processes.popen(node, argv, log_path=log_path, env=env or {}, pass_fds=pass_fds)
        except OSError as error:
            raise NetworkError(f"cannot start {name}: {error}") from error

    def start_module(
        self,
        node: str | None,
        module: str,
        arguments: Sequence[str],
        *,
        name: str,
        log_path: Path,
        pass_fds: Collection[int] = (),
    ) -> ForkedProcess:
        """Start `python -m module ARGUMENTS` as `popen` would, from a warm parent: it starts in milliseconds."""
        try:
            return self._processes.start_module(node, module, arguments, log_path=log_path, pass_fds=pass_fds)
        except OSError as error:
            raise NetworkError(f"cannot start {name}: {error}") from error

    def warm_up(self, modules: Collection[str], logs: Path) -> None:
        """Have the parents of modules that will be started import them meanwhile."""
        self._processes.warm_up(modules, logs)

    def run(self, node: str | None, argv: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a command in a node's namespace to its end. Raises subprocess.TimeoutExpired after `timeout_s`."""
        return subprocess.run(
            self._processes.inside(node, [*self._resolving(node), *argv]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**caller.environment(), **self.tag.environment},
            start_new_session=True,
            check=False,
        )

    @property
    def bridges(self) -> Mapping[str, Bridge]:
        """Return the bridges by their D-Router or Dispatcher."""
        return self._bridges

    def bridge(self, d_router: str) -> Bridge:
        """Return the bridge of a D-Router or Dispatcher."""
        try:
            return self._bridges[d_router]
        except KeyError:
            raise unknown_name(f"topology {self.topology.name!r} has no D-Router", d_router, self._bridges) from None

    def controller_socket(self, d_router: str) -> int:
        """Return the descriptor of the TCP socket that a bridge's controller takes sessions at, for it to inherit.

        It listens for as long as the network stands: nobody else takes its port while there is no controller.
        """
        if d_router not in self._controller_sockets:
            self._controller_sockets[d_router] = socket.create_server(("127.0.0.1", 0))
        return self._controller_sockets[d_router].fileno()

    def connect_controllers(self, d_routers: Iterable[str]) -> None:
        """Have the bridges of D-Routers and Dispatchers connect to their controllers, in one step."""
        bridges.connect_controllers({self.bridge(name).name: self._controller_port(name) for name in d_routers})

    def reconnect_soon(self, connected: Iterable[str]) -> None:
        """Have connected bridges of D-Routers and Dispatchers come back soon if they lose their controller."""
        bridges.reconnect_soon([self.bridge(name).name for name in connected])

    def _controller_port(self, d_router: str) -> int:
        self.controller_socket(d_router)
        return int(self._controller_sockets[d_router].getsockname()[1])

    def port(self, node: str, peer: str) -> PortSource:
        """Return the interface of a router on its link to another one, and where its counters are."""
        wire = next(wire for wire in self._wiring.wires if wire.label == self._label(node, peer))
        of_a = wire.a.node == node
        return self.links.source(wire.label, (wire.a if of_a else wire.b).interface, of_a=of_a)

    def interface(self, node: str, peer: str | None = None) -> tuple[str | None, str]:
        """Return the node (None: the root namespace) and name of an interface: of a host, or on the link to `peer`."""
        if peer is None:
            return node, HOST_INTERFACE
        wire = next(wire for wire in self._wiring.wires if wire.label == self._label(node, peer))
        # Of a host's link, the other end is a port of a bridge.
        label_begins_here = any((link.a, link.b) == (node, peer) for link in self.topology.links)
        end = wire.a if label_begins_here else wire.b
        return end.node, end.interface

    def cut(self, a: str, b: str) -> None:
        """Have the link between two nodes lose everything, both ways. Raises NetworkError or LinkError."""
        self.links.cut(self._label(a, b))

    def restore(self, a: str, b: str) -> None:
        """Undo one `cut`; a link that was cut twice carries again when both are undone."""
        self.links.restore(self._label(a, b))

    def change(self, a: str, b: str, spec: LinkSpec) -> None:
        """Impair the link between two nodes so from now on, until `change_back`. Raises NetworkError or LinkError."""
        self.links.change(self._label(a, b), spec)

    def change_back(self, a: str, b: str, spec: LinkSpec) -> None:
        """Undo a `change`."""
        self.links.change_back(self._label(a, b), spec)

    def present(self, a: str, b: str) -> LinkSpec | None:
        """Return what the link between two nodes does to packets now; None: it loses all."""
        return self.links.present(self._label(a, b))

    def lost_at_switches(self) -> int | None:
        """Return how many packets Open vSwitch had no time to read, so far."""
        return switch_sockets.lost([name for bridge in self._bridges.values() for name in bridge.interfaces.values()])

    def host_drops(self, overload_tolerant: Collection[str] = ()) -> HostDrops:
        """Return what the machine dropped so far outside of emulation, but for sockets of `overload_tolerant` nodes."""
        interfaces: dict[str, set[str]] = {"": set()}  # "": the root namespace
        for item in self._wiring.wires:
            if item.spec.is_plain:
                for end in (item.a, item.b):
                    interfaces.setdefault(end.node or "", set()).add(end.interface)
        pids: dict[str, int | None] = {node.name: self.pid(node.name) for node in self.topology.nodes}
        return host_drops.count(interfaces, {**pids, "": None}, overload_tolerant)

    def refuse(self, refusals: Mapping[Address, str], ranges: Collection[Network] = ()) -> None:
        """Have every D-Router refuse what still is addressed to these addresses when it is routed; call it once.

        `unreachable`: an ICMP error; `reset`: a RST to TCP, an ICMP error to all else. All other addresses in `ranges`
        are unreachable. Raises IprouteError.
        """
        for version in (4, 6):
            of_family = {address: how for address, how in refusals.items() if address.version == version}
            ranges_of_family = [network for network in ranges if network.version == version]
            commands = "".join(f"{line}\n" for line in refusal_commands(of_family, ranges_of_family))
            # A rule does not say its family by itself.
            d_routers = [node.name for node in self.topology.of_kind(Kind.EDGE)]
            all_nodes.run_ip(self.pid, dict.fromkeys(d_routers, commands), version)

    def use_resolver(self, folder: Path) -> None:
        """Have commands that are `run` in nodes look names up by the resolv.conf there, not by the machine's."""
        self._resolver = folder

    def offer(self, d_sids: Mapping[str, Collection[Address]]) -> None:
        """Have hosts take packets to D-SIDs for their own, by host; call it once, for services steered by tunnel."""
        commands = {host: "".join(f"{line}\n" for line in offer_commands(of)) for host, of in d_sids.items()}
        all_nodes.run_ip(self.pid, commands)

    def claim_zones(self, timeouts_s: Sequence[int]) -> list[int]:
        """Return the numbers of conntrack zones of this run, one for each idle timeout. Raises BridgeError."""
        return ct_zones.claim(timeouts_s, self.tag, datapath_type=self.backends.datapath)

    # Construction and removal -------------------------------------------------------------------------------------

    def _resolving(self, node: str | None) -> list[str]:
        """Return what starts a command with the network's resolv.conf."""
        return [] if node is None or self._resolver is None else with_resolver(self._resolver)

    def _label(self, a: str, b: str) -> str:
        for link in self.topology.links:
            if {link.a, link.b} == {a, b}:
                return link_label(link)
        raise NetworkError(f"there is no link between {a!r} and {b!r}")

    def _link_end(self, end: End) -> LinkEnd:
        pid = None if end.node is None else self.pid(end.node)
        return LinkEnd(netns_pid=pid, interface=end.interface, mac=end.mac)

    def _stop(self, *, redeliver: bool) -> None:
        with deferred_signals(redeliver=redeliver), ExitStack() as steps:
            # Last in, first out; a step that fails does not keep the next ones from running.
            steps.callback(self._remove_remains)
            for listening in self._controller_sockets.values():
                steps.callback(listening.close)
            steps.callback(self._close_links)
            steps.callback(self._end_children)

    def _make_tunnels(self) -> None:
        home = os.getpid()  # its threads enter other namespaces, it does not
        made = self._wiring.tunnels
        all_nodes.run_ip(self.pid, {d_router: tunnels.creation(tunnel, home) for d_router, tunnel in made.items()})
        tunnels.connect(made.values())

    def _end_children(self) -> None:
        running = self._processes.running()
        if running:
            self._progress(f"ending {len(running)} processes")
        self._processes.end(cleanup.GRACE_S)

    def _close_links(self) -> None:
        if self._links is not None:
            self._links.close()

    def _remove_remains(self) -> None:
        if self.clean_report is not None:
            return
        standing.discard(self)
        self._progress("removing the network")
        report = cleanup.clean_run(self.tag)
        if self._mininet is not None:
            self._mininet.stop()
        for problem in report.problems:
            self._progress(problem)
        self.clean_report = report


def _silent(_message: str) -> None:
    return
