"""An Open vSwitch of a benchmark's own: one bridge between two links, in a namespace, its database in a folder.

The machine's Open vSwitch serves whoever uses it, and the memory it holds depends on what it has freed before. This
one begins empty and ends with the benchmark. Userspace datapath only: what the kernel holds is no process's memory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import pack, unpack

from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from testbed.emulation.netns.namespaces import Namespace, entered
from testbed.runtime.polling import wait_until

BRIDGE = "bench"
UPLINK_PORT, CLIENT_PORT = 1, 2
CLIENT_END, UPLINK_END = "client", "uplink"  # where frames are sent, and where those arrive that leave by the uplink
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_HEADER = 8


class OwnSwitch:
    """The running switch. `pid` is its daemon's, which is also in its namespace."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.pid = pid

    @property
    def management_socket(self) -> Path:
        """Return where the bridge takes OpenFlow sessions."""
        return self.folder / f"{BRIDGE}.mgmt"

    def appctl(self, *arguments: str) -> str:
        """Ask the daemon."""
        return _run("ovs-appctl", "-t", str(self.folder / "vswitchd.ctl"), *arguments)

    def resident_bytes(self) -> int:
        """Return how much memory the daemon holds."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def processor_ns(self) -> int:
        """Return for how long the thread that moves packets has been running."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[0])

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open an OpenFlow session at the bridge."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(120)
            connection.connect(str(self.management_socket))
            yield Session(connection)


class Session:
    """An OpenFlow 1.3 session, for messages that need no answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.sendall(pack("!BBHI", ofp.OFP_VERSION, ofp.OFPT_HELLO, _HEADER, 0))

    def send(self, messages: bytes) -> None:
        """Send messages."""
        self._connection.sendall(messages)

    def wait_until_done(self) -> None:
        """Wait until the switch has done all that was sent. Raises RuntimeError if it refused any of it."""
        self.send(pack("!BBHI", ofp.OFP_VERSION, ofp.OFPT_BARRIER_REQUEST, _HEADER, 0))
        while True:
            _, kind, length, _ = unpack("!BBHI", self._exactly(_HEADER))
            body = self._exactly(length - _HEADER)
            if kind == ofp.OFPT_ERROR:
                raise RuntimeError(f"the switch refused a message: error {unpack('!HH', body[:4])}")
            if kind == ofp.OFPT_BARRIER_REPLY:
                return

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            if not part:
                raise RuntimeError("the switch closed the session")
            data += part
        return data


@contextmanager
def own_switch() -> Iterator[OwnSwitch]:
    """Start one; it and all it made are gone afterwards. Its bridge has no entries."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dyncast-bench-")))
        namespace = stack.enter_context(Namespace())
        environment = {**os.environ, **dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"), str(folder))}
        database, db = folder / "conf.db", f"unix:{folder / 'db.sock'}"
        _run("ovsdb-tool", "create", str(database), str(_SCHEMA))

        def start(name: str, *argv: str, until: Path) -> int:
            with entered(namespace.pid), (folder / f"{name}.output").open("wb") as output:
                process = subprocess.Popen(
                    argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            stack.callback(_end, process)
            wait_until(lambda: until.exists() or process.poll() is not None, what=f"{name} to listen")
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended: {(folder / f'{name}.output').read_text()}")
            return process.pid

        start("ovsdb-server", "ovsdb-server", f"--remote=p{db}", f"--unixctl={folder / 'db.ctl'}", str(database),
              until=folder / "db.sock")  # fmt: skip
        _run("ovs-vsctl", f"--db={db}", "--no-wait", "init")
        control = folder / "vswitchd.ctl"
        pid = start("ovs-vswitchd", "ovs-vswitchd", f"--unixctl={control}", db, until=control)
        for end, port in ((UPLINK_END, UPLINK_PORT), (CLIENT_END, CLIENT_PORT)):
            namespace.run(["ip", "link", "add", end, "type", "veth", "peer", "name", f"port{port}"])
            for interface in (end, f"port{port}"):
                namespace.run(["sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{interface}/disable_ipv6"])
                namespace.run(["ip", "link", "set", interface, "up"])
        ports = [
            word
            for port in (UPLINK_PORT, CLIENT_PORT)
            for word in f"-- add-port {BRIDGE} port{port} -- set Interface port{port} ofport_request={port}".split()
        ]
        _run("ovs-vsctl", f"--db={db}", "--timeout=20", "add-br", BRIDGE,
             "--", "set", "Bridge", BRIDGE, "datapath_type=netdev", "fail_mode=secure",
             "protocols=OpenFlow13,OpenFlow15", *ports)  # fmt: skip
        yield OwnSwitch(folder, pid)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[:3])}: {' '.join(done.stderr.split())}")
    return done.stdout
