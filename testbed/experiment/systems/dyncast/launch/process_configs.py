"""The configuration of each process of a run (docs/processes.md), from the plan. Pure: writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from ryu_apps.dyncast.config.alto_reports import AltoReportsConfig
from ryu_apps.dyncast.config.control_process import ControlConfig, SwitchConfig
from ryu_apps.dyncast.config.services import SteeredService
from ryu_apps.dyncast.config.tunnel import StationConfig, TunnelConfig, mac_octets
from testbed.agents.instance import service_time_config
from testbed.agents.instance.config import InstanceConfig, TrueStateConfig
from testbed.agents.metric_agent.config import HttpUrl, MetricAgentConfig, PolledInstance
from testbed.agents.name_server.config import NamedService, NameServerConfig, SteeringConfig
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.nodes import dns_steering
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.dyncast.nodes.dispatcher_service import DispatcherPeer
from testbed.dyncast.nodes.dns_steering import DNS_TTL, ClientSite
from testbed.dyncast_io.shared_state import path_of
from testbed.experiment.plan.plan import PlannedClient
from testbed.experiment.schema_parts import DistributionKeys
from testbed.experiment.system import systems
from testbed.experiment.systems.dyncast.keys.service import ADMIN_PORT
from testbed.experiment.systems.dyncast.launch.measurement_sockets import Measuring
from testbed.experiment.systems.dyncast.plan.name_service import DNS_PORT
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan, PlannedInstance, PlannedOffer
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from testbed.net.addresses import Address, Network
from testbed.net.token_bucket import Rate
from testbed.records.file_names import file_name
from testbed.runtime.forms import Destination
from traffic.config import GeneratorConfig, NameServer, WorkloadConfig

IN_BAND_PORT = 7000
SAMPLE_INTERVAL_S = 0.5


def control(
    plan: DyncastPlan,
    site: str,
    out_dir: Path,
    *,
    datapath_id: int,
    openflow_fd: int,
    uplink_port: int,
    in_band_fd: int,
    switch: SwitchConfig,
    zones: Mapping[str, int],
    inspection_socket: str | None = None,
    keys_folder: Path | None = None,
    tunnel: TunnelConfig | None = None,
    dispatchers: Sequence[DispatcherPeer] = (),
    measuring: Measuring | None = None,
) -> ControlConfig:
    """Return the configuration of a D-Router's control process; `zones` has those of services in datapath mode."""
    scenario = plan.scenario
    return ControlConfig(
        name=f"control@{site}",
        out_dir=out_dir,
        site=site,
        seed=scenario.seed,
        datapath_id=datapath_id,
        openflow_fd=openflow_fd,
        uplink_port=uplink_port,
        in_band_fd=in_band_fd,
        in_band_port=IN_BAND_PORT,
        inspection_socket=inspection_socket,
        metric_lifetime_s=scenario.metrics.lifetime_s,
        probe_interval_s=scenario.metrics.probe_interval_s,
        report_rate=_report_rate(plan),
        keys_file=_keys_file(keys_folder, f"control@{site}"),
        learnt_policy=scenario.policy if scenario.services_known == "learnt" else None,
        d_sid_ranges=tuple(scenario.d_sid_ranges),
        d_bids=tuple(dict.fromkeys(ip_address(item.d_bid) for item in plan.offered)),
        policy_parameters={
            name: of_policy for name, of_policy in scenario.policy_parameters.items() if name != DNS_TTL
        },
        services=_services(scenario, zones) if scenario.services_known == "configured" else (),
        true_state_folder=_true_states(out_dir) if scenario.omniscient_services else None,
        tunnel=tunnel,
        dispatchers=tuple(dispatchers),
        control=scenario.control.control(scenario.metrics.lifetime_s, scenario.metrics.refresh_s),
        switch=replace(switch, prefixes=_prefixes(plan, site)),
        peers=tuple(_peer(plan, site, peer, measuring) for peer in plan.sites if peer != site),
        deferrable=measuring.deferrable if measuring else None,
        icmp_fd=measuring.icmp_fd if measuring else None,
        ports=measuring.ports(plan, site) if measuring else None,
        listeners=_name_server_addresses(plan)[:1] if plan.name_server and plan.name_server.steered else (),
        alto=_alto_reports(plan, site, measuring),
    )


def _alto_reports(plan: DyncastPlan, site: str, measuring: Measuring | None) -> AltoReportsConfig | None:
    """Return where a D-Router reports what it measures, if some system wants that."""
    wanted = next(filter(None, (system.wanted_reports(plan) for system in systems())), None)
    if wanted is None:
        return None
    links = {}
    if measuring is not None and measuring.ports(plan, site) is not None:
        for peer, source in measuring.towards.items():
            first = plan.first_link(site, peer)
            links[source.name] = first.b if first.a == site else first.a
    return AltoReportsConfig((wanted.address, wanted.port), wanted.interval_s, wanted.window_s, links)


def _services(scenario: DyncastScenario, zones: Mapping[str, int]) -> tuple[SteeredService, ...]:
    return tuple(
        SteeredService(
            name=name,
            d_sids=(service.d_sid,),
            policy=scenario.policy_of(name),
            flow_fields=service.affinity.fields,
            port_block=service.affinity.port_block,
            affinity_timeout_s=service.affinity.timeout_s,
            affinity_mode=service.affinity.mode,
            ct_zone=zones.get(name),
            steering=service.steering,
            choice=service.choice,
            local_policy=service.local_policy,
        )
        for name, service in scenario.services.items()
        if scenario.policy_of(name) != DNS_TTL
    )


def _peer(plan: DyncastPlan, site: str, peer: str, measuring: Measuring | None) -> Peer:
    return Peer(
        site=peer,
        address=plan.addresses.site(peer).gateway4.ip,
        path_cost_ms=plan.path_cost_ms(site, peer),
        prefixes=_prefixes(plan, peer),
        port=measuring.towards[peer].name if measuring else "",
    )


def tunnel(plan: DyncastPlan, site: str, tunnel_port: int | None, ports: Mapping[str, int]) -> TunnelConfig | None:
    """Return the tunnels of a D-Router, if there are any; `ports` are those of its switch, by host."""
    if tunnel_port is None:
        return None
    own = plan.addresses.site(site).gateway4.ip
    stations = tuple(
        StationConfig(address, mac_octets(station.mac), ports.get(station.node))
        for station in plan.addresses.stations()
        for address in station.addresses
        if address != own
    )
    return TunnelConfig(own, tunnel_port, stations)


def instance(plan: DyncastPlan, item: PlannedInstance, number: int, out_dir: Path) -> InstanceConfig:
    """Return the configuration of a service instance; `number` gives it a random stream of its own."""
    service = plan.scenario.services[item.service]
    return InstanceConfig(
        name=item.name,
        out_dir=out_dir,
        service=item.service,
        site=item.site,
        seed=plan.scenario.seed * 10_007 + number,
        http_port=service.service_port if service.kind == "http" else None,
        rtp_port=service.service_port if service.kind == "rtp" else None,
        rtp_pairs=2 if _has_calls(plan, item.service) else 1,
        admin_port=ADMIN_PORT,
        workers=item.keys.workers,
        queue_limit=item.keys.queue_limit,
        speed=item.keys.speed,
        service_time=distribution(item.keys.service_time),
        packet_time=distribution(item.keys.packet_time),
        mode=item.keys.mode,
        cpu_limit=item.keys.cpu_limit,
        sample_interval_s=SAMPLE_INTERVAL_S,
        true_state=_true_state(plan, item, out_dir),
    )


def distribution(keys: DistributionKeys) -> service_time_config.DistributionConfig:
    """Return a distribution of a scenario as processes have it."""
    return service_time_config.read(keys.model_dump(exclude_none=True))


def _has_calls(plan: DyncastPlan, service: str) -> bool:
    return any(item.service == service and item.media == "call" for item in plan.scenario.flow_workloads)


def _true_state(plan: DyncastPlan, item: PlannedInstance, out_dir: Path) -> TrueStateConfig | None:
    if item.service not in plan.scenario.omniscient_services:
        return None
    return TrueStateConfig(path_of(_true_states(out_dir), item.d_bid), len(plan.sites))


def _true_states(out_dir: Path) -> Path:
    return out_dir / "true_states"


def metric_agent(
    plan: DyncastPlan, site: str, out_dir: Path, keys_folder: Path | None = None
) -> MetricAgentConfig | None:
    """Return the configuration of a site's D-MA; None for a site that has nothing to report."""
    metrics, keys = plan.scenario.metrics, plan.scenario.control
    here = [_polled(plan, item) for item in plan.instances if item.site == site]
    here += [_polled_while_served(plan, item) for item in plan.offered if item.site == site]
    if not here:
        return None
    own = _in_band(plan, site)
    controller = _in_band(plan, keys.controller) if keys.controller else None
    is_hybrid = keys.mode == "hybrid"
    return MetricAgentConfig(
        name=f"dma@{site}",
        out_dir=out_dir,
        site=site,
        seed=plan.scenario.seed,
        d_router=own if controller is None or is_hybrid else controller,
        controller=controller if is_hybrid else None,
        slow_reporting=keys.slow_reporting(metrics.lifetime_s) if is_hybrid else None,
        interval_s=metrics.interval_s,
        poll_interval_s=metrics.poll_interval_s or metrics.interval_s,
        reporting=metrics.telling.reporting(metrics.refresh_s),
        instances=tuple(here),
        keys_file=_keys_file(keys_folder, f"dma@{site}"),
    )


def _in_band(plan: DyncastPlan, site: str) -> Destination:
    return plan.addresses.site(site).gateway4.ip, IN_BAND_PORT


def _polled(plan: DyncastPlan, item: PlannedInstance) -> PolledInstance:
    return PolledInstance(
        d_sid=plan.scenario.services[item.service].d_sid,
        d_bid=ip_address(item.d_bid),
        metrics_url=HttpUrl(str(plan.addresses.host(item.host).ipv4.ip), ADMIN_PORT, "/metrics"),
        normalisation=plan.scenario.normalisation_of(item.service).normalisation(),
        service=offer(plan.scenario, item.service) if plan.scenario.services_known == "learnt" else None,
    )


def _polled_while_served(plan: DyncastPlan, item: PlannedOffer) -> PolledInstance:
    return PolledInstance(
        d_sid=plan.scenario.services[item.service].d_sid,
        d_bid=ip_address(item.d_bid),
        metrics_url=HttpUrl(str(plan.addresses.host(item.host).ipv4.ip), item.metrics_port, item.metrics_path),
        normalisation=plan.scenario.normalisation_of(item.service).normalisation(),
        service=offer(plan.scenario, item.service) if plan.scenario.services_known == "learnt" else None,
        reported="while_served",
    )


def _prefixes(plan: DyncastPlan, site: str) -> tuple[Network, ...]:
    of_site = plan.addresses.site(site)
    return of_site.prefix4, of_site.prefix6


def _keys_file(keys_folder: Path | None, process: str) -> Path | None:
    return None if keys_folder is None else keys_folder / file_name(process)


def name_server(plan: DyncastPlan, out_dir: Path, keys_folder: Path | None = None) -> NameServerConfig | None:
    """Return the configuration of the name server; None if the network has none."""
    server, scenario = plan.name_server, plan.scenario
    if server is None:
        return None
    return NameServerConfig(
        name=server.name,
        out_dir=out_dir,
        seed=scenario.seed,
        addresses=_name_server_addresses(plan),
        port=DNS_PORT,
        zone=server.zone,
        ttl_s=server.ttl_s,
        services=tuple(
            NamedService(name, service.d_sid, "d_bid" if name in server.steered else "d_sid")
            for name, service in scenario.services.items()
        ),
        steering=_name_steering(plan) if server.steered else None,
        keys_file=_keys_file(keys_folder, server.name) if server.steered else None,
    )


def _name_server_addresses(plan: DyncastPlan) -> tuple[Address, ...]:
    return tuple(map(ip_address, plan.name_server.addresses)) if plan.name_server else ()


def _name_steering(plan: DyncastPlan) -> SteeringConfig:
    return SteeringConfig(
        chosen_by=dns_steering.parameters(**plan.scenario.policy_parameters.get(DNS_TTL, {})),
        in_band_port=IN_BAND_PORT,
        metric_lifetime_s=plan.scenario.metrics.lifetime_s,
        report_rate=_report_rate(plan),
        sites=tuple(
            ClientSite(
                site,
                _prefixes(plan, site),
                {peer: plan.path_cost_ms(site, peer) for peer in plan.sites if peer != site},
            )
            for site in plan.sites
        ),
    )


def _report_rate(plan: DyncastPlan) -> Rate:
    limit = plan.scenario.metrics.rate_limit
    return Rate(limit.reports_per_s, limit.burst)


def generator(
    plan: DyncastPlan, client: PlannedClient, workloads: Sequence[WorkloadConfig], start_s: float, out_dir: Path
) -> GeneratorConfig:
    """Return the configuration of a client's generator. `start_s` is on CLOCK_MONOTONIC."""
    host = plan.addresses.host(client.name)
    return GeneratorConfig(
        name=client.name,
        out_dir=out_dir,
        client=client.name,
        site=client.site,
        source={4: host.ipv4.ip, 6: host.ipv6.ip},
        start_s=start_s,
        workloads=tuple(workloads),
        name_server=NameServer(_name_server_addresses(plan)[0]) if plan.name_server else None,
    )


def offer(scenario: DyncastScenario, service: str) -> ServiceOffer:
    """Return what a D-MA reports of a service, as its configuration has it."""
    affinity = scenario.services[service].affinity
    return ServiceOffer(service, affinity.fields, affinity.port_block, affinity.timeout_s)
