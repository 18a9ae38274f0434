"""A network in which flows live all their lives: a client, services in all modes, instances here and at another site.

What the client sees at its interface is looked through for packets under the address of an instance.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6

from testbed.emulation.inspection.bound_flows import bound_flows
from testbed.emulation.netns.namespaces import entered, socket_in
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.linux.ovs_conntrack import Conntrack
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until

SERVER = Path(__file__).with_name("life_server.py")
CLIENT, HERE, THERE = "client-1@east", "east", "middle"
PORT = 8080
# Where the client speaks with instances under their own address: listening, and asking.
LISTENS, ASKS = 7000, 7001
LASTING_S, BRIEF_S = 20, 1
CLOSED_S = 5  # for so long Open vSwitch keeps a connection that has ended
MODES: dict[str, dict[str, Any]] = {
    "reactive": {},
    "datapath": {"affinity": {"mode": "datapath"}},
    "tunnel": {"steering": "tunnel"},
}
# Two instances, one at each site; the same, by the three fields; one at the other site.
LASTING, BY_CLIENT, BRIEF = "lasting", "by-client", "brief"
_FIELDS = {BY_CLIENT: ["src", "dst", "proto"]}
_TIMEOUT_S = {LASTING: LASTING_S, BY_CLIENT: LASTING_S, BRIEF: BRIEF_S}
D_SIDS = {
    (name, version): {4: f"203.0.113.{number}", 6: f"2001:db8:5::{number}"}[version]
    for number, name in enumerate(_TIMEOUT_S, 10)
    for version in (4, 6)
}


def document(mode: str) -> dict[str, Any]:
    services, instances = {}, []
    for (name, version), d_sid in D_SIDS.items():
        keys = MODES[mode]
        fields = {"fields": _FIELDS[name]} if name in _FIELDS else {}
        affinity = {**keys.get("affinity", {}), **fields, "timeout_s": _TIMEOUT_S[name]}
        services[f"{name}-{version}"] = {**keys, "affinity": affinity, "d_sid": d_sid, "kind": "command", "port": PORT}
        udp = d_sid if mode == "tunnel" else "{host}"
        command = [sys.executable, str(SERVER), "{instance}", "{port}", udp]
        sites = (THERE,) if name == BRIEF else (HERE, THERE)
        instances += [{"service": f"{name}-{version}", "site": site, "command": command} for site in sites]
    return {
        "name": "life",
        "topology": "topozoo/Abilene",
        "sites": {HERE: {"at": "New York"}, THERE: {"at": "Chicago"}},
        "services": services,
        "instances": instances,
        "clients": [{"site": HERE}],
        "policy": "round_robin",
        "metrics": {"interval_s": 0.5},
    }


class Life:
    """The testbed of one mode, as its client sees it."""

    def __init__(self, testbed: Testbed, mode: str, sniffer: socket.socket) -> None:
        self.testbed, self.mode, self._sniffer = testbed, mode, sniffer
        self.joins_in_userspace = (
            mode == "datapath" and testbed.backends.datapath == "netdev"
        )  # fragments, to track them
        items = DyncastPlan.of(testbed.plan).instances
        self.instances = {(item.service[:-2], int(item.service[-1])): item.host for item in items}
        self._d_bids = {self.address(item.host, version) for item in items for version in (4, 6)}

    def address(self, host: str, version: int) -> str:
        of = self.testbed.network.plan.host(host)
        return str((of.ipv4 if version == 4 else of.ipv6).ip)

    @contextmanager
    def client(
        self, kind: socket.SocketKind, d_sid: str, *, port: int = PORT, own_port: int = 0
    ) -> Iterator[socket.socket]:
        version = ip_address(d_sid).version
        with socket_in(self.testbed.network.pid(CLIENT), family(version), kind) as ours:
            ours.settimeout(20)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ours.bind((self.address(CLIENT, version), own_port))
            connect(ours, (d_sid, port))
            yield ours

    def ask(self, d_sid: str, line: str) -> str:
        """Say a line over TCP and return the answer."""
        with self.client(socket.SOCK_STREAM, d_sid) as flow:
            return say(flow, line)

    def counted(self, kind: str) -> int:
        """What all D-Routers counted of a kind."""
        last: dict[Path, int] = {}
        for path in self.testbed.folder.glob("control.*.part.csv"):
            for row in whole_rows(path):
                if row["kind"] == kind:
                    last[path] = int(row["messages"] or 0)
        return sum(last.values())

    def bound_ports(self, d_sid: str) -> set[int | None]:
        """The ports of the flows to a service of which the switch of the client's site holds a binding."""
        conntrack = Conntrack(self.testbed.backends.datapath)
        found = bound_flows(self.testbed.network.bridge(HERE).name, conntrack, time.monotonic())
        return {item.src_port for item in found if str(item.d_sid) == d_sid}

    @contextmanager
    def narrowed(self, destination: str) -> Iterator[None]:
        """Have the client's D-Router know a narrower path to an address, as of an operator's tunnel."""
        network, version = self.testbed.network, ip_address(destination).version
        words = network.run(HERE, ["ip", "route", "get", destination], 10).stdout.split()
        hop = [words[words.index("via") + 1], "dev", words[words.index("dev") + 1]]
        route = [destination, "via", *hop, "mtu", "lock", "1280"]
        assert network.run(HERE, ["ip", f"-{version}", "route", "add", *route], 10).returncode == 0
        try:
            yield
        finally:
            network.run(HERE, ["ip", f"-{version}", "route", "del", *route], 10)
            network.run(CLIENT, ["ip", f"-{version}", "route", "flush", "cache"], 10)

    def inject(self, host: str, version: int, packets: Sequence[Any]) -> None:
        """Send packets as they are from a host, past its own IP stack."""
        with entered(self.testbed.network.pid(host)):
            raw = socket.socket(family(version), socket.SOCK_RAW, socket.IPPROTO_RAW)
        with raw:
            for packet in packets:
                raw.sendto(bytes(packet), (packet.dst, 0))

    def strangers(self) -> list[str]:
        """What came to the client from an instance's own address since last asked; neighbours may ask each other."""
        found = []
        while True:
            try:
                frame, (_, _, kind, *_) = self._sniffer.recvfrom(65535)
            except BlockingIOError:
                return found
            source = source_of(frame) if kind != socket.PACKET_OUTGOING else None
            if source in self._d_bids and port_to(frame) not in (LISTENS, ASKS):
                found.append(f"{source}: {frame[14:60].hex()}")


def source_of(frame: bytes) -> str | None:
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == 0x0800:
        return socket.inet_ntop(socket.AF_INET, frame[26:30])
    is_neighbours = kind == 0x86DD and frame[20] == 58 and frame[54] >= 130
    return socket.inet_ntop(socket.AF_INET6, frame[22:38]) if kind == 0x86DD and not is_neighbours else None


def port_to(frame: bytes) -> int | None:
    """Return the port that a segment or datagram goes to. Its IP header has no options."""
    is_ipv4 = frame[12:14] == b"\x08\x00"
    protocol, header_ends = (frame[23], 34) if is_ipv4 else (frame[20], 54)
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None
    return int.from_bytes(frame[header_ends + 2 : header_ends + 4], "big")


def unreachable(version: int, ends: tuple[str, str], of: tuple[str, str]) -> Any:
    """An ICMP error between two ends, about a datagram between two others of ports that no flow has."""
    header, error = (IP, ICMP(type=3, code=3)) if version == 4 else (IPv6, ICMPv6DestUnreach(code=4))
    quoted = bytes(header(src=of[0], dst=of[1]) / UDP(sport=39_999, dport=39_998) / b"content")
    return header(src=ends[0], dst=ends[1]) / error / quoted


def family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def connect(flow: socket.socket, destination: tuple[str, int]) -> None:
    """Connect. A port that was used is free again when the other end has acknowledged the end of its last flow."""

    def is_connected() -> bool:
        try:
            flow.connect(destination)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return False
        return True

    wait_until(is_connected, what=f"a free port for {destination}")


def wait_until_closed(flow: socket.socket) -> None:
    """Close after the instance has: it is the one to wait for stragglers, and the port is free."""
    assert not flow.recv(1)


def reset_at_end(flow: socket.socket) -> None:
    """Have closing the socket reset the connection, once nothing of it is under way to the client.

    A client would answer that by a reset, which Open vSwitch's userspace conntrack takes for one of the connection that
    the client begins next by the same port (docs/dyncast/pipeline.md).
    """
    wait_until_closed(flow)
    flow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def outcome(asking: socket.socket, port: int) -> str:
    """What became of the late datagrams to a port; `-` as long as they are not sent.

    An answer so late that the flow which asked has ended is dropped, as it should be: on a slow machine, ask again.
    """
    asking.settimeout(2 * BRIEF_S)
    asking.send(f"outcome {port}".encode())
    with suppress(TimeoutError):
        return asking.recv(1000).decode()
    return "-"


def say(flow: socket.socket, line: str) -> str:
    flow.sendall(line.encode() + b"\n")
    return flow.makefile().readline().strip()
