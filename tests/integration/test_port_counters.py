"""What ports say of themselves, and what comes back of a message that nobody hears, between real namespaces."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ryu_apps.dyncast.measurement.icmp_unreachable import Returned, parse, receive, receive_only_unreachable
from testbed.emulation.links.backend import LinkEnd, LinkRequest
from testbed.emulation.links.links import Links, create_links
from testbed.emulation.netns.namespaces import Namespace, entered
from testbed.linux.port_reader import PortReader
from testbed.net.port_counters import PortCounters
from testbed.runtime.polling import wait_until
from topologies.spec import LinkSpec

pytestmark = pytest.mark.root

LABEL, FRAMES, OCTETS = "a - b", 200, 1000
HOME, AWAY = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces that send nothing of their own accord."""
    with Namespace() as a, Namespace() as b:
        for namespace in (a, b):
            namespace.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"])
        yield a, b


@pytest.fixture
def linked(pair: tuple[Namespace, Namespace], tmp_path: Path) -> Iterator[Callable[[LinkSpec], Links]]:
    """Link the two, relayed if need be."""
    made: list[Links] = []

    def link(spec: LinkSpec) -> Links:
        a, b = pair
        ends = LinkEnd(a.pid, "eth0"), LinkEnd(b.pid, "eth0")
        made.append(create_links([LinkRequest(*ends, spec, LABEL)], "relay", out_dir=tmp_path))
        for namespace in pair:
            wait_until(
                lambda of=namespace: "noop" not in of.run(["tc", "qdisc", "show", "dev", "eth0"]), what="carrier"
            )
        return made[0]

    yield link
    for links in made:
        links.close()


def reader(namespace: Namespace, links: Links) -> PortReader:
    with entered(namespace.pid):
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
    return PortReader(netlink, [links.source(LABEL, "eth0", of_a=True)])


def send(namespace: Namespace, frames: int = FRAMES) -> None:
    with entered(namespace.pid), closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as opened:
        opened.bind(("eth0", 0))
        for _ in range(frames):
            with suppress(OSError):  # a queueing discipline that drops says so
                opened.send((b"\xff" * 6 + b"\x02\0\0\0\0\x0a" + b"\x88\xb5").ljust(OCTETS, b"\0"))


def read(ports: PortReader) -> PortCounters:
    return ports.read(time.monotonic())["eth0"].counters


def test_a_plain_port_counts_what_left_it(
    pair: tuple[Namespace, Namespace], linked: Callable[[LinkSpec], Links]
) -> None:
    ports = reader(pair[0], linked(LinkSpec()))

    def all_have_left() -> bool:
        """Whether none of a burst is dropped; all are, if the kernel has a backlog of others on this processor."""
        before = read(ports)
        send(pair[0])
        octets, frames, dropped = (now - then for now, then in zip(read(ports), before, strict=True))
        assert (octets, frames + dropped) == (frames * OCTETS, FRAMES)
        return dropped == 0

    wait_until(all_have_left, what="a burst of which nothing is dropped")


def test_a_port_of_a_link_with_a_rate_counts_what_its_queue_lets_through(
    pair: tuple[Namespace, Namespace], linked: Callable[[LinkSpec], Links]
) -> None:
    ports = reader(pair[0], linked(LinkSpec(rate_mbps=1, queue_packets=20)))
    assert read(ports) == (0, 0, 0)
    send(pair[0])  # 8 ms each: in the second or so that it takes, some hundred leave at the most
    counters = wait_until(lambda: (now := read(ports)).sent_packets + now.dropped_packets == FRAMES and now)
    assert isinstance(counters, PortCounters)
    assert counters.sent_packets >= 20
    assert counters.dropped_packets > 0
    assert counters.sent_bytes == counters.sent_packets * OCTETS


def test_what_the_line_loses_the_port_has_sent(
    pair: tuple[Namespace, Namespace], linked: Callable[[LinkSpec], Links]
) -> None:
    ports = reader(pair[0], linked(LinkSpec(rate_mbps=1000, loss_percent=50)))
    send(pair[0])
    wait_until(lambda: read(ports) == (FRAMES * OCTETS, FRAMES, 0), what="all frames to be counted as sent")


def test_drops_of_a_queueing_discipline_count_and_a_cut_does_not(
    pair: tuple[Namespace, Namespace], linked: Callable[[LinkSpec], Links]
) -> None:
    links = linked(LinkSpec())
    ports = reader(pair[0], links)
    pair[0].run(
        ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "2000", "limit", "5000"]
    )
    send(pair[0])
    before = read(ports)
    assert 0 < before.dropped_packets <= FRAMES
    pair[0].run(["tc", "qdisc", "del", "dev", "eth0", "root"])
    settled = read(ports)
    links.cut(LABEL)
    send(pair[0])
    assert read(ports) == settled


def test_a_message_to_a_closed_port_comes_back_whole(
    pair: tuple[Namespace, Namespace], linked: Callable[[LinkSpec], Links]
) -> None:
    linked(LinkSpec())
    for namespace, address in zip(pair, (HOME, AWAY), strict=True):
        namespace.run(["ip", "address", "add", f"{address}/24", "dev", "eth0"])
    message = bytes(range(256)) * 2
    with entered(pair[0].pid):
        icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with entered(pair[1].pid):
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind((AWAY, 7000))
    with icmp, sender, listener:
        receive_only_unreachable(icmp)
        icmp.settimeout(10)
        sender.sendto(message, (AWAY, 7000))  # heard: nothing comes back
        pair[0].run(["ping", "-c", "1", "-W", "5", AWAY])  # nor of pings
        sender.sendto(message, (AWAY, 7001))
        assert parse(receive(icmp), 7000) is None  # of another port
        listener.close()
        sender.sendto(message, (AWAY, 7000))
        returned = parse(receive(icmp), 7000)
    assert isinstance(returned, Returned)
    assert returned.data == message
    assert str(returned.to) == AWAY
