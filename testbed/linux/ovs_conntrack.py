"""The connections that Open vSwitch tracks, by zone: read, counted, ended.

Owns the calls of `ovs-appctl dpctl/…` and what their lines mean; of the kernel's datapath, how full the table is says
the kernel itself (`kernel_conntrack`). Knows nothing of services; a zone is a number.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from testbed.errors import TestbedError
from testbed.linux import kernel_conntrack, ovs_control
from testbed.net.addresses import Address

_TIMEOUT_S = 20
_LEAST_FRAGMENT_BYTES, _MOST_FRAGMENTS = "400", "5000"  # Open vSwitch allows no more
_TUPLE = r"src=([^,]+),dst=([^,]+)(?:,sport=(\d+),dport=(\d+))?[^)]*"
_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}
_LINE = re.compile(rf"(\w+),orig=\({_TUPLE}\),reply=\({_TUPLE}\)")
_CONNECTIONS = re.compile(r"Total:\s*(\d+)")
_NUMBER = re.compile(r"\b(timeout|mark)=(0x[0-9a-f]+|\d+)")


class ConntrackError(TestbedError):
    """Open vSwitch did not answer, or not as expected; one line."""


@dataclass(frozen=True)
class Connection:
    """One tracked connection: what the client sent, and who answers."""

    proto: str
    src: Address
    dst: Address
    src_port: int | None
    dst_port: int | None
    answered_by: Address
    timeout_s: int | None
    mark: int

    @property
    def tuple(self) -> str:
        """Return what the client sent, as an argument that names one connection to Open vSwitch."""
        family = _family(self.src)
        ends = f"{family}_src={self.src},{family}_dst={self.dst},ct_nw_proto={_NUMBERS.get(self.proto, 0)}"
        return ends if self.src_port is None else f"{ends},ct_tp_src={self.src_port},ct_tp_dst={self.dst_port}"


@dataclass(frozen=True)
class Usage:
    """How full the table of all connections of a datapath is."""

    connections: int
    limit: int

    def __str__(self) -> str:
        return f"{self.connections} of {self.limit} entries"


class Conntrack:
    """The connection tracker of one datapath: `netdev@ovs-netdev` or `system@ovs-system`."""

    def __init__(self, datapath_type: str) -> None:
        self._name = f"{datapath_type}@ovs-{datapath_type}"
        self._is_kernels = datapath_type == "system"

    def connections(self, zone: int) -> Iterator[Connection]:
        """Return the connections of a zone."""
        for line in self._dpctl("dump-conntrack", "-s", self._name, f"zone={zone}").splitlines():
            connection = parse(line)
            if connection is not None:
                yield connection

    def end(self, zone: int, answered_by: Address) -> int:
        """End all connections of a zone that an instance answers; return how many there were."""
        ended = [item for item in self.connections(zone) if item.answered_by == answered_by]
        if ended:
            try:
                self._flush(f"zone={zone}", "", f"{_family(answered_by)}_src={answered_by}")
            except ConntrackError:  # before Open vSwitch 3.1, only whole tuples
                for item in ended:
                    self._flush(f"zone={zone}", item.tuple)
        return len(ended)

    def flush(self, zone: int) -> None:
        """End all connections of a zone."""
        self._flush(f"zone={zone}")

    def _flush(self, *chosen: str) -> None:
        try:
            self._dpctl("flush-conntrack", *chosen)  # Open vSwitch 3.1 takes no name of a datapath here
        except ConntrackError:
            self._dpctl("flush-conntrack", self._name, *chosen)  # there is more than one datapath

    def count(self, zone: int) -> int:
        """Return how many connections a zone has. Raises ConntrackError."""
        said = _CONNECTIONS.search(self._dpctl("ct-stats-show", self._name, f"zone={zone}"))
        if said is None:
            raise ConntrackError("ovs-appctl dpctl/ct-stats-show: no total")
        return int(said[1])

    def be_liberal(self) -> None:
        """Have the userspace datapath track what the kernel's does, too. Raises ConntrackError.

        Fragments as small, and as many at once, as it ever takes; and TCP segments outside the window: with those of a
        client that lost power and comes back by the same port, its instance resets the former connection (RFC 5961).
        """
        for family in ("v4", "v6"):
            self._dpctl("ipf-set-min-frag", self._name, family, _LEAST_FRAGMENT_BYTES)
        self._dpctl("ipf-set-max-nfrags", self._name, _MOST_FRAGMENTS)
        self._dpctl("ct-disable-tcp-seq-chk", self._name)

    def refused(self) -> int:
        """Return how many packets found the table full, of the whole datapath, since it is there."""
        if self._is_kernels:
            return kernel_conntrack.refused()
        return int(_appctl("coverage/read-counter", "conntrack_full"))

    def usage(self) -> Usage | None:
        """Return how full the table is; None where nobody says."""
        try:
            if self._is_kernels:
                return Usage(kernel_conntrack.connections(), kernel_conntrack.limit())
            return Usage(*(int(self._dpctl(asked, self._name)) for asked in ("ct-get-nconns", "ct-get-maxconns")))
        except (ConntrackError, OSError, ValueError):
            return None

    def _dpctl(self, command: str, *arguments: str) -> str:
        return _appctl(f"dpctl/{command}", *arguments)


def _family(address: Address) -> str:
    return "ct_nw" if address.version == 4 else "ct_ipv6"


def _appctl(command: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ovs_control.appctl(_TIMEOUT_S, command, *arguments),
            capture_output=True, text=True, stdin=subprocess.DEVNULL, start_new_session=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise ConntrackError(f"ovs-appctl: {error.strerror}") from error
    if done.returncode != 0:
        raise ConntrackError(f"ovs-appctl {command}: {_reason(done.stderr)}")
    return done.stdout


def _reason(said: str) -> str:
    """Return why a call failed, in the daemon's words if it answered: the program's then say only that it did."""
    lines = [line.partition("ovs-appctl: ")[2] or line for line in said.splitlines()]
    return " ".join(line for line in lines if not line.endswith("server returned an error")) or "no reason given"


def parse(line: str) -> Connection | None:
    """Read a line of dump-conntrack; None for what is none."""
    found = _LINE.match(line)
    if found is None:
        return None
    proto, src, dst, src_port, dst_port, answered_by = found.groups()[:6]
    numbers = {name: int(value, 0) for name, value in _NUMBER.findall(line[found.end() :])}
    return Connection(
        proto,
        ip_address(src),
        ip_address(dst),
        None if src_port is None else int(src_port),
        None if dst_port is None else int(dst_port),
        ip_address(answered_by),
        numbers.get("timeout"),
        numbers.get("mark", 0),
    )
