"""Packet sockets that watch hosts take what is for the host, and nothing that a switch floods there for another one."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.agents.host.flow_tap import FlowTap
from testbed.emulation.netns.namespaces import Namespace, entered
from testbed.experiment.systems.dyncast.run.direct_traffic import DirectTraffic
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until

pytestmark = [pytest.mark.root]

D_BID, HOST, PORT = "10.2.0.10", "10.1.0.20", 5004
OTHERS_MAC = bytes.fromhex("02aabbccddee")


@pytest.fixture
def host() -> Iterator[Namespace]:
    with Namespace() as namespace:
        namespace.run(["ip", "link", "add", "switch", "type", "veth", "peer", "name", "host"])
        for name in ("switch", "host"):
            namespace.run(["ip", "link", "set", name, "up"])
        yield namespace


def send(namespace: Namespace, mac: bytes, src_port: int) -> None:
    """Have a datagram arrive at the host, in a frame to some address."""
    datagram = struct.pack("!HHHH", src_port, PORT, 12, 0) + bytes(4)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0)
    packet = head + IPv4Address(D_BID).packed + IPv4Address(HOST).packed + datagram
    with entered(namespace.pid), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("switch", 0))
        raw.send(mac + bytes.fromhex("020000000001") + b"\x08\x00" + packet)


def own_mac(namespace: Namespace) -> bytes:
    (link,) = json.loads(namespace.run(["ip", "-json", "link", "show", "host"]))
    return bytes.fromhex(link["address"].replace(":", ""))


def test_a_tap_sees_no_flows_of_other_hosts(host: Namespace) -> None:
    with entered(host.pid):
        tap = FlowTap("udp", PORT)
    send(host, OTHERS_MAC, 1000)
    send(host, own_mac(host), 2000)
    seen = []
    wait_until(lambda: seen.extend(tap.read()) or seen, what="the datagram to be seen")
    tap.close()
    assert [packet.key.src_port for packet in seen] == [2000]


def test_a_client_receives_no_answers_of_other_hosts(host: Namespace, tmp_path: Path) -> None:
    watched = DirectTraffic({"client-1@east": host.pid}, [D_BID], tmp_path)
    send(host, OTHERS_MAC, 1000)
    send(host, own_mac(host), 2000)
    watched.close()
    begun_s = time.monotonic()
    (row,) = whole_rows(tmp_path / "direct.clients.part.csv")
    assert (row["dst_port"], row["asked"], row["answered"]) == ("2000", "0", "1")
    assert float(row["last_s"]) <= begun_s
