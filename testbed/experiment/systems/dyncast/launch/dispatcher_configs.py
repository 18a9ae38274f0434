"""The configuration of a CFN Dispatcher's control process, and a CFN node's part for its Dispatchers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

from ryu_apps.dyncast.config.control_process import ControlConfig, SwitchConfig
from ryu_apps.dyncast.config.services import CfnNode, SteeredService
from testbed.dyncast.nodes.dispatcher_service import DispatcherPeer
from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.experiment.systems.dyncast.launch.process_configs import IN_BAND_PORT
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.file_names import file_name


def of_site(plan: DyncastPlan, site: str) -> list[str]:
    """Return the Dispatchers of a CFN node."""
    return [name for name in plan.dispatchers if plan.topology.site_of(name) == site]


def peers_of_cfn_node(plan: DyncastPlan, site: str, ports: Mapping[str, int]) -> list[DispatcherPeer]:
    """Return the Dispatchers of a D-Router as it knows them; `ports` are those of its switch."""
    return [
        DispatcherPeer(name, plan.addresses.host(name).ipv4.ip, ports[name], plan.scenario.dispatcher.tells)
        for name in of_site(plan, site)
    ]


def control(
    plan: DyncastPlan,
    name: str,
    out_dir: Path,
    *,
    datapath_id: int,
    openflow_fd: int,
    uplink_port: int,
    in_band_fd: int,
    switch: SwitchConfig,
    inspection_socket: str | None = None,
    keys_folder: Path | None = None,
) -> ControlConfig:
    """Return the configuration of a Dispatcher's control process."""
    scenario, cfn_node = plan.scenario, plan.topology.site_of(name)
    clients = [client.name for client in plan.clients if plan.topology.switch_of(client.name) == name]
    return ControlConfig(
        name=f"control@{name}",
        out_dir=out_dir,
        site=name,
        seed=scenario.seed,
        datapath_id=datapath_id,
        openflow_fd=openflow_fd,
        uplink_port=uplink_port,
        in_band_fd=in_band_fd,
        in_band_port=IN_BAND_PORT,
        inspection_socket=inspection_socket,
        metric_lifetime_s=scenario.metrics.lifetime_s,
        keys_file=None if keys_folder is None else keys_folder / file_name(f"control@{name}"),
        dispatcher=CfnNode(cfn_node, plan.addresses.site(cfn_node).gateway4.ip, scenario.dispatcher.tells),
        switch=replace(
            switch,
            prefixes=tuple(ip_network(own.ip) for client in clients for own in plan.addresses.host(client)),
        ),
        services=tuple(
            SteeredService(
                name=service,
                d_sids=(keys.d_sid,),
                flow_fields=keys.affinity.fields,
                port_block=keys.affinity.port_block,
                affinity_timeout_s=keys.affinity.timeout_s,
            )
            for service, keys in scenario.services.items()
            if scenario.policy_of(service) != DNS_TTL
        ),
    )
