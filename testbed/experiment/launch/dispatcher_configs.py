"""What a CFN Dispatcher's control process is told, and a CFN node of its Dispatchers (docs/processes.md).

Pure: returns documents; the keys are the contract with `ryu_apps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.experiment.launch.process_configs import IN_BAND_PORT, Document
from testbed.experiment.plan.plan import Plan


def of_site(plan: Plan, site: str) -> list[str]:
    """Return the Dispatchers of a CFN node."""
    return [name for name in plan.dispatchers if plan.topology.d_router_of(name) == site]


def told_to_cfn_node(plan: Plan, site: str, ports: Mapping[str, int]) -> list[Document]:
    """Return what a D-Router is told of its Dispatchers; `ports` are those of its switch."""
    return [
        {
            "name": name,
            "address": str(plan.addresses.host(name).ipv4.ip),
            "port": ports[name],
            "tells": plan.scenario.dispatcher.tells,
        }
        for name in of_site(plan, site)
    ]


def control(
    plan: Plan, name: str, out_dir: Path, *, switch: Document, keys_folder: Path | None = None, **of_process: object
) -> Document:
    """Return the configuration of a Dispatcher's control process; `of_process` are its ports, sockets and the like."""
    scenario, cfn_node = plan.scenario, plan.topology.d_router_of(name)
    clients = [client.name for client in plan.clients if plan.topology.dispatcher_of(client.name) == name]
    return {
        **of_process,
        "in_band_port": IN_BAND_PORT,
        "name": f"control@{name}",
        "site": name,
        "seed": scenario.seed,
        "out_dir": str(out_dir),
        "metric_lifetime_s": scenario.metrics.lifetime_s,
        **({} if keys_folder is None else {"keys_file": str(keys_folder / f"control@{name}")}),
        "dispatcher": {
            "cfn_node": cfn_node,
            "address": str(plan.addresses.site(cfn_node).gateway4.ip),
            "tells": scenario.dispatcher.tells,
        },
        "switch": {**switch, "prefixes": [str(own.ip) for client in clients for own in plan.addresses.host(client)]},
        "services": [
            {
                "name": service,
                "d_sids": [str(keys.d_sid)],
                "flow_fields": list(keys.affinity.fields),
                "port_block": keys.affinity.port_block,
                "affinity_timeout_s": keys.affinity.timeout_s,
            }
            for service, keys in scenario.services.items()
            if scenario.policy_of(service) != DNS_TTL
        ],
    }
