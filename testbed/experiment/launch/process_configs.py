"""What each process of a run is told (docs/processes.md), from the plan.

Pure: returns documents; writes nothing. The keys are the contract between this package and the adapters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from testbed.dyncast.control.role import DISTRIBUTED
from testbed.dyncast.nodes import dns_steering
from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast_io.shared_state import path_of
from testbed.experiment.launch.measurement_sockets import Measuring
from testbed.experiment.plan.name_service import DNS_PORT
from testbed.experiment.plan.plan import Plan, PlannedClient, PlannedInstance
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.scenario.service_keys import ADMIN_PORT

IN_BAND_PORT = 7000

Document = dict[str, Any]


def control(
    plan: Plan,
    site: str,
    out_dir: Path,
    *,
    datapath_id: int,
    openflow_port: int,
    uplink_port: int,
    in_band_fd: int,
    switch: Document,
    zones: Mapping[str, int],
    inspection_socket: str | None = None,
    keys_folder: Path | None = None,
    tunnel: Document | None = None,
    dispatchers: Sequence[Document] = (),
    measuring: Measuring | None = None,
) -> Document:
    """Return the configuration of a D-Router's control process; `zones` has those of services in datapath mode."""
    scenario = plan.scenario
    return {
        "name": f"control@{site}",
        "site": site,
        "seed": scenario.seed,
        "out_dir": str(out_dir),
        "datapath_id": datapath_id,
        "openflow_port": openflow_port,
        "uplink_port": uplink_port,
        "in_band_fd": in_band_fd,
        "in_band_port": IN_BAND_PORT,
        "inspection_socket": inspection_socket,
        "metric_lifetime_s": scenario.metrics.lifetime_s,
        "probe_interval_s": scenario.metrics.probe_interval_s,
        "report_rate": _report_rate(plan),
        **_keys_file(keys_folder, f"control@{site}"),
        **({"learnt_policy": scenario.policy} if scenario.services_known == "learnt" else {}),
        "d_sid_ranges": [str(d_sids) for d_sids in scenario.d_sid_ranges],
        "policy_parameters": {
            name: of_policy for name, of_policy in scenario.policy_parameters.items() if name != DNS_TTL
        },
        "services": [
            {
                "name": name,
                "d_sids": [str(service.d_sid)],
                "policy": scenario.policy_of(name),
                "flow_fields": list(service.affinity.fields),
                "port_block": service.affinity.port_block,
                "affinity_timeout_s": service.affinity.timeout_s,
                "affinity_mode": service.affinity.mode,
                **({"ct_zone": zones[name]} if name in zones else {}),
                "steering": service.steering,
                "choice": service.choice,
                **({"local_policy": service.local_policy} if service.local_policy else {}),
            }
            for name, service in scenario.services.items()
            if scenario.policy_of(name) != DNS_TTL and scenario.services_known == "configured"
        ],
        **({"true_state_folder": str(_true_states(out_dir))} if scenario.omniscient_services else {}),
        "tunnel": tunnel,
        "dispatchers": list(dispatchers),
        **_control_mode(plan),
        "switch": {**switch, "prefixes": _prefixes(plan, site)},
        "peers": [
            {
                "site": peer,
                "address": str(plan.addresses.site(peer).gateway4.ip),
                "path_cost_ms": plan.path_cost_ms(site, peer),
                "prefixes": _prefixes(plan, peer),
                **({"port": measuring.towards[peer].name} if measuring else {}),
            }
            for peer in plan.sites
            if peer != site
        ],
        **(measuring.document(plan, site) if measuring else {}),
        "listeners": [plan.name_server.addresses[0]] if plan.name_server and plan.name_server.steered else [],
    }


def tunnel(plan: Plan, site: str, tunnel_port: int | None, ports: Mapping[str, int]) -> Document | None:
    """Return what a control process is told of tunnels, if there are any; `ports` are those of its switch, by host."""
    if tunnel_port is None:
        return None
    own = plan.addresses.site(site).gateway4.ip
    return {
        "address": str(own),
        "port": tunnel_port,
        "stations": [
            {"address": str(address), "mac": station.mac}
            | ({"port": ports[station.node]} if station.node in ports else {})
            for station in plan.addresses.stations()
            for address in station.addresses
            if address != own
        ],
    }


def instance(plan: Plan, item: PlannedInstance, number: int, out_dir: Path) -> Document:
    """Return the configuration of a service instance; `number` gives it a random stream of its own."""
    service = plan.scenario.services[item.service]
    return {
        "name": item.name,
        "service": item.service,
        "site": item.site,
        "seed": plan.scenario.seed * 10_007 + number,
        "http_port": service.service_port if service.kind == "http" else None,
        "rtp_port": service.service_port if service.kind == "rtp" else None,
        **({"rtp_pairs": 2} if _has_calls(plan, item.service) else {}),
        "admin_port": ADMIN_PORT,
        "workers": item.keys.workers,
        "queue_limit": item.keys.queue_limit,
        "speed": item.keys.speed,
        "service_time": item.keys.service_time.model_dump(exclude_none=True),
        "packet_time": item.keys.packet_time.model_dump(exclude_none=True),
        "mode": item.keys.mode,
        "cpu_limit": item.keys.cpu_limit,
        "out_dir": str(out_dir),
        "sample_interval_s": 0.5,
        **_true_state(plan, item, out_dir),
    }


def _has_calls(plan: Plan, service: str) -> bool:
    return any(item.service == service and item.media == "call" for item in plan.scenario.workloads)


def _true_state(plan: Plan, item: PlannedInstance, out_dir: Path) -> Document:
    if item.service not in plan.scenario.omniscient_services:
        return {}
    return {"true_state": {"file": str(path_of(_true_states(out_dir), item.d_bid)), "ingresses": len(plan.sites)}}


def _true_states(out_dir: Path) -> Path:
    return out_dir / "true_states"


def metric_agent(plan: Plan, site: str, out_dir: Path, keys_folder: Path | None = None) -> Document | None:
    """Return the configuration of a site's D-MA; None for a site without instances."""
    metrics = plan.scenario.metrics
    here = [item for item in plan.instances if item.site == site]
    if not here:
        return None
    return {
        "name": f"dma@{site}",
        "site": site,
        "seed": plan.scenario.seed,
        **_told_by_agent(plan, site),
        "interval_s": metrics.interval_s,
        "poll_interval_s": metrics.poll_interval_s or metrics.interval_s,
        "telling": metrics.telling.document(metrics.refresh_s),
        "instances": [
            {
                "d_sid": str(plan.scenario.services[item.service].d_sid),
                "d_bid": item.d_bid,
                "metrics_url": f"http://{plan.addresses.host(item.host).ipv4.ip}:{ADMIN_PORT}/metrics",
                "normalisation": plan.scenario.normalisation_of(item.service).document(),
                **_offer(plan, item),
            }
            for item in here
        ],
        "out_dir": str(out_dir),
        **_keys_file(keys_folder, f"dma@{site}"),
    }


def _control_mode(plan: Plan) -> Document:
    metrics = plan.scenario.metrics
    control = plan.scenario.control.control(metrics.lifetime_s, metrics.refresh_s)
    return {} if control == DISTRIBUTED else {"control": asdict(control)}


def _told_by_agent(plan: Plan, site: str) -> Document:
    """Return whom a D-MA tells; there, who passes reports on knows to whom."""
    keys = plan.scenario.control
    own = [str(plan.addresses.site(site).gateway4.ip), IN_BAND_PORT]
    if keys.controller is None:
        return {"d_router": own}
    controller = [str(plan.addresses.site(keys.controller).gateway4.ip), IN_BAND_PORT]
    if keys.mode == "centralized":
        return {"d_router": controller}
    slow_telling = keys.slow_telling(plan.scenario.metrics.lifetime_s)
    return {"d_router": own, "controller": controller, "slow_telling": slow_telling}


def _prefixes(plan: Plan, site: str) -> list[str]:
    of_site = plan.addresses.site(site)
    return [str(of_site.prefix4), str(of_site.prefix6)]


def _keys_file(keys_folder: Path | None, process: str) -> Document:
    return {} if keys_folder is None else {"keys_file": str(keys_folder / process)}


def name_server(plan: Plan, out_dir: Path, keys_folder: Path | None = None) -> Document | None:
    """Return the configuration of the name server; None if the network has none."""
    server, scenario = plan.name_server, plan.scenario
    if server is None:
        return None
    document = {
        "name": server.name,
        "seed": scenario.seed,
        "out_dir": str(out_dir),
        "addresses": list(server.addresses),
        "port": DNS_PORT,
        "zone": server.zone,
        "ttl_s": server.ttl_s,
        "services": [
            {"name": name, "d_sid": str(service.d_sid), "answer": "d_bid" if name in server.steered else "d_sid"}
            for name, service in scenario.services.items()
        ],
    }
    if not server.steered:
        return document
    chosen_by = dns_steering.parameters(**scenario.policy_parameters.get(DNS_TTL, {}))
    steering = {
        "ttl_s": chosen_by.ttl_s,
        "answers": chosen_by.answers,
        "in_band_port": IN_BAND_PORT,
        "metric_lifetime_s": scenario.metrics.lifetime_s,
        "report_rate": _report_rate(plan),
        "sites": [
            {
                "site": site,
                "prefixes": _prefixes(plan, site),
                "path_costs_ms": {peer: plan.path_cost_ms(site, peer) for peer in plan.sites if peer != site},
            }
            for site in plan.sites
        ],
    }
    return {**document, "steering": steering, **_keys_file(keys_folder, server.name)}


def _offer(plan: Plan, item: PlannedInstance) -> Document:
    if plan.scenario.services_known == "configured":
        return {}
    return {"service": offer(plan.scenario, item.service)}


def _report_rate(plan: Plan) -> Document:
    limit = plan.scenario.metrics.rate_limit
    return {"per_s": limit.reports_per_s, "burst": limit.burst}


def generator(
    plan: Plan, client: PlannedClient, workloads: Sequence[Mapping[str, Any]], start_s: float, out_dir: Path
) -> Document:
    """Return the configuration of a client's generator. `start_s` is on CLOCK_MONOTONIC."""
    host = plan.addresses.host(client.name)
    return {
        "name": client.name,
        "client": client.name,
        "site": client.site,
        "source": {"4": str(host.ipv4.ip), "6": str(host.ipv6.ip)},
        "start_s": start_s,
        "out_dir": str(out_dir),
        "workloads": list(workloads),
        **({"name_server": {"address": plan.name_server.addresses[0]}} if plan.name_server else {}),
    }


def offer(scenario: Scenario, service: str) -> dict[str, Any]:
    """Return what a D-MA tells of a service, as its configuration has it."""
    affinity = scenario.services[service].affinity
    return {
        "name": service,
        "flow_fields": list(affinity.fields),
        "port_block": affinity.port_block,
        "affinity_timeout_s": affinity.timeout_s,
    }
