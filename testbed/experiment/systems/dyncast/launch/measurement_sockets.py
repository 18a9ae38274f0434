"""What the control process of a D-Router measures with: sockets of its namespace, and its ports towards the others.

Owns the part of its configuration that says so (docs/processes.md), and the sockets while the process is started.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ryu_apps.dyncast.config.deferrable import DeferrableConfig
from ryu_apps.dyncast.config.ports import PortConfig, PortsConfig
from testbed.emulation.netns.namespaces import entered
from testbed.emulation.network import EmulatedNetwork
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.linux.port_reader import PortSource

_DEFERRABLE_PORT = 7001


@dataclass(frozen=True)
class Measuring:
    """The sockets, by descriptor, and where the counters of each port are, by the site that its path leads to."""

    netlink_fd: int
    icmp_fd: int
    deferrable_fd: int
    towards: Mapping[str, PortSource]

    @property
    def descriptors(self) -> list[int]:
        """Those that the process inherits."""
        return [self.netlink_fd, self.icmp_fd, self.deferrable_fd]

    @property
    def deferrable(self) -> DeferrableConfig:
        """What deferrable messages go through."""
        return DeferrableConfig(self.deferrable_fd, _DEFERRABLE_PORT)

    def ports(self, plan: DyncastPlan, site: str) -> PortsConfig | None:
        """Return the ports whose counters the control process reads; None: it reads none."""
        interval_s = plan.scenario.metrics.port_interval_s
        if interval_s is None or not self.towards:
            return None
        specs = {source: plan.first_link(site, peer).spec for peer, source in self.towards.items()}
        ports = tuple(
            PortConfig(source.name, spec.queue_packets, spec.rate_mbps, source.relay_file, source.relay_slot)
            for source, spec in specs.items()
        )
        return PortsConfig(self.netlink_fd, interval_s, ports)


@contextmanager
def opened(network: EmulatedNetwork, plan: DyncastPlan, site: str) -> Iterator[Measuring]:
    """Open the sockets in a node's namespace, for the block in which its process is started.

    A Dispatcher has no paths to measure.
    """
    with entered(network.pid(site)):
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
        icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        deferrable = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with netlink, icmp, deferrable:
        if site in plan.sites:
            deferrable.bind((str(plan.addresses.site(site).gateway4.ip), _DEFERRABLE_PORT))
        peers = [peer for peer in plan.sites if peer != site] if site in plan.sites else []
        first_links = {peer: plan.first_link(site, peer) for peer in peers}
        towards = {peer: network.port(site, link.b if link.a == site else link.a) for peer, link in first_links.items()}
        yield Measuring(netlink.fileno(), icmp.fileno(), deferrable.fileno(), towards)
