"""Seconds until a network stands, against plain Mininet with the same nodes and links.

A line of D-Routers, each with a client. As the testbed builds it, each D-Router is a bridge and a namespace, so plain
Mininet gets as many switches, hosts and links, between the same ends. Neither has a controller.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from mininet.net import Mininet
from mininet.node import Host, OVSSwitch

from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped, compare
from testbed.dyncast.roles import D_ROUTER
from testbed.emulation import cleanup, run_tag
from testbed.emulation.machine.capabilities import Backends, CapabilityError, choose_backends, probe
from testbed.emulation.mininet_nodes import allow_many_files
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.run_tag import RunTag
from testbed.emulation.temporary_folders import temporary_folder
from testbed.emulation.wiring import Wiring, wire
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT
from topologies.spec import Link, Node, Topology

_GOALS: Mapping[int, Goal | None] = {12: Goal(1.3, Better.LOWER), 50: None, 100: Goal(0.6, Better.LOWER)}
_RUN_KEY = "dyncast-run"  # as `bridges` marks its own
_QUICK_SIZES = (12,)
_SMALL = 12
_ROUNDS_OF_LARGE = 2  # plain Mininet takes its time for them


class _Line:
    """A line of D-Routers, built both ways."""

    def __init__(self, length: int, backends: Backends) -> None:
        d_routers = [f"d{number}" for number in range(length)]
        clients = [f"c{number}" for number in range(length)]
        self._backends = backends
        self._topology = Topology(
            f"line of {length}",
            (*(Node(name, D_ROUTER) for name in d_routers), *(Node(name, CLIENT) for name in clients)),
            (*(Link(a, b) for a, b in pairwise(d_routers)), *map(Link, clients, d_routers)),
        )
        self._plan = AddressPlan(self._topology)

    def ours_s(self) -> float:
        """Build it with the testbed; return the seconds until it stood."""
        with temporary_folder("bench") as folder:
            begun_s = time.monotonic()
            network = EmulatedNetwork(
                self._topology, self._plan, tag=run_tag.claim("bench"), backends=self._backends, work_dir=folder
            )
            with network:
                network.start()
                return time.monotonic() - begun_s

    def mininet_s(self) -> float:
        """Build it with plain Mininet; return the seconds until it stood."""
        tag = run_tag.claim("bench")
        try:
            wiring = wire(self._topology, self._plan, tag)
            allow_many_files()
            begun_s = time.monotonic()
            network = _PlainMininet(tag, wiring, self._backends)
            network.start()
            took_s = time.monotonic() - begun_s
        finally:
            cleanup.clean_run(tag)  # faster than Mininet's own way, and all that an interruption may leave
        for node in (*network.hosts, *network.switches):
            node.terminate()
        return took_s


class _PlainMininet(Mininet):  # type: ignore[misc]
    """Mininet as it is, but that clean-up finds what it makes. Namespaces and bridges of a D-Router are nodes alike."""

    def __init__(self, tag: RunTag, wiring: Wiring, backends: Backends) -> None:
        Mininet.inited = True  # or it would raise limits of the whole machine for good
        super().__init__(build=False, controller=None)
        addresses = {(interface.node, interface.name): str(interface.addresses[0]) for interface in wiring.interfaces}
        for name in wiring.ip_commands:
            self.addHost(name, cls=_TaggedHost, tag=tag, ip=None)
        switch_of: dict[str, Any] = {}
        for bridge in wiring.bridges.values():
            datapath = "user" if backends.datapath == "netdev" else "kernel"
            switch = self.addSwitch(
                bridge.name, cls=_TaggedSwitch, tag=tag, datapath=datapath, dpid=f"{bridge.datapath_id:016x}"
            )
            switch_of |= dict.fromkeys(bridge.interfaces.values(), switch)
        for cable in wiring.wires:
            a, b = (self[end.node] if end.node else switch_of[end.interface] for end in (cable.a, cable.b))
            parameters = [{"ip": addresses[end.node, end.interface]} if end.node else {} for end in (cable.a, cable.b)]
            self.addLink(
                a, b, intfName1=cable.a.interface, intfName2=cable.b.interface,
                params1=parameters[0], params2=parameters[1],
            )  # fmt: skip


class _TaggedHost(Host):  # type: ignore[misc]
    """A host whose processes carry the run's tag."""

    def __init__(self, name: str, *, tag: RunTag, **params: Any) -> None:
        self._tag = tag
        super().__init__(name, **params)

    def _popen(self, cmd: list[str], **params: Any) -> Any:
        return super()._popen(cmd, **params, env={**os.environ, **self._tag.environment})


class _TaggedSwitch(OVSSwitch):  # type: ignore[misc]
    """A switch whose bridge and processes carry the run's tag."""

    def __init__(self, name: str, *, tag: RunTag, **params: Any) -> None:
        self._tag = tag
        super().__init__(name, **params)

    def _popen(self, cmd: list[str], **params: Any) -> Any:
        return super()._popen(cmd, **params, env={**os.environ, **self._tag.environment})

    def bridgeOpts(self) -> str:
        """Return Mininet's options of the bridge, and the tag."""
        return f"{super().bridgeOpts()} external_ids:{_RUN_KEY}={self._tag}"


def _run(settings: Settings) -> Iterator[Row]:
    try:
        backends = choose_backends(probe())
    except CapabilityError as error:
        raise Skipped(str(error)) from error
    for length in _QUICK_SIZES if settings.quick else _GOALS:
        line = _Line(length, backends)
        rounds = settings.rounds if length <= _SMALL else _ROUNDS_OF_LARGE
        note = f"{length} D-Routers in a line, a client each; baseline: plain Mininet, same nodes and links"
        yield compare(f"startup/{length}", "s", line.ours_s, line.mininet_s, rounds, note=note, goal=_GOALS[length])


BENCHMARK = Benchmark("startup", "seconds until a network stands, against plain Mininet", _run)
