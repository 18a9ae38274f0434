"""Who served each flow, known when the parts of all processes are there.

A flow's instance is named by the instance's answer (HTTP) or by the ground truth of the affinity table (RTP).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from testbed.experiment.execution.collect import Row, parts
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan


def completing(plan: DyncastPlan, work: Path) -> Callable[[Row], Row]:
    """Return what fills in the ingress, instance and site of a row of `flows`."""
    served_by = {
        (row["service"], row["proto"], row["src"], row["src_port"]): row["instance"] for row in parts(work, "affinity")
    }
    site_of = {item.name: item.site for item in plan.instances}
    ingress_of = {client.name: client.site for client in plan.clients}

    def complete(row: Row) -> Row:
        row["ingress"] = ingress_of.get(row["client"], "")
        if not row["instance"]:
            row["instance"] = served_by.get((row["service"], row["proto"], row["src"], row["src_port"]), "")
        row["site"] = site_of.get(row["instance"], "")
        return row

    return complete
