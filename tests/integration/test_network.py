"""A real network is built, carries traffic, and leaves nothing behind."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from testbed.dyncast.roles import D_ROUTER, INSTANCE
from testbed.emulation import cleanup, remains, run_tag
from testbed.emulation import tagged_processes as processes
from testbed.emulation.machine.capabilities import Backends, choose_backends, probe
from testbed.emulation.network import EmulatedNetwork, NetworkError
from testbed.emulation.run_owner import start_ticks
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches import bridges
from testbed.runtime.polling import wait_until
from topologies.addressing import AddressPlan
from topologies.roles import CLIENT, ROUTER
from topologies.spec import Link, LinkSpec, Node, Topology, TopologyError

pytestmark = pytest.mark.root

_ACCESS = LinkSpec()
_CORE = LinkSpec(delay_ms=5.0)


def two_sites() -> Topology:
    """Two sites, each with a client and an instance, 10 ms apart by way of one infrastructure router."""
    return Topology(
        "two-sites",
        (
            Node("east", D_ROUTER),
            Node("middle", ROUTER),
            Node("west", D_ROUTER),
            Node("client east", CLIENT),  # a name that is no interface name
            Node("instance@east", INSTANCE),
            Node("client-west", CLIENT),
            Node("instance@west", INSTANCE),
        ),
        (
            Link("east", "middle", _CORE),
            Link("middle", "west", _CORE),
            Link("client east", "east", _ACCESS),
            Link("east", "instance@east", _ACCESS),
            Link("client-west", "west", _ACCESS),
            Link("instance@west", "west", _ACCESS),
        ),
    )


def build(work_dir: Path, backends: Backends) -> EmulatedNetwork:
    topology = two_sites()
    return EmulatedNetwork(
        topology, AddressPlan(topology), tag=run_tag.claim("test"), backends=backends, work_dir=work_dir
    )


@pytest.fixture(scope="module")
def backends() -> Backends:
    return choose_backends(probe())


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, backends: Backends) -> Iterator[EmulatedNetwork]:
    with build(tmp_path_factory.mktemp("network"), backends) as network:
        network.start()
        yield network


def ping_ms(network: EmulatedNetwork, node: str, address: str) -> list[float]:
    """Return the round-trip times of three pings, all of which must be answered."""
    done = network.run(node, ["ping", "-n", "-c", "3", "-i", "0.05", "-W", "5", address], timeout_s=30)
    assert done.returncode == 0, f"{node} cannot ping {address}: {done.stdout}{done.stderr}"
    times_ms = [float(value) for value in re.findall(r"time=([\d.]+)", done.stdout)]
    assert len(times_ms) == 3
    return times_ms


def addresses(network: EmulatedNetwork, name: str) -> tuple[str, str]:
    host = network.plan.host(name)
    return str(host.ipv4.ip), str(host.ipv6.ip)


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_every_host_reaches_every_host_with_at_least_the_configured_delay(
    network: EmulatedNetwork, family: int
) -> None:
    hosts = [node.name for node in network.topology.nodes if node.role.is_host]
    for source in hosts:
        for target in hosts:
            if source == target:
                continue
            across = network.topology.site_of(source) != network.topology.site_of(target)
            assert min(ping_ms(network, source, addresses(network, target)[family])) >= (20.0 if across else 0.0)


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_router_ids_are_reached_from_hosts_and_routers(network: EmulatedNetwork, family: int) -> None:
    for router in ("east", "middle", "west"):
        target = str(tuple(network.plan.router_id(router))[family].ip)
        for source in ("client east", "west", "middle"):
            ping_ms(network, source, target)


def test_the_kernel_routes_hop_by_hop_and_answers_expired_packets(network: EmulatedNetwork) -> None:
    address, _ = addresses(network, "instance@west")
    done = network.run("client east", ["ping", "-n", "-c", "1", "-W", "5", "-t", "2", address], timeout_s=15)
    assert "Time to live exceeded" in done.stdout, done.stdout
    done = network.run("client east", ["ping", "-n", "-c", "1", "-W", "5", "-t", "4", address], timeout_s=15)
    assert done.returncode == 0  # three routers on the way


def _transfer(network: EmulatedNetwork, source: str, target: str, address: str, directory: Path) -> int:
    octets = 3_000_000
    family = "AF_INET6" if ":" in address else "AF_INET"
    ready = directory / "ready"
    server = (
        "import socket, sys, pathlib\n"
        f"s = socket.create_server(({address!r}, 5001), family=socket.{family})\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "c, _ = s.accept()\n"
        "print(sum(len(b) for b in iter(lambda: c.recv(65536), b'')), flush=True)\n"
    )
    client = f"import socket; s = socket.create_connection(({address!r}, 5001)); s.sendall(bytes({octets})); s.close()"
    log = directory / "server.log"
    receiver = network.popen(target, [sys.executable, "-c", server], name="receiver", log_path=log)
    wait_until(ready.exists, what="the TCP server")
    sent = network.run(source, [sys.executable, "-c", client], timeout_s=60)
    assert sent.returncode == 0, sent.stderr
    assert receiver.wait(timeout=60) == 0
    assert int(log.read_text()) == octets
    return octets


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("source", "target"), [("client east", "instance@west"), ("client east", "instance@east")])
def test_tcp_transfers_arrive_whole(
    network: EmulatedNetwork, tmp_path: Path, source: str, target: str, family: int
) -> None:
    _transfer(network, source, target, addresses(network, target)[family], tmp_path)


def test_mininet_users_find_what_they_know(network: EmulatedNetwork) -> None:
    client, server = network.mininet["client east"], network.mininet["instance@west"]
    address, _ = addresses(network, "instance@west")
    assert server.IP() == address
    assert " 0% packet loss" in client.cmd(f"ping -c 1 -W 5 {server.IP()}")
    assert client.MAC() in client.cmd("cat /sys/class/net/eth0/address")
    assert client.pid == network.pid("client east")
    out, _, code = server.pexec("ip -4 -o address show dev eth0")
    assert (code, address in out) == (0, True)
    out, _, code = server.pexec("cat", "/sys/class/net/eth0/address")
    assert (code, out.strip()) == (0, server.MAC())


def test_a_bridge_has_the_ports_it_says(network: EmulatedNetwork) -> None:
    identities = set()
    for d_router in ("east", "west"):
        bridge = network.bridge(d_router)
        described = subprocess.run(
            ["ovs-ofctl", "-O", "OpenFlow13", "show", bridge.name], capture_output=True, text=True, check=True
        ).stdout
        assert f"dpid:{bridge.datapath_id:016x}" in described
        ports = {int(number): name for number, name in re.findall(r"^ (\d+)\(([^)]+)\)", described, re.MULTILINE)}
        assert ports == dict(bridge.interfaces)
        assert bridge.uplink_port in ports
        assert set(bridge.ports) == {
            node.name
            for node in network.topology.nodes
            if node.role.is_host and network.topology.site_of(node.name) == d_router
        }
        identities.add(bridge.datapath_id)
        # The port of a host is the one its frames come in by.
        for host, number in bridge.ports.items():
            ping_ms(network, host, str(network.plan.site(d_router).gateway4.ip))
            learnt = subprocess.run(["ovs-appctl", "fdb/show", bridge.name], capture_output=True, text=True, check=True)
            mac = network.plan.mac(host, d_router)
            assert [row.split()[0] for row in learnt.stdout.splitlines() if row.split()[2] == str(mac)] == [str(number)]
    assert len(identities) == 2


def test_a_switch_that_loses_its_controller_again_and_again_is_back_soon(network: EmulatedNetwork) -> None:
    hello, echo, echoed = (bytes([4, kind, 0, 8, 0, 0, 0, 9]) for kind in (0, 2, 3))  # of OpenFlow 1.3
    with socket.socket(fileno=os.dup(network.controller_socket("east"))) as listener:
        listener.settimeout(20)
        network.connect_controllers(["east"])
        begun_s = 0.0
        for loss in range(5):
            session, _ = listener.accept()
            with session:
                session.settimeout(20)
                session.sendall(hello + echo)
                said = b""
                while echoed not in said:
                    said += session.recv(1000)
                if loss == 0:
                    network.reconnect_soon(["east"])
                    begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 14  # and not 1, 2, 4 and 8 s after each other


def test_controllers_are_set_in_one_step_and_tried_at_once(network: EmulatedNetwork) -> None:
    names = ("east", "west")
    network.connect_controllers(names)
    for name in names:
        with socket.socket(fileno=os.dup(network.controller_socket(name))) as listener:
            listener.settimeout(20)
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(1) == b"\x06"  # OpenFlow 1.5 at most; the controller chooses
    address, _ = addresses(network, "instance@west")
    ping = ["ping", "-n", "-c", "1", "-W", "1", address]
    wait_until(
        lambda: network.run("client east", ping, timeout_s=15).returncode == 0, 20, "traffic without a live controller"
    )


def test_a_process_runs_in_its_node_under_the_run_s_tag(network: EmulatedNetwork, tmp_path: Path) -> None:
    log = tmp_path / "deep" / "sleep.log"
    child = network.popen("east", ["sleep", "600"], name="sleeper", log_path=log, env={"COLOUR": "blue"})
    environment = wait_until(
        lambda: (
            [item for item in Path(f"/proc/{child.pid}/environ").read_text().split("\0") if item == "COLOUR=blue"]
            and Path(f"/proc/{child.pid}/environ").read_text()
        ),
        what="the process's environment",
    )
    assert f"DYNCAST_RUN={network.tag}" in environment
    wait_until(
        lambda: namespace(child.pid) == namespace(network.pid("east")), what="the process to enter its namespace"
    )
    assert os.getsid(child.pid) == child.pid
    assert log.exists()
    root = network.popen(None, ["sleep", "600"], name="root sleeper", log_path=log)
    assert namespace(root.pid) == namespace(os.getpid())
    for process in (child, root):
        process.kill()
        process.wait()


def namespace(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


def test_errors_name_what_does_not_exist(network: EmulatedNetwork, tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="did you mean 'client east'"):
        network.pid("client eats")
    with pytest.raises(TopologyError, match="no D-Router 'middle'"):
        network.bridge("middle")
    with pytest.raises(NetworkError, match=r"cannot start pipes: .*no-such-program"):
        network.popen(None, ["no-such-program"], name="pipes", log_path=tmp_path / "log")
    with pytest.raises(NetworkError, match="new tag"):
        network.start()


def traces(tag: RunTag) -> object:
    return remains.of(tag)


def test_two_networks_at_once_do_not_meet_and_the_first_to_stop_leaves_the_other(
    network: EmulatedNetwork, tmp_path: Path, backends: Backends
) -> None:
    address, _ = addresses(network, "instance@west")
    with build(tmp_path, backends) as other:
        other.start()
        assert other.tag != network.tag
        assert (
            other.plan.host("instance@west").ipv4 == network.plan.host("instance@west").ipv4
        )  # same address, other network
        token = tmp_path / "token"
        (tmp_path / "www").mkdir()
        argv = [sys.executable, "-m", "http.server", "80", "--bind", address, "-d", str(tmp_path / "www")]
        other.popen("instance@west", argv, name="http", log_path=token)
        fetch = [sys.executable, "-c", f"import socket; socket.create_connection(('{address}', 80), 5)"]
        wait_until(lambda: other.run("client east", fetch, 30).returncode == 0, 20, "the other network's server")
        assert "refused" in network.run("client east", fetch, 30).stderr
        namespaces = {namespace(other.pid(node.name)) for node in other.topology.nodes}
    assert other.clean_report is not None and other.clean_report.problems == []
    assert traces(other.tag) is None
    assert other.tag not in run_tag.registrations()
    assert not namespaces & living_namespaces()
    ping_ms(network, "client east", address)


def living_namespaces() -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process ended meanwhile
            found.add(namespace(int(path.name)))
    return found


def test_stop_may_be_called_again_and_a_failed_start_leaves_nothing(tmp_path: Path, backends: Backends) -> None:
    network = build(tmp_path, backends)
    # Another bridge has a port of that name: Open vSwitch refuses, when nodes and links exist already.
    stolen = network.bridge("east").name
    subprocess.run(["ovs-vsctl", "add-br", stolen, "--", "set", "Bridge", stolen, "datapath_type=netdev"], check=True)
    try:
        with pytest.raises(bridges.BridgeError, match=stolen), network:
            network.start()
        network.stop()
        assert stolen in subprocess.run(["ovs-vsctl", "list-br"], capture_output=True, text=True, check=True).stdout
    finally:
        subprocess.run(["ovs-vsctl", "del-br", stolen], check=True)
    assert traces(network.tag) is None


_OWNER = """
import sys
from contextlib import suppress
from pathlib import Path
from testbed.emulation.machine.capabilities import Backends
from tests.integration.test_network import build
directory = Path(sys.argv[1])
with build(directory, Backends(sys.argv[2], sys.argv[3])) as network:
    network.start()
    network.popen("client-west", ["sleep", "600"], name="sleeper", log_path=directory / "log")
    network.mininet["east"].cmd("sleep 600 &")
    print(network.tag, flush=True)
    for _ in sys.stdin:
        pass
"""


@pytest.fixture
def owner(tmp_path: Path, backends: Backends) -> Iterator[tuple[subprocess.Popen[str], RunTag]]:
    argv = [sys.executable, "-W", "ignore", "-c", _OWNER, str(tmp_path), backends.datapath, backends.link]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        tag = RunTag(line.strip())
        yield process, tag
        process.kill()
    cleanup.clean(tags=[tag])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_an_owner_that_is_asked_to_end_leaves_nothing(
    owner: tuple[subprocess.Popen[str], RunTag], number: signal.Signals
) -> None:
    process, tag = owner
    assert traces(tag) is not None
    process.send_signal(number)
    wait_until(lambda: start_ticks(process.pid) is None or _again(process, signal.SIGINT), 60, "the owner's end")
    assert process.wait() != 0
    assert traces(tag) is None
    assert tag not in run_tag.registrations()


def _again(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    """Press Ctrl-C once more while the clean-up runs."""
    process.send_signal(number)
    return False


def test_clean_removes_a_killed_run_and_spares_a_live_one(
    network: EmulatedNetwork, owner: tuple[subprocess.Popen[str], RunTag]
) -> None:
    process, tag = owner
    assert len(processes.tagged_processes()[tag]) >= len(network.topology.nodes)
    process.kill()
    process.wait()
    report = cleanup.clean()
    assert report.problems == []
    assert tag.value in report.runs
    assert network.tag.value not in report.runs
    assert traces(tag) is None
    ping_ms(network, "client east", addresses(network, "instance@west")[0])


def test_addresses_lie_in_their_site(network: EmulatedNetwork) -> None:
    for host in network.topology.nodes:
        if host.role.is_host:
            site = network.plan.site(network.topology.site_of(host.name))
            ipv4, ipv6 = addresses(network, host.name)
            assert ipaddress.ip_address(ipv4) in site.prefix4
            assert ipaddress.ip_address(ipv6) in site.prefix6
