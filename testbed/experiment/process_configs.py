"""What each process of a run is told (docs/processes.md), from the plan.

Pure: returns documents; writes nothing. The keys are the contract between this package and the adapters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.experiment.plan import Plan, PlannedClient, PlannedInstance

IN_BAND_PORT = 7000
ADMIN_PORT = 9100

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
        "report_rate": {
            "per_s": scenario.metrics.rate_limit.reports_per_s,
            "burst": scenario.metrics.rate_limit.burst,
        },
        **_keys_file(keys_folder, f"control@{site}"),
        "policy_parameters": scenario.policy_parameters,
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
            }
            for name, service in scenario.services.items()
        ],
        "switch": {**switch, "prefixes": _prefixes(plan, site)},
        "peers": [
            {
                "site": peer,
                "address": str(plan.addresses.site(peer).gateway4.ip),
                "path_cost_ms": plan.path_cost_ms(site, peer),
                "prefixes": _prefixes(plan, peer),
            }
            for peer in plan.sites
            if peer != site
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
    }


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
        "d_router": [str(plan.addresses.site(site).gateway4.ip), IN_BAND_PORT],
        "interval_s": metrics.interval_s,
        "poll_interval_s": metrics.poll_interval_s or metrics.interval_s,
        "telling": metrics.telling.document(metrics.refresh_s),
        "instances": [
            {
                "d_sid": str(plan.scenario.services[item.service].d_sid),
                "d_bid": item.d_bid,
                "metrics_url": f"http://{plan.addresses.host(item.host).ipv4.ip}:{ADMIN_PORT}/metrics",
                "normalisation": plan.scenario.normalisation_of(item.service).document(),
            }
            for item in here
        ],
        "out_dir": str(out_dir),
        **_keys_file(keys_folder, f"dma@{site}"),
    }


def _prefixes(plan: Plan, site: str) -> list[str]:
    of_site = plan.addresses.site(site)
    return [str(of_site.prefix4), str(of_site.prefix6)]


def _keys_file(keys_folder: Path | None, process: str) -> Document:
    return {} if keys_folder is None else {"keys_file": str(keys_folder / process)}


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
    }
