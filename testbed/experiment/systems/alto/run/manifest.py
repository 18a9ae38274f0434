"""What the manifest of a run says of function delivery: clusters as instances, and what each function is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.agents.cluster.run_records import SERVICE
from testbed.experiment.systems.alto.plan.plan import AltoPlan
from testbed.records.manifest import InstanceEntry


def entries(plan: AltoPlan) -> Mapping[str, Any]:
    """Return the fields of the manifest that are function delivery's."""
    if not plan.clusters:
        return {}
    functions = {
        name: {"kind": keys.kind, "memory_mb": keys.memory_mb, "delivered_to": list(keys.delivered_to)}
        for name, keys in plan.scenario.functions.items()
    }
    return {
        "instances": tuple(
            InstanceEntry(
                name=item.name,
                service=SERVICE,
                site=item.site,
                host=item.name,
                d_bid=str(item.address),
                workers=item.keys.slots,
                queue_limit=item.keys.queue,
                mode="containers",
            )
            for item in plan.clusters
        ),
        "round_trip_ms": {
            site: {item.site: plan.distance_ms(site, item.site) for item in plan.clusters} for site in plan.sites
        },
        "systems": {"alto": {"functions": functions, "repository": plan.repository.site if plan.repository else None}},
    }
