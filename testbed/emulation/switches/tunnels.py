"""The VXLAN tunnels between D-Routers: a device at each, which begins in its namespace and ends at its bridge.

Owns their making and the table that says which station lies behind which D-Router (RFC 7348, with the table filled in
beforehand in place of flooding). A device is made in the D-Router's namespace and then moved to the root namespace, as
a port of the bridge; Linux goes on sending and receiving its outer packets where it was made, so that they travel the
emulated links. A frame to a station that is not in the table is dropped: nothing floods through a tunnel. Who is
steered where is not known here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from testbed.emulation.netns.interfaces import configure, switch_offloads_off
from testbed.emulation.netns.iproute import run_batch

VNI = 1  # networks of different runs never meet
DST_PORT = 4789
# What infrastructure links carry, so that hosts keep their 1500 and no packet is cut up: the outer IPv4, UDP and VXLAN
# headers and the inner Ethernet header take 50.
UNDERLAY_MTU_BYTES = 1600


@dataclass(frozen=True)
class Tunnel:
    """One D-Router's end of all its tunnels.

    `interface`: its device in the root namespace; `local`: the D-Router's own address; `behind`: the address of the
    D-Router that a station elsewhere lies behind, by MAC address.
    """

    interface: str
    local: str
    behind: Mapping[str, str]


def creation(tunnel: Tunnel, home_pid: int) -> str:
    """Return the `ip -batch` that makes a device in the D-Router's namespace, where it must run, and moves it home.

    `home_pid` lives in the root namespace. Outer packets carry no UDP checksum, as RFC 7348 wants them over IPv4.
    """
    device = f"name {tunnel.interface} type vxlan id {VNI} local {tunnel.local} dstport {DST_PORT} ttl 64 nolearning"
    return f"link add {device}\nlink set dev {tunnel.interface} netns {home_pid}\n"


def connect(tunnels: Iterable[Tunnel]) -> None:
    """Fill in the tables of devices that were made, and bring them up. Raises InterfaceError or IprouteError."""
    entries: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for tunnel in tunnels:
            # Or the kernel would join decapsulated segments to frames larger than any port takes.
            switch_offloads_off(control, tunnel.interface)
            configure(control, tunnel.interface)
            entries += [
                f"fdb add {mac} dev {tunnel.interface} dst {address} self permanent\n"
                for mac, address in tunnel.behind.items()
            ]
    if entries:
        run_batch("bridge", "".join(entries), "tunnels")
