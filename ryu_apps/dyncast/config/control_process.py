"""What one D-Router's control process is told: the JSON file on its command line, checked.

Owns the file's form. Knows no OpenFlow. Example:

    {"name": "control@chicago", "site": "chicago", "seed": 1, "out_dir": "…",
     "datapath_id": 3, "openflow_port": 6701, "uplink_port": 1, "in_band_fd": 5,
     "in_band_port": 7000, "metric_lifetime_s": 10, "probe_interval_s": 1,
     "report_rate": {"per_s": 1000, "burst": 1000}, "keys_file": "/run/dyncast/1a2b.keys/control@chicago",
     "services": [{"name": "render", "d_sids": ["203.0.113.10"], "policy": "dyncast",
                   "flow_fields": ["src", "dst", "proto", "src_port", "dst_port"], "affinity_timeout_s": 30,
                   "affinity_mode": "datapath", "ct_zone": 4711}],
     "switch": {"datapath_type": "netdev", "management_socket": "/run/openvswitch/br0.mgmt",
                "prefixes": ["10.3.0.0/16"]},
     "peers": [{"site": "denver", "address": "10.4.0.1", "path_cost_ms": 12.5, "prefixes": ["10.4.0.0/16"]}],
     "policy_parameters": {"dyncast": {"refusal_penalty_ms": 5000}}}

`in_band_fd` is a bound UDP socket that the starter opened inside the D-Router's namespace. `inspection_socket`, if it
is there, names the abstract Unix socket at which the process is looked into (docs/inspect.md). `ct_zone` (a zone of
conntrack that is this service's at this D-Router alone) and `switch` are for services whose affinity mode is
`datapath`; `prefixes` hold the hosts of the site: its clients, and the instances that its agent may report.
`tunnel` (`ryu_apps.dyncast.config.tunnel`) is for services whose `steering` is `tunnel`.
`true_state_folder` has the shared memory of instances (`testbed.dyncast_io.shared_state`), for services under the
policy `oracle`. `ports` (`ryu_apps.dyncast.config.ports`) and `icmp_fd`, a raw ICMP socket of the D-Router's namespace,
are what it measures with. `dispatcher` and `dispatchers` (`ryu_apps.dyncast.config.dispatcher`) make it a CFN
Dispatcher, and name those it selects for. `control` (`ryu_apps.dyncast.config.control_mode`) says who decides, if not
each D-Router for itself. `keys_file` (`testbed.dyncast_io.keys_file`) has the keys of this D-Router and of all nodes it
hears; without it, it believes all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from ryu_apps.dyncast.config import control_mode
from ryu_apps.dyncast.config import dispatcher as dispatcher_config
from ryu_apps.dyncast.config.dispatcher import CfnNode
from ryu_apps.dyncast.config.ports import PortsConfig, ports_config
from ryu_apps.dyncast.config.tunnel import TunnelConfig, tunnel_config
from testbed.dyncast import policies
from testbed.dyncast.affinity.service import AFFINITY_MODES, CHOICES, STEERINGS, Service
from testbed.dyncast.nodes.d_router_config import DRouterConfig, Peer
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FIVE_TUPLE
from testbed.net.token_bucket import Rate
from testbed.runtime import lifecycle
from testbed.runtime.config import ConfigError, Keys

_MAX_DATAPATH_ID = (1 << 64) - 1
_MAX_SWITCH_PORT = 0xFFFF_FF00  # OFPP_MAX
_MAX_ZONE = 0xFFFF


@dataclass(frozen=True)
class SwitchConfig:
    """What datapath mode has to know of the switch, which is Open vSwitch on this machine."""

    datapath_type: str
    management_socket: Path
    prefixes: tuple[Network, ...]


@dataclass(frozen=True)
class ControlConfig:
    """The checked configuration of one control process."""

    name: str
    site: str
    seed: int
    out_dir: Path
    datapath_id: int
    openflow_port: int
    uplink_port: int
    in_band_fd: int
    in_band_port: int
    d_router: DRouterConfig
    ct_zones: Mapping[str, int]
    switch: SwitchConfig | None
    keys_file: Path | None
    inspection_socket: str | None = None
    cfn_node: CfnNode | None = None  # of a Dispatcher
    ports: PortsConfig | None = None
    icmp_fd: int | None = None
    true_state_folder: Path | None = None
    tunnel: TunnelConfig | None = None


def load(path: Path) -> ControlConfig:
    """Return the configuration in a file. Raises ConfigError naming file and key."""
    return lifecycle.load(path, control_config)


def control_config(keys: Keys) -> ControlConfig:
    """Check a control process's configuration; raise ConfigError naming the key."""
    site = keys.text("site")
    zones: dict[str, int] = {}
    switch = keys.optional("switch", partial(keys.section, check=_switch), None)
    tunnel = keys.optional("tunnel", partial(keys.section, check=tunnel_config), None)
    ports = keys.optional("ports", partial(keys.section, check=ports_config), None)
    config = ControlConfig(
        name=keys.file_name("name"),
        site=site,
        seed=keys.integer("seed"),
        out_dir=Path(keys.text("out_dir")),
        datapath_id=keys.integer("datapath_id", 1, _MAX_DATAPATH_ID),
        openflow_port=keys.port("openflow_port"),
        uplink_port=keys.integer("uplink_port", 1, _MAX_SWITCH_PORT),
        in_band_fd=keys.integer("in_band_fd", 0),
        in_band_port=keys.port("in_band_port"),
        d_router=DRouterConfig(
            site=site,
            services=keys.sections("services", partial(_service, zones=zones)),
            peers=keys.optional("peers", partial(keys.sections, check=_peer), ()),
            metric_lifetime_s=keys.optional("metric_lifetime_s", keys.positive, DRouterConfig.metric_lifetime_s),
            probe_interval_s=keys.optional("probe_interval_s", keys.positive, DRouterConfig.probe_interval_s),
            prefixes=switch.prefixes if switch else (),
            dispatchers=dispatcher_config.dispatchers(keys),
            ports=ports.ports if ports else (),
            report_rate=keys.optional("report_rate", partial(keys.section, check=_rate), DRouterConfig.report_rate),
            d_sid_ranges=keys.optional("d_sid_ranges", partial(_networks, keys), ()),
            learnt_policy=keys.optional("learnt_policy", partial(keys.one_of, choices=policies.POLICIES), None),
            listeners=keys.optional("listeners", partial(_addresses, keys), ()),
            policy_parameters=keys.optional("policy_parameters", partial(keys.section, check=_policy_parameters), {}),
            address=tunnel.address if tunnel else None,
            control=control_mode.control(keys),
        ),
        ct_zones=zones,
        switch=switch,
        keys_file=keys.optional("keys_file", lambda key: Path(keys.text(key)), None),
        cfn_node=dispatcher_config.cfn_node(keys),
        ports=ports,
        icmp_fd=keys.optional("icmp_fd", lambda key: keys.integer(key, 0), None),
        inspection_socket=keys.optional("inspection_socket", keys.text, None),
        true_state_folder=keys.optional("true_state_folder", lambda key: Path(keys.text(key)), None),
        tunnel=tunnel,
    )
    if tunnel is None and any(service.steering == "tunnel" for service in config.d_router.services):
        raise keys.error("tunnel", "is missing; a service steered by tunnel needs it")
    if zones and config.switch is None:
        raise keys.error("switch", "is missing; a service in datapath mode needs it")
    is_omniscient = any(service.policy == policies.ORACLE for service in config.d_router.services)
    if is_omniscient and config.true_state_folder is None:
        raise keys.error("true_state_folder", "is missing; a service under the policy oracle needs it")
    return config


def _switch(keys: Keys) -> SwitchConfig:
    return SwitchConfig(
        datapath_type=keys.one_of("datapath_type", ("netdev", "system")),
        management_socket=Path(keys.text("management_socket")),
        prefixes=_networks(keys, "prefixes"),
    )


def _addresses(keys: Keys, key: str) -> tuple[Address, ...]:
    addresses = keys.entries(key, "a list of addresses")
    return tuple(addresses.address(entry) for entry in addresses)


def _networks(keys: Keys, key: str) -> tuple[Network, ...]:
    networks = keys.entries(key, "a list of networks")
    return tuple(_network(networks, entry) for entry in networks)


def _network(keys: Keys, key: str) -> Network:
    try:
        return ip_network(keys.text(key))
    except ValueError as error:
        raise keys.mistyped(key, "an IP network") from error


def _service(keys: Keys, zones: dict[str, int]) -> Service:
    d_sids = keys.entries("d_sids", "a list of at least one address", 1)
    try:
        service = Service(
            name=keys.text("name"),
            d_sids=tuple(d_sids.address(entry) for entry in d_sids),
            policy=keys.optional("policy", partial(keys.one_of, choices=policies.POLICIES), Service.policy),
            flow_fields=keys.optional("flow_fields", partial(_flow_fields, keys), Service.flow_fields),
            affinity_timeout_s=keys.optional(
                "affinity_timeout_s", partial(keys.integer, least=1, most=65535), Service.affinity_timeout_s
            ),
            port_block=keys.optional("port_block", partial(keys.integer, least=1), Service.port_block),
            affinity_mode=keys.optional(
                "affinity_mode", partial(keys.one_of, choices=AFFINITY_MODES), Service.affinity_mode
            ),
            steering=keys.optional("steering", partial(keys.one_of, choices=STEERINGS), Service.steering),
            choice=keys.optional("choice", partial(keys.one_of, choices=CHOICES), Service.choice),
            local_policy=keys.optional(
                "local_policy", partial(keys.one_of, choices=policies.POLICIES), Service.local_policy
            ),
        )
        if service.affinity_mode == "datapath":
            zones[service.name] = keys.integer("ct_zone", 1, _MAX_ZONE)
        return service
    except ConfigError:
        raise
    except ValueError as error:
        raise keys.error("flow_fields", f"cannot identify a flow: {error}") from error


def _flow_fields(keys: Keys, key: str) -> tuple[str, ...]:
    fields = keys.entries(key)
    return tuple(fields.one_of(entry, FIVE_TUPLE) for entry in fields)


def _peer(keys: Keys) -> Peer:
    prefixes = keys.optional("prefixes", partial(_networks, keys), ())
    port = keys.optional("port", keys.text, "")
    return Peer(keys.text("site"), keys.address("address"), keys.number("path_cost_ms", 0), prefixes, port)


def _rate(keys: Keys) -> Rate:
    return Rate(keys.positive("per_s"), keys.number("burst", 1))


def _policy_parameters(keys: Keys) -> dict[str, dict[str, float | str]]:
    parameters = {policy: keys.section(policy, _numbers_and_names) for policy in keys}
    for policy, of_policy in parameters.items():
        try:
            policies.create(policy, **of_policy)
        except ValueError as error:
            raise keys.error(policy, f"cannot be set: {error}") from error
    return parameters


def _numbers_and_names(keys: Keys) -> dict[str, float | str]:
    return {key: _number_or_name(keys, key) for key in keys}


def _number_or_name(keys: Keys, key: str) -> float | str:
    try:
        return keys.text(key)
    except ConfigError:
        return keys.number(key)
