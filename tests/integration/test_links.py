"""Links between real namespaces: plain, relayed, and by netem where the kernel has it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from testbed.emulation.links.backend import LinkContext, LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.links import create_links
from testbed.emulation.links.relay_link import RelayLinks, configuration
from testbed.emulation.machine.capabilities import probe
from testbed.emulation.netns.namespaces import Namespace, NamespaceError, entered, socket_in
from testbed.runtime.polling import wait_until
from testbed.runtime.pulse import INTERVAL_S, recorded
from topologies.spec import LinkSpec

pytestmark = pytest.mark.root

MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
ETHERTYPE = 0x88B5  # for local experiments
OFFLOADS = ("rx-checksumming", "tx-checksumming", "generic-segmentation-offload", "generic-receive-offload")


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces whose interfaces send nothing of their own accord."""
    with Namespace() as a, Namespace() as b:
        for namespace in (a, b):
            namespace.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"])
        yield a, b


def request(a: Namespace, b: Namespace, spec: LinkSpec, number: int = 0) -> LinkRequest:
    ends = LinkEnd(a.pid, f"eth{number}", MAC_A), LinkEnd(b.pid, f"eth{number}", MAC_B)
    return LinkRequest(*ends, spec, f"link-{number}")


def packet_socket(namespace: Namespace, interface: str = "eth0") -> socket.socket:
    with entered(namespace.pid):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        opened.bind((interface, ETHERTYPE))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    opened.settimeout(10)
    return opened


def frame(number: int, length: int = 100) -> bytes:
    header = bytes.fromhex((MAC_B + MAC_A).replace(":", "")) + ETHERTYPE.to_bytes(2, "big")
    return (header + number.to_bytes(4, "big")).ljust(length, b"\0")


def number_of(received: bytes) -> int:
    return int.from_bytes(received[14:18], "big")


def counters(links: Any, label: str = "link-0", direction: str = "a_to_b") -> dict[str, Any]:
    return links.statistics()["links"][label][direction]  # type: ignore[no-any-return]


@pytest.mark.parametrize("spec", [LinkSpec(), LinkSpec(delay_ms=1)], ids=["plain", "relayed"])
def test_both_interfaces_are_up_with_their_address_and_without_offloads(
    pair: tuple[Namespace, Namespace], spec: LinkSpec, tmp_path: Path
) -> None:
    with closing(create_links([request(*pair, spec)], "relay", out_dir=tmp_path)):
        for namespace, mac in zip(pair, (MAC_A, MAC_B), strict=True):
            (shown,) = json.loads(namespace.run(["ip", "-j", "link", "show", "eth0"]))
            assert shown["address"] == mac
            assert {"UP", "LOWER_UP"} <= set(shown["flags"])
            assert shown["mtu"] == 1500
            # A TAP hands on finished frames whatever it says of segmentation and reception; checksums count there.
            wanted = OFFLOADS if spec.is_plain else ("tx-checksumming", "tcp-segmentation-offload")
            features = dict(
                line.split(": ", 1) for line in namespace.run(["ethtool", "-k", "eth0"]).splitlines() if ": " in line
            )
            assert {name: features[name].split()[0] for name in wanted} == dict.fromkeys(wanted, "off")


@pytest.mark.parametrize("spec", [LinkSpec(), LinkSpec(delay_ms=1)], ids=["plain", "relayed"])
def test_an_end_may_lie_in_the_root_namespace_and_goes_with_the_links(
    pair: tuple[Namespace, Namespace], spec: LinkSpec, tmp_path: Path
) -> None:
    name = f"dy-{os.getpid() % 0xFFFF:04x}-t"
    wanted = LinkRequest(LinkEnd(pair[0].pid, "eth0"), LinkEnd(None, name), spec, "access")
    with closing(create_links([wanted], "relay", out_dir=tmp_path)):
        assert name in {present for _, present in socket.if_nameindex()}
    wait_until(lambda: name not in {present for _, present in socket.if_nameindex()}, what=f"{name} to go")


def test_round_trips_take_both_delays_and_frames_keep_their_order(
    pair: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    spec = LinkSpec(delay_ms=10, jitter_ms=5)
    with (
        closing(create_links([request(*pair, spec)], "relay", out_dir=tmp_path)) as links,
        packet_socket(pair[0]) as a,
        packet_socket(pair[1]) as b,
    ):
        for number in range(100):
            sent_s = time.monotonic()
            a.send(frame(number))
            a.send(frame(number + 1000))
            assert [number_of(b.recv(2048)) for _ in range(2)] == [number, number + 1000]
            assert time.monotonic() - sent_s >= 0.005
        statistics = links.statistics()
    assert statistics["backend"] == "relay"
    assert statistics["links"]["link-0"]["a_to_b"]["delivered"] == 200
    assert statistics["links"]["link-0"]["b_to_a"]["packets"] == 0
    assert 0 < statistics["lateness"]["p50_ms"] <= statistics["lateness"]["max_ms"]
    assert links.statistics()["links"]["link-0"]["a_to_b"]["bytes"] == 200 * 100  # the final ones, after the end


def survivors(pair: tuple[Namespace, Namespace], seed: int, out_dir: Path) -> list[int]:
    with (
        closing(
            create_links([request(*pair, LinkSpec(loss_percent=30))], "relay", out_dir=out_dir, seed=seed)
        ) as links,
        packet_socket(pair[0]) as a,
        packet_socket(pair[1]) as b,
    ):
        for number in range(200):
            a.send(frame(number))
        wait_until(lambda: counters(links)["packets"] == 200, what="200 frames to be read")
        expected = 200 - counters(links)["dropped_loss"]
        return [number_of(b.recv(2048)) for _ in range(expected)]


def test_the_seed_decides_which_frames_are_lost(pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    first, again, other = (survivors(pair, seed, tmp_path) for seed in (1, 1, 2))
    assert 0 < len(first) < 200
    assert first == again != other


def test_frames_beyond_the_queue_are_dropped_and_counted(pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    spec = LinkSpec(rate_mbps=0.1, queue_packets=10)  # 80 ms for each frame of 1000 bytes
    with closing(create_links([request(*pair, spec)], "relay", out_dir=tmp_path)) as links, packet_socket(pair[0]) as a:
        for number in range(200):
            a.send(frame(number, 1000))
        wait_until(lambda: counters(links)["packets"] == 200, what="200 frames to be read")
        seen = counters(links)
    assert seen["dropped_queue"] >= 1
    assert seen["waiting"] <= 10
    assert seen["delivered"] + seen["waiting"] + seen["dropped_queue"] == 200


def test_one_process_serves_many_links(pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    requests = [request(*pair, LinkSpec(delay_ms=number / 4), number) for number in range(40)]
    with closing(create_links(requests, "relay", out_dir=tmp_path)) as links:
        for number in range(40):
            with packet_socket(pair[0], f"eth{number}") as a, packet_socket(pair[1], f"eth{number}") as b:
                a.send(frame(number))
                assert number_of(b.recv(2048)) == number
        assert set(links.statistics()["links"]) == {f"link-{number}" for number in range(1, 40)}  # the first is plain


def test_an_interface_that_is_down_or_deleted_costs_its_frames_only(
    pair: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    requests = [request(*pair, LinkSpec(delay_ms=1), number) for number in range(2)]
    with (
        closing(create_links(requests, "relay", out_dir=tmp_path)) as links,
        packet_socket(pair[0]) as a,
        packet_socket(pair[0], "eth1") as other_a,
        packet_socket(pair[1], "eth1") as other_b,
    ):
        pair[1].run(["ip", "link", "set", "eth0", "down"])
        a.send(frame(1))
        wait_until(lambda: counters(links)["dropped_interface"] == 1, what="the frame to be rejected")
        pair[1].run(["ip", "link", "set", "eth0", "up"])
        with packet_socket(pair[1]) as b:
            a.send(frame(2))
            assert number_of(b.recv(2048)) == 2
        pair[1].run(["ip", "link", "delete", "eth0"])
        a.send(frame(3))
        wait_until(lambda: counters(links)["dropped_interface"] == 2, what="the second frame to be rejected")
        other_a.send(frame(4))
        assert number_of(other_b.recv(2048)) == 4


@pytest.mark.parametrize("spec", [LinkSpec(), LinkSpec(delay_ms=1)], ids=["plain", "relayed"])
def test_a_cut_link_loses_everything_both_ways_and_keeps_its_routes(
    pair: tuple[Namespace, Namespace], spec: LinkSpec, tmp_path: Path
) -> None:
    with (
        closing(create_links([request(*pair, spec)], "relay", out_dir=tmp_path)) as links,
        packet_socket(pair[0]) as a,
        packet_socket(pair[1]) as b,
    ):
        pair[0].run(["ip", "address", "add", "192.0.2.1/24", "dev", "eth0"])
        links.cut("link-0")
        links.cut("link-0")  # by two faults at once
        for sender in (a, b):
            sender.send(frame(1))
        links.restore("link-0")
        for sender in (a, b):
            sender.send(frame(2))
        links.restore("link-0")
        links.restore("link-0")  # once too often
        for sender in (a, b):
            sender.send(frame(3))
        assert [number_of(receiver.recv(2048)) for receiver in (b, a)] == [3, 3]  # a link keeps the order
        assert "192.0.2.0/24" in pair[0].run(["ip", "route"])
        assert "blackhole" not in pair[0].run(["tc", "qdisc", "show"]) + pair[1].run(["tc", "qdisc", "show"])


def _crossing_s(a: socket.socket, b: socket.socket, number: int) -> float:
    sent_s = time.monotonic()
    a.send(frame(number))
    assert number_of(b.recv(2048)) == number
    return time.monotonic() - sent_s


@pytest.mark.parametrize("backend", ["relay", "netem"])
def test_a_link_is_changed_and_changed_back_while_it_carries(
    pair: tuple[Namespace, Namespace], backend: str, tmp_path: Path
) -> None:
    row = probe().row("netem")
    if backend == "netem" and not row.present:
        pytest.skip(f"capability netem is missing: {row.detail}")
    first, slow, slower = (LinkSpec(delay_ms=delay_ms) for delay_ms in (1, 150, 300))
    with (
        closing(create_links([request(*pair, first)], backend, out_dir=tmp_path)) as links,
        packet_socket(pair[0]) as a,
        packet_socket(pair[1]) as b,
    ):
        assert links.present("link-0") == first
        links.change("link-0", slow)
        assert _crossing_s(a, b, 1) >= 0.15 and _crossing_s(b, a, 2) >= 0.15
        links.cut("link-0")
        links.change("link-0", slower)  # by another fault at once
        assert links.present("link-0") is None
        links.restore("link-0")
        assert _crossing_s(a, b, 3) >= 0.3
        links.change_back("link-0", slower)
        links.change_back("link-0", slower)  # once too often
        assert _crossing_s(a, b, 4) >= 0.15
        links.change_back("link-0", slow)
        assert links.present("link-0") == first
        assert min(_crossing_s(a, b, number) for number in range(5, 15)) < 0.15
        with pytest.raises(LinkError, match="impaired all the time"):
            links.change("link-0", LinkSpec())
        assert counters(links)["packets"] == 13, "what was counted stays"


def test_what_cannot_be_made_is_one_line_and_leaves_nothing(pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    pair[1].run(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1-peer"])
    for spec in (LinkSpec(), LinkSpec(delay_ms=1)):
        with pytest.raises(LinkError, match=r"eth1|link-1") as caught:
            create_links([request(*pair, LinkSpec(delay_ms=1)), request(*pair, spec, 1)], "relay", out_dir=tmp_path)
        assert "\n" not in str(caught.value)
        for namespace in pair:
            shown = json.loads(namespace.run(["ip", "-j", "link", "show"]))
            assert "eth0" not in {item["ifname"] for item in shown}


def test_a_namespace_that_ended_is_named() -> None:
    with Namespace() as gone:
        pid = gone.pid
    with pytest.raises(NamespaceError, match=f"process {pid} holds no network namespace"):
        socket_in(pid, socket.AF_INET, socket.SOCK_DGRAM)


def test_entering_a_namespace_moves_nothing_for_good(pair: tuple[Namespace, Namespace]) -> None:
    home = Path("/proc/thread-self/ns/net").readlink()
    with pytest.raises(ZeroDivisionError), entered(pair[0].pid):
        assert Path("/proc/thread-self/ns/net").readlink() == Path(f"/proc/{pair[0].pid}/ns/net").readlink() != home
        _ = 1 / 0
    assert Path("/proc/thread-self/ns/net").readlink() == home


def test_a_relay_that_died_is_an_error_not_silence(pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    backend = RelayLinks(LinkContext(tmp_path))
    with closing(backend):
        backend.create([request(*pair, LinkSpec(delay_ms=1))])
        assert backend.pid is not None
        relay = os.pidfd_open(backend.pid)
        signal.pidfd_send_signal(relay, signal.SIGKILL)
        os.close(relay)
        with pytest.raises(LinkError, match="exit code -9; impaired links carry nothing"):
            wait_until(lambda: backend.statistics() and False, what="the relay's death to be noticed")
    in_the_end = {"backend": "relay", "failed": "the relay ended before the run did, by SIGKILL"}
    assert backend.statistics() == in_the_end
    pulse = backend.pulse()
    assert pulse is not None and recorded(pulse) == ((), False)


def test_a_relay_that_was_halted_says_so_with_its_statistics(pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    backend = RelayLinks(LinkContext(tmp_path))
    with closing(backend):
        backend.create([request(*pair, LinkSpec(delay_ms=1))])  # it carries nothing, and waits for nothing
        assert backend.pid is not None
        pulse, halted_s = backend.pulse(), time.monotonic()
        assert pulse is not None
        os.kill(backend.pid, signal.SIGSTOP)
        time.sleep(INTERVAL_S + 0.5)
        os.kill(backend.pid, signal.SIGCONT)
    assert "failed" not in backend.statistics()
    found = recorded(pulse)
    assert found is not None and found.has_ended
    assert max(gap.end_s - gap.begin_s for gap in found.gaps if gap.end_s > halted_s) > 0.4


STARTER = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "testbed.emulation.relay", sys.argv[1]])
print(child.pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize("kill_parent", [True, False], ids=["its parent is killed", "it is asked to"])
def test_the_relay_ends_when(kill_parent: bool, pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    config_path = tmp_path / "config.json"
    config = configuration([request(*pair, LinkSpec(delay_ms=1))], tmp_path, 1)
    config_path.write_text(json.dumps(config.to_document()))
    parent = subprocess.Popen([sys.executable, "-c", STARTER, str(config_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        relay = os.pidfd_open(int(parent.stdout.readline()))
        wait_until((tmp_path / "relay.ready").exists, what="the relay to be ready")
        if kill_parent:
            parent.kill()
        else:
            signal.pidfd_send_signal(relay, signal.SIGTERM)
        wait_until((tmp_path / "relay.json").exists, what="its last statistics")
        wait_until(lambda: "eth0" not in pair[0].run(["ip", "-br", "link"]), what="its interfaces to go")
        os.close(relay)
    finally:
        parent.kill()
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()


def test_netem_delays_and_counts(pair: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    netem = probe().row("netem")
    if not netem.present:
        pytest.skip(f"capability {netem.name} is missing: {netem.detail}")
    with (
        closing(create_links([request(*pair, LinkSpec(delay_ms=10))], "netem", out_dir=tmp_path)) as links,
        packet_socket(pair[0]) as a,
        packet_socket(pair[1]) as b,
    ):
        sent_s = time.monotonic()
        a.send(frame(7))
        assert number_of(b.recv(2048)) == 7
        assert time.monotonic() - sent_s >= 0.010
        assert counters(links)["packets"] == 1
    assert counters(links)["packets"] == 1  # in the end, too
