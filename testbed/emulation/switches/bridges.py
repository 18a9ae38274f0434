"""The Open vSwitch bridges of a run's D-Routers.

Owns every ovs-vsctl and ovs-ofctl call, and those of ovs-appctl that are not about conntrack. Each ovs-vsctl call makes
the daemon reconfigure all its bridges, so everything that concerns several bridges is one transaction. Knows nothing
of topologies or Mininet.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from testbed.emulation.run_owner import RunOwner
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches import switch_sockets
from testbed.emulation.switches.shared_lock import locked
from testbed.errors import TestbedError
from testbed.linux import ovs_control
from testbed.net.addresses import Address

UPLINK_PORT = 1

RUN_KEY, OWNER_KEY = "dyncast-run", "dyncast-run-owner"
_D_ROUTER_KEY, _PREFIXES_KEY = "dyncast-d-router", "dyncast-prefixes"
_STATIONS_KEY, _BRIDGE_KEY = "dyncast-stations", "dyncast-bridge"
_TUNNEL_VLAN = 4094
_PROTOCOLS = "OpenFlow10,OpenFlow13,OpenFlow15"  # for ovs-ofctl by hand, controllers, select groups
_TIMEOUT_S = 60
_LOCK = "bridges"
_MANAGEMENT = Path("/var/run/openvswitch")
_MAX_BACKOFF_MS = 1000
# By default Open vSwitch remembers for 10 s what it did with a flow, and thinks all that over whenever an entry changes
# (docs/decisions/0021). Not 1000, so that nobody else's setting is taken for this one.
_MAX_IDLE = "max-idle=999"


class BridgeError(TestbedError):
    """Open vSwitch refused or is not there; one line that says which and the way out."""


@dataclass(frozen=True)
class Bridge:
    """The bridge of one D-Router.

    `uplink_port` leads to the D-Router's namespace, `ports` maps each host of the site to its OpenFlow port
    number; `interfaces` maps port numbers to root-namespace interfaces. `prefixes` are the networks of the site.
    `tunnel_port` leads to the other D-Routers; `stations` are those here
    that are reached by MAC address, with their addresses.
    """

    name: str
    datapath_id: int
    uplink_port: int
    ports: Mapping[str, int]
    interfaces: Mapping[int, str]
    d_router: str = ""
    prefixes: tuple[str, ...] = ()
    tunnel_port: int | None = None
    stations: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)

    @property
    def management_socket(self) -> Path:
        """Return the socket at which the bridge takes OpenFlow sessions without a configured controller."""
        return _MANAGEMENT / f"{self.name}.mgmt"


def create_bridges(bridges: Iterable[Bridge], tag: RunTag, *, datapath_type: str) -> None:
    """Create bridges with all their ports in one transaction; they switch ordinary traffic without a controller.

    Raises BridgeError, also when Open vSwitch could not give an interface the port number asked for.
    """
    bridges = list(bridges)
    if not bridges:
        return
    with switch_sockets.roomy(), locked(_LOCK):
        vsctl(*creation(bridges, tag, datapath_type=datapath_type), *_forget_soon())
    _check_ports(bridges)
    _switch_ordinary_traffic(bridge.name for bridge in bridges)


def creation(bridges: Iterable[Bridge], tag: RunTag, *, datapath_type: str) -> list[str]:
    """Return the ovs-vsctl arguments that create `bridges`.

    Their ports have a queueing discipline of type `linux-noop`: Open vSwitch leaves that of Linux alone. Without it, it
    deletes the netem that impairs a port's link when it takes the port, and again whenever it starts.
    """
    arguments: list[str] = []
    for index, bridge in enumerate(bridges):
        arguments += ["--", f"--id=@q{index}", "create", "QoS", "type=linux-noop"]
        arguments += [f"external_ids:{_BRIDGE_KEY}={bridge.name}"]
        arguments += ["--", "add-br", bridge.name, "--", "set", "Bridge", bridge.name]
        arguments += [
            f"datapath_type={datapath_type}",
            "fail_mode=secure",
            "protocols=OpenFlow10,OpenFlow13,OpenFlow15",
        ]
        arguments += [f"other_config:datapath-id={bridge.datapath_id:016x}", "other_config:disable-in-band=true"]
        arguments += [*belonging(tag), f"external_ids:{_D_ROUTER_KEY}={json.dumps(bridge.d_router)}"]
        arguments += [f"external_ids:{_PREFIXES_KEY}={json.dumps(' '.join(bridge.prefixes))}"]
        stations = (f"{mac}={','.join(map(str, addresses))}" for mac, addresses in bridge.stations.items())
        arguments += [f"external_ids:{_STATIONS_KEY}={json.dumps(' '.join(stations))}"] if bridge.stations else []
        for number, interface in sorted(bridge.interfaces.items()):
            arguments += ["--", "add-port", bridge.name, interface]
            arguments += ["--", "set", "Interface", interface, f"ofport_request={number}"]
            arguments += ["--", "set", "Port", interface, f"qos=@q{index}"]
            if number == bridge.tunnel_port:
                # A VLAN that nobody else is in: what is switched as usual is never flooded through tunnels.
                arguments += ["--", "set", "Port", interface, f"tag={_TUNNEL_VLAN}"]
    return arguments


def belonging(tag: RunTag) -> list[str]:
    """Return the ovs-vsctl arguments that say of a new row that it is of run `tag` of this process."""
    return [f"external_ids:{RUN_KEY}={tag}", f"external_ids:{OWNER_KEY}={json.dumps(str(RunOwner.this_process()))}"]


def connect_controllers(ports: Mapping[str, int]) -> None:
    """Connect each bridge (by name) to its controller at a TCP port of 127.0.0.1, in one transaction."""
    arguments: list[str] = []
    for number, (bridge, port) in enumerate(sorted(ports.items())):
        arguments += ["--", f"--id=@c{number}", "create", "Controller", f'target="tcp:127.0.0.1:{port}"']
        arguments += ["connection_mode=out-of-band"]
        arguments += ["--", "set", "Bridge", bridge, f"controller=@c{number}"]
    if arguments:
        vsctl(*arguments)
        # Open vSwitch empties the tables of a bridge that gets its first controller.
        _switch_ordinary_traffic(ports)


def reconnect_soon(connected: Iterable[str]) -> None:
    """Have bridges that will lose their controller try it again every second, and not only after up to 8 s.

    They must be connected: Open vSwitch applies the interval when it changes, and only to a session that there is.
    Raises BridgeError.
    """
    arguments: list[str] = []
    for bridge in sorted(connected):
        arguments += ["--", "set", "Controller", bridge, f"max_backoff={_MAX_BACKOFF_MS}"]
    if arguments:
        vsctl(*arguments)


def has_controller(bridge: str) -> bool:
    """Return whether a bridge has a session with its controller, as of some seconds ago. Raises BridgeError."""
    return vsctl("get", "Controller", bridge, "is_connected").strip() == "true"


@dataclass(frozen=True)
class RunningBridge:
    """A bridge of some run as Open vSwitch describes it."""

    tag: RunTag
    name: str
    datapath_type: str
    d_router: str
    prefixes: tuple[str, ...]
    stations: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    owner: RunOwner | None = None


def running_bridges() -> list[RunningBridge]:
    """Return the bridges of every run on this machine. Raises BridgeError if Open vSwitch does not answer."""
    table = json.loads(vsctl("--format=json", "--columns=name,datapath_type,external_ids", "list", "Bridge"))
    found = []
    for name, datapath_type, (_, external_ids) in table["data"]:
        said = dict(external_ids)
        tag = RunTag.parse(said.get(RUN_KEY, ""))
        if tag is not None:
            owner = RunOwner.parse(said.get(OWNER_KEY, ""))
            prefixes = tuple(said.get(_PREFIXES_KEY, "").split())
            stations = {
                mac: tuple(map(ip_address, addresses.split(",")))
                for mac, _, addresses in (word.partition("=") for word in said.get(_STATIONS_KEY, "").split())
            }
            d_router = said.get(_D_ROUTER_KEY, "")
            found.append(RunningBridge(tag, name, datapath_type or "system", d_router, prefixes, stations, owner))
    return found


def dump_flows(bridge: str) -> list[str]:
    """Return the flow entries of a bridge, one line each. Raises BridgeError."""
    return _call(["ovs-ofctl", "-O", "OpenFlow13", "--no-names", "dump-flows", bridge]).splitlines()


def wait_until_heeded() -> None:
    """Return when the packets of all bridges go by the entries as they are now. Raises BridgeError.

    Open vSwitch remembers what it did with a packet, and goes by that until it has looked at its entries again.
    """
    _call(ovs_control.appctl(_TIMEOUT_S, "revalidator/wait"))


def delete_bridges(names: Iterable[str]) -> None:
    """Delete bridges and what belongs to them; those already gone are no error.

    The bridges go last, and the setting of Open vSwitch with them: who is killed here leaves the next one to find them.
    """
    deleted = set(names)
    if not deleted:
        return
    with locked(_LOCK):  # a run that begins must find the setting of Open vSwitch, or know that it is gone
        _delete_port_queues(deleted)
        arguments: list[str] = []
        for name in sorted(deleted):
            arguments += ["--", "--if-exists", "del-br", name]
        if {bridge.name for bridge in running_bridges()} <= deleted:
            arguments += ["--", "remove", "Open_vSwitch", ".", "other_config", _MAX_IDLE]
        vsctl_removing(*arguments)


def _delete_port_queues(deleted: Collection[str]) -> None:
    """Delete the rows of table QoS whose bridge is one of these, or gone."""
    rows = json.loads(vsctl("--format=json", "--columns=_uuid,external_ids", "list", "QoS"))["data"]
    left = set(vsctl("list-br").split()) - set(deleted)
    of_bridges = ((uuid, dict(external_ids).get(_BRIDGE_KEY)) for (_, uuid), (_, external_ids) in rows)
    removed = [uuid for uuid, bridge in of_bridges if bridge is not None and bridge not in left]
    arguments: list[str] = []
    # Not together with the bridge: to the database, its ports have these rows until that transaction is over.
    for port, qos in json.loads(vsctl("--format=json", "--columns=name,qos", "list", "Port"))["data"]:
        if qos[1] in removed:
            arguments += ["--", "--if-exists", "clear", "Port", port, "qos"]
    for uuid in removed:
        arguments += ["--", "--if-exists", "destroy", "QoS", uuid]
    if arguments:
        vsctl("--no-wait", *arguments)


def _forget_soon() -> list[str]:
    """Return the ovs-vsctl arguments that have Open vSwitch forget silent flows soon, unless somebody has decided."""
    is_set = vsctl("--if-exists", "get", "Open_vSwitch", ".", "other_config:max-idle").strip()
    return [] if is_set else ["--", "set", "Open_vSwitch", ".", f"other_config:{_MAX_IDLE}"]


def _check_ports(bridges: Sequence[Bridge]) -> None:
    wanted = {interface: number for bridge in bridges for number, interface in bridge.interfaces.items()}
    table = json.loads(vsctl("--format=json", "--columns=name,ofport,error", "list", "Interface", *wanted))
    for name, port, error in table["data"]:
        if port != wanted[name]:
            # An empty set stands for a column without a value.
            reason = error if isinstance(error, str) else f"it became port {port}" if port != ["set", []] else "no port"
            raise BridgeError(f"Open vSwitch did not take interface {name} as port {wanted[name]}: {reason}")


def _switch_ordinary_traffic(names: Iterable[str]) -> None:
    # In secure mode an empty table drops all; the table-miss entry switches as usual.
    def add(name: str) -> None:
        _call(["ovs-ofctl", "-O", "OpenFlow13", "add-flow", name, "priority=0,actions=NORMAL"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, names))


def vsctl(*arguments: str) -> str:
    """Run ovs-vsctl and return what it prints. Raises BridgeError."""
    return _call(["ovs-vsctl", f"--timeout={_TIMEOUT_S}", *arguments])


def vsctl_removing(*arguments: str) -> str:
    """Run ovs-vsctl for what is to go: it waits for the switch only where there is one. Raises BridgeError."""
    return vsctl(*([] if _switch_answers() else ["--no-wait"]), *arguments)


def _switch_answers() -> bool:
    command = ovs_control.appctl(5, "version")
    done = subprocess.run(command, capture_output=True, start_new_session=True, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def _call(command: list[str]) -> str:
    # A session of its own: Ctrl-C at the terminal must not cut a clean-up transaction short.
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, start_new_session=True, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError as error:
        raise BridgeError(f"{command[0]} is not installed; install the package openvswitch-switch") from error
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        reason = reason.removeprefix(f"{command[0]}: ")  # it names itself
        way_out = "" if _daemon_answers() else "; start Open vSwitch: /usr/share/openvswitch/scripts/ovs-ctl start"
        raise BridgeError(f"{command[0]} failed: {reason}{way_out}")
    return done.stdout


def _daemon_answers() -> bool:
    return Path("/var/run/openvswitch/db.sock").is_socket()
