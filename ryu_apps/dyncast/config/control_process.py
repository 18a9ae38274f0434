"""The configuration of a control process, of a D-Router or a CFN Dispatcher (docs/processes.md). Knows no OpenFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

from ryu_apps.dyncast.config.alto_reports import AltoReportsConfig
from ryu_apps.dyncast.config.deferrable import DeferrableConfig
from ryu_apps.dyncast.config.direct import DirectConfig
from ryu_apps.dyncast.config.ports import PortsConfig
from ryu_apps.dyncast.config.services import (
    CfnNode,
    ControlForm,
    DispatcherForm,
    PeerForm,
    Policy,
    RateForm,
    ServiceForm,
    SwitchPort,
)
from ryu_apps.dyncast.config.tunnel import TunnelConfig
from testbed.dyncast import policies
from testbed.dyncast.control.role import DISTRIBUTED
from testbed.dyncast.nodes.d_router_config import DRouterConfig
from testbed.net.addresses import Address, Network
from testbed.runtime import lifecycle
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, ProcessConfig
from testbed.runtime.forms import Integer, Mapped, NumberOrName, OneOf, Port, Positive, Size

_MOST_DATAPATH_ID = (1 << 64) - 1


@dataclass(frozen=True)
class SwitchConfig(Document):
    """What datapath mode has to know of the switch, which is Open vSwitch on this machine."""

    datapath_type: Annotated[str, OneOf(("netdev", "system"))]
    """Where it forwards: in userspace, or in the kernel."""
    management_socket: Path
    """Its OpenFlow management socket."""
    prefixes: tuple[Network, ...] = ()
    """The hosts of the site: its clients, and the instances that its agent may report; of a Dispatcher, its clients."""
    direct: DirectConfig | None = None
    """What tells direct traffic with instances from what is left of ended flows; without it, both pass."""


@dataclass(frozen=True)
class ControlConfig(ProcessConfig):
    """The configuration of a control process."""

    site: str
    """The D-Router's site, or the Dispatcher's name."""
    seed: int
    """Of what is chosen at random."""
    datapath_id: Annotated[int, Integer(1, _MOST_DATAPATH_ID)]
    """Of its switch; others are ignored."""
    openflow_fd: Size
    """A listening TCP socket: its switch connects to it."""
    uplink_port: SwitchPort
    """The port of the switch to the node itself; of a Dispatcher, to its CFN node."""
    in_band_fd: Size
    """A bound UDP socket of the node's namespace: all messages that are not deferrable pass through it."""
    in_band_port: Port
    """The port that others receive at."""
    services: tuple[ServiceForm, ...]
    """Those that it steers."""
    peers: tuple[PeerForm, ...] = ()
    """The other D-Routers."""
    metric_lifetime_s: Positive = DRouterConfig.metric_lifetime_s
    """A binding not refreshed for so long is no candidate; a message older than this is refused."""
    probe_interval_s: Positive = DRouterConfig.probe_interval_s
    """It probes the paths to its peers this often."""
    flush_interval_s: Positive = 1.0
    """What it recorded is in its files after this time."""
    report_rate: RateForm = DRouterConfig.report_rate
    """How many reports of each agent it takes."""
    d_sid_ranges: tuple[Network, ...] = ()
    """What goes to a member that is no service is refused."""
    learnt_policy: Policy | None = None
    """The policy of services in these ranges that reports make known, in place of `services` (docs/decisions/0016)."""
    d_bids: tuple[Address, ...] = ()
    """Hosts that are talked with and may come to be instances: their conversations go on then (docs/decisions/0050)."""
    listeners: tuple[Address, ...] = ()
    """Receivers of the own site's reports besides the peers."""
    policy_parameters: Annotated[Mapping[str, Mapping[str, float | str]], Mapped(Mapped(NumberOrName()))] = field(
        default_factory=dict
    )
    """What policies go by, by policy."""
    control: ControlForm = DISTRIBUTED
    """Where decisions are taken (docs/decisions/0013)."""
    dispatcher: CfnNode | None = None
    """Makes the process a Dispatcher, of this CFN node."""
    dispatchers: tuple[DispatcherForm, ...] = ()
    """The Dispatchers that a D-Router selects for."""
    switch: SwitchConfig | None = None
    """Its switch, for services in datapath mode, and the hosts of its site."""
    tunnel: TunnelConfig | None = None
    """For services whose `steering` is `tunnel`."""
    ports: PortsConfig | None = None
    """What it measures its own ports with (docs/decisions/0017)."""
    deferrable: DeferrableConfig | None = None
    """What probes go through, and reports of instances that are all up; without it, they go with all other messages."""
    icmp_fd: Size | None = None
    """A raw ICMP socket of its namespace, on which it learns that a probe came back."""
    alto: AltoReportsConfig | None = None
    """Where it reports what it measured; without it, nowhere."""
    keys_file: Path | None = None
    """Its own key, and those of all nodes that send to it (docs/decisions/0008); without it, it believes all."""
    inspection_socket: str | None = None
    """The abstract Unix socket at which it can be looked into (docs/inspect.md)."""
    true_state_folder: Path | None = None
    """The shared memory of instances, for services under the policy `oracle` (docs/decisions/0018)."""

    def __post_init__(self) -> None:
        if self.tunnel is None and any(service.steering == "tunnel" for service in self.services):
            raise ConfigError("tunnel is missing; a service steered by tunnel needs it")
        if self.ct_zones and self.switch is None:
            raise ConfigError("switch is missing; a service in datapath mode needs it")
        ports = {port.name for port in self.ports.ports} if self.ports else set()
        for port in self.alto.links if self.alto else ():
            if port not in ports:
                raise ConfigError(
                    f"alto.links.{port} is none of its ports; there are: {', '.join(sorted(ports)) or 'none'}"
                )
        is_omniscient = any(service.policy == policies.ORACLE for service in self.services)
        if is_omniscient and self.true_state_folder is None:
            raise ConfigError("true_state_folder is missing; a service under the policy oracle needs it")
        for policy, of_policy in self.policy_parameters.items():
            try:
                policies.create(policy, **of_policy)
            except ValueError as error:
                raise ConfigError(f"policy_parameters.{policy} cannot be set: {error}") from error

    @cached_property
    def ct_zones(self) -> Mapping[str, int]:
        """The zone of conntrack of each service in datapath mode."""
        return {service.name: service.ct_zone for service in self.services if service.ct_zone is not None}

    @cached_property
    def d_router(self) -> DRouterConfig:
        """What the core of a D-Router goes by."""
        return DRouterConfig(
            site=self.site,
            services=self.services,
            peers=self.peers,
            metric_lifetime_s=self.metric_lifetime_s,
            probe_interval_s=self.probe_interval_s,
            prefixes=self.switch.prefixes if self.switch else (),
            dispatchers=self.dispatchers,
            ports=tuple(port.port for port in self.ports.ports) if self.ports else (),
            report_rate=self.report_rate,
            d_sid_ranges=self.d_sid_ranges,
            d_bids=self.d_bids,
            learnt_policy=self.learnt_policy,
            listeners=self.listeners,
            policy_parameters={policy: dict(of_policy) for policy, of_policy in self.policy_parameters.items()},
            address=self.tunnel.address if self.tunnel else None,
            control=self.control,
        )


def load(path: Path) -> ControlConfig:
    """Return the configuration in a file. Raises ConfigError naming file and key."""
    return lifecycle.load(path, ControlConfig)
