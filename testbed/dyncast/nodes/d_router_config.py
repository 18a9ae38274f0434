"""The configuration of a D-Router: its site, the services, the other D-Routers.

Pure, and said once: what changes while it runs comes in by messages and events.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.dyncast.affinity.service import Service
from testbed.dyncast.control.role import DISTRIBUTED, Control
from testbed.dyncast.messages.admission import REPORT_RATE
from testbed.dyncast.monitoring.port_state import Port
from testbed.dyncast.nodes.dispatcher_service import DispatcherPeer
from testbed.net.addresses import Address, Network
from testbed.net.token_bucket import Rate


@dataclass(frozen=True)
class Peer:
    """Another D-Router: where its messages go, the routing's round-trip cost to it, and its site's addresses."""

    site: str
    """Its site."""
    address: Address
    """Where messages to it go."""
    path_cost_ms: float
    """The routing's round-trip cost to it."""
    prefixes: tuple[Network, ...] = ()
    """The hosts of its site; none: any will do."""
    port: str = ""
    """The port of this D-Router by which the path to it begins."""


@dataclass(frozen=True)
class DRouterConfig:
    """The configuration of a D-Router."""

    site: str
    services: tuple[Service, ...]
    peers: tuple[Peer, ...] = ()
    ports: tuple[Port, ...] = ()  # whose counters it gets
    metric_lifetime_s: float = 10.0
    probe_interval_s: float = 1.0
    prefixes: tuple[Network, ...] = ()  # of its own site; reports must be of instances in them, if there are any
    report_rate: Rate = REPORT_RATE  # of each site's agent; what exceeds it is refused
    d_sid_ranges: tuple[Network, ...] = ()  # what is to a member that is no service is refused
    learnt_policy: str | None = None  # of services in these ranges that reports make known; none: they teach none
    d_bids: tuple[Address, ...] = ()  # of hosts that talk with others and may come to be instances meanwhile
    listeners: tuple[Address, ...] = ()  # receivers of the own site's reports that are no D-Routers
    policy_parameters: dict[str, dict[str, float | str]] = field(default_factory=dict)
    control: Control = DISTRIBUTED
    dispatchers: tuple[DispatcherPeer, ...] = ()  # that it selects for
    address: Address | None = None  # its own; needed where flows are assigned to sites

    @property
    def addresses_by_site(self) -> dict[str, Address]:
        """The addresses of all D-Routers, its own among them if it is known."""
        own = {} if self.address is None else {self.site: self.address}
        return {peer.site: peer.address for peer in self.peers} | own

    @property
    def prefixes_by_site(self) -> dict[str, tuple[Network, ...]]:
        """What addresses each site has, its own among them."""
        return {self.site: self.prefixes, **{peer.site: peer.prefixes for peer in self.peers}}
