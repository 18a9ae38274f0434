"""What this machine can do, found out by doing it, and which backends follow from that.

Owns the probes: each one really makes the namespace, device, queueing discipline or bridge, and removes it. A
kernel's version or configuration would say less: modules may be missing, containers may forbid. Knows nothing of runs.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from testbed.emulation import run_tag
from testbed.emulation.links.backend import LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.veth import create_pairs, delete_pairs
from testbed.emulation.machine import limits
from testbed.emulation.netns.interfaces import open_tap
from testbed.emulation.netns.iproute import IprouteError
from testbed.emulation.netns.namespaces import Namespace, NamespaceError, entered
from testbed.emulation.run_tag import RunTag, RunTagError
from testbed.emulation.switches import bridges, tunnels
from testbed.emulation.switches.bridges import UPLINK_PORT, Bridge, BridgeError
from testbed.emulation.switches.tunnels import Tunnel
from testbed.errors import TestbedError
from testbed.linux import ovs_control
from topologies.spec import LinkSpec

DATAPATHS = ("system", "netdev")
LINK_BACKENDS = ("netem", "relay")

_OVS_CTL = Path("/usr/share/openvswitch/scripts/ovs-ctl")
_OVS_RUN = Path("/var/run/openvswitch")
_DISABLE_IPV6 = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
_CAPABILITY_BITS = {"net_admin": 12, "sys_admin": 21}
_QDISCS = {
    "netem": "netem delay 1ms",
    "tbf": "tbf rate 10mbit burst 10kb latency 10ms",
    "htb": "htb",
}
# With a kernel that has the module, loading it remedies these; otherwise the fallback serves.
_MODULES = {"netem": "sch_netem", "tbf": "sch_tbf", "htb": "sch_htb", "ifb": "ifb", "datapath_system": "openvswitch"}


class CapabilityError(TestbedError):
    """This machine lacks something that a run needs; one line that names it and the command that remedies it."""


@dataclass(frozen=True)
class Capability:
    """One thing the machine can do or not. `remedy`: the command that remedies it; `needed`: no run without it."""

    name: str
    present: bool
    detail: str
    remedy: str = ""
    needed: bool = False


@dataclass(frozen=True)
class Capabilities:
    """The outcome of a probe: what the machine can do, and what it is."""

    rows: tuple[Capability, ...]
    machine: dict[str, Any]

    def row(self, name: str) -> Capability:
        """Return one capability; raise KeyError if nothing of that name was probed."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Return whether a capability is present."""
        return any(row.present for row in self.rows if row.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return {"machine": self.machine, "capabilities": [asdict(row) for row in self.rows]}


@dataclass(frozen=True)
class Backends:
    """What a run uses: the Open vSwitch datapath ('system' or 'netdev') and the link backend ('netem' or 'relay')."""

    datapath: str
    link: str


def choose_backends(
    capabilities: Capabilities, *, datapath: str | None = None, link: str | None = None, tunnels: bool = False
) -> Backends:
    """Return the fastest backends that work here, or those asked for. Raises CapabilityError naming what is missing."""
    for row in capabilities.rows:
        if (row.needed or (tunnels and row.name == "vxlan")) and not row.present:
            raise _missing(row)
    return Backends(
        datapath=_choose(capabilities, "datapath", DATAPATHS, datapath, lambda name: f"datapath_{name}"),
        link=_choose(capabilities, "link", LINK_BACKENDS, link, lambda name: "tap" if name == "relay" else name),
    )


def _choose(
    capabilities: Capabilities,
    key: str,
    choices: Sequence[str],
    wanted: str | None,
    capability_of: Callable[[str], str],
) -> str:
    if wanted is not None and wanted not in choices:
        raise CapabilityError(f"there is no {key} backend {wanted!r}; there are: {', '.join(choices)}")
    for choice in choices if wanted is None else (wanted,):
        if capabilities.has(capability_of(choice)):
            return choice
    raise _missing(capabilities.row(capability_of(wanted or choices[-1])))


def _missing(row: Capability) -> CapabilityError:
    return CapabilityError(f"{row.name} is missing: {row.detail}" + (f"; remedy: {row.remedy}" if row.remedy else ""))


def probe() -> Capabilities:
    """Find out what this machine can do; leaves nothing behind. Without root, report that and what can be found out."""
    rows = [_root(), *_process_capabilities(), *_programs(), *_packages(), *_limits()]
    if rows[0].present:
        rows += _namespace_rows()
        rows += _open_vswitch_rows()
    return Capabilities(tuple(rows), _machine())


def open_vswitch_runs() -> bool:
    """Say whether both daemons of Open vSwitch are alive, here or where its sockets lead to, in another container."""
    return all(_daemon_is_alive(name) for name in ("ovsdb-server", "ovs-vswitchd")) or (
        _database_answers() and _answers(ovs_control.appctl(5, "version"))
    )


def start_open_vswitch() -> bool:
    """Start Open vSwitch if it is not running; return whether it had to. Raises CapabilityError."""
    if open_vswitch_runs():
        return False
    if not _OVS_CTL.exists():
        raise CapabilityError("Open vSwitch is not installed; remedy: apt-get install -y openvswitch-switch")
    # The daemons serve the whole machine: they must not carry the tag of a run, or its clean-up would end them.
    ours = (run_tag.ENVIRONMENT_KEY, run_tag.OWNER_KEY)
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    # A second database would take the place of a living one (of another container), and all bridges with it.
    alone = ["--no-ovsdb-server"] if _database_answers() else []
    done = subprocess.run(
        [str(_OVS_CTL), *alone, "start", "--system-id=random"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        start_new_session=True,
        check=False,
    )
    # It complains of a missing kernel module, which the userspace datapath does not need: only the daemons count.
    if not open_vswitch_runs():
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())
        raise CapabilityError(f"Open vSwitch does not start: {said or 'no reason given'}; see /var/log/openvswitch/")
    return True


def _database_answers() -> bool:
    return Path("/run/openvswitch/db.sock").is_socket() and _answers(["ovs-vsctl", "--timeout=20", "--no-wait", "show"])


def _answers(command: list[str]) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _daemon_is_alive(name: str) -> bool:
    try:
        pid = int((_OVS_RUN / f"{name}.pid").read_text())
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    except (OSError, ValueError):
        return False


# Without root -----------------------------------------------------------------------------------------------------


def _root() -> Capability:
    present = os.geteuid() == 0
    return Capability("root", present, f"user id {os.geteuid()}", "sudo ./dyncast …", needed=True)


def _process_capabilities() -> Iterator[Capability]:
    status = Path("/proc/self/status").read_text()
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    for name, bit in _CAPABILITY_BITS.items():
        present = bool(mask >> bit & 1)
        remedy = f"run as root; in a container: docker run --cap-add={name.upper()} (or --privileged)"
        yield Capability(name, present, "in effect" if present else "not in effect", remedy, needed=True)


def _programs() -> Iterator[Capability]:
    for name, package, needed in (
        ("ip", "iproute2", True),
        ("tc", "iproute2", False),
        ("unshare", "util-linux", True),
        ("mnexec", "mininet", True),
        ("ethtool", "ethtool", False),
    ):
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        yield Capability(name, path is not None, path or "not installed", f"apt-get install -y {package}", needed)


def _packages() -> Iterator[Capability]:
    version = platform.python_version()
    yield Capability("python", sys.version_info >= (3, 10), version, "install Python 3.10 or later", needed=True)
    for name, distribution in (("mininet_python", "mininet"), ("os_ken", "os-ken")):
        found = None
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found = importlib.metadata.version(distribution)
        yield Capability(name, found is not None, found or "not installed", f"pip install {distribution}", needed=True)


def _limits() -> Iterator[Capability]:
    for name, limit, least in (
        ("processes", limits.processes(), limits.LEAST_PROCESSES),
        ("files", limits.files(), limits.LEAST_FILES),
    ):
        yield Capability(name, limit.left >= least, str(limit), limit.remedy, needed=True)


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


# In a throw-away namespace ----------------------------------------------------------------------------------------


def _namespace_rows() -> Iterator[Capability]:
    try:
        namespace = Namespace()
    except NamespaceError as error:
        yield Capability(
            "namespaces", False, str(error.strerror), "run as root; in a container: docker run --privileged", True
        )
        return
    with namespace:
        yield Capability("namespaces", True, "made and entered one", needed=True)
        ipv6 = _attempt("ipv6", partial(probe_ipv6, namespace), "switched it on in one", _ipv6_remedy())
        yield replace(ipv6, needed=True)
        veth = _attempt("veth", partial(_probe_veth, namespace), "a pair, its offloads switched off", "modprobe veth")
        yield replace(veth, needed=True)
        yield _attempt(
            "tap", partial(_probe_tap, namespace), "made one", "modprobe tun; in a container: --device /dev/net/tun"
        )
        for name, words in _QDISCS.items():
            command = ["tc", "qdisc", "replace", "dev", "lo", "root", *words.split()]
            yield _attempt(name, partial(namespace.run, command), "added one", _module_remedy(name))
        yield _attempt("vxlan", partial(_probe_vxlan, namespace), "moved one, its table filled in", "modprobe vxlan")
        command = ["ip", "link", "add", "ifb-probe", "type", "ifb"]
        yield _attempt("ifb", partial(namespace.run, command), "made one", _module_remedy("ifb"))


def _attempt(name: str, action: Callable[[], object], success: str, remedy: str) -> Capability:
    try:
        action()
    except (OSError, LinkError, BridgeError, IprouteError, RunTagError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        return Capability(name, False, reason.rpartition("Error: ")[2], remedy)
    return Capability(name, True, success, remedy="")


def probe_ipv6(namespace: Namespace) -> None:
    """Have an IPv6 address as nodes have them, where the machine may have switched IPv6 off in new namespaces."""
    with entered(namespace.pid):
        Path(_DISABLE_IPV6).write_text("0")
    namespace.run(["ip", "address", "add", "2001:db8::1/128", "dev", "lo"])


def _ipv6_remedy() -> str:
    if not Path(_DISABLE_IPV6).exists():
        return "start the kernel without ipv6.disable=1"
    return "docker run --privileged, or --sysctl net.ipv6.conf.default.disable_ipv6=0"


def _probe_veth(namespace: Namespace) -> None:
    ends = LinkEnd(namespace.pid, "probe-a"), LinkEnd(namespace.pid, "probe-b")
    create_pairs([LinkRequest(*ends, LinkSpec(), "probe")])


def _probe_tap(namespace: Namespace) -> None:
    with entered(namespace.pid):
        os.close(open_tap("probe-tap"))


def _probe_vxlan(namespace: Namespace) -> None:
    """Make a tunnel that begins in a namespace, as D-Routers have them."""
    with claimed_tag("probe") as tag:
        tunnel = Tunnel(tag.port(0), "192.0.2.1", {"02:00:00:00:00:01": "192.0.2.2"})
        commands = tunnels.creation(tunnel, os.getpid())
        try:
            with ThreadPoolExecutor(1) as beside:  # where the main thread is, there the process is
                beside.submit(namespace.run, ["ip", "-batch", "-"], text_input=commands).result()
            tunnels.connect([tunnel])
        finally:
            subprocess.run(["ip", "link", "delete", "dev", tunnel.interface], capture_output=True, check=False)


def _module_remedy(name: str) -> str:
    module = _MODULES[name]
    return f"modprobe {module} (Ubuntu: apt-get install -y linux-modules-extra-$(uname -r))"


# Open vSwitch -----------------------------------------------------------------------------------------------------


def _open_vswitch_rows() -> Iterator[Capability]:
    installed = shutil.which("ovs-vsctl") is not None and _OVS_CTL.exists()
    install = "apt-get install -y openvswitch-switch"
    version = (
        _output(["ovs-vsctl", "--version"]).partition("\n")[0].rpartition(" ")[2] if installed else "not installed"
    )
    yield Capability("open_vswitch", installed, version, install, needed=True)
    if not installed:
        return
    runs = open_vswitch_runs()
    detail = "both daemons are alive" if runs else "ovsdb-server or ovs-vswitchd is not running"
    yield Capability("open_vswitch_running", runs, detail, f"{_OVS_CTL} start --system-id=random", needed=True)
    if not runs:
        return
    for datapath in DATAPATHS:
        remedy = _module_remedy("datapath_system") if datapath == "system" else install
        row = _attempt(f"datapath_{datapath}", partial(_probe_datapath, datapath), "made a bridge", remedy)
        if not row.present:
            reason = " (its kernel module openvswitch is not there?)" if datapath == "system" else f": {row.detail}"
            row = replace(row, detail=f"Open vSwitch made no working bridge of this type{reason}")
        yield row


def _probe_datapath(datapath: str) -> None:
    with Namespace() as namespace, claimed_tag("probe") as tag:
        port = LinkRequest(LinkEnd(None, tag.port(0)), LinkEnd(namespace.pid, "eth0"), LinkSpec(), "probe")
        bridge = Bridge(tag.bridge(0), 1, UPLINK_PORT, ports={}, interfaces={UPLINK_PORT: tag.port(0)})
        with contextlib.ExitStack() as undo:
            undo.callback(delete_pairs, [port])
            create_pairs([port])
            undo.callback(bridges.delete_bridges, [bridge.name])
            run_tag.record_bridges(tag, [bridge.name])
            bridges.create_bridges([bridge], tag, datapath_type=datapath)
            if bridge.name not in {name for _, name in socket.if_nameindex()}:
                raise BridgeError(f"Open vSwitch made no bridge on datapath {datapath!r}")


@contextlib.contextmanager
def claimed_tag(purpose: str) -> Iterator[RunTag]:
    """Register a tag for the block, so that clean-up finds what is left if this process is killed in it."""
    tag = run_tag.claim(purpose)
    try:
        yield tag
    finally:
        run_tag.release(tag)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
