"""Instances that do exactly the work that clients ask for: theirs can be worked out, not only measured."""

from __future__ import annotations

import pandas as pd

from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData


def speeds_where_known(run: RunData, flows: pd.DataFrame) -> dict[str, float]:
    """Return the speed of each instance whose workers go by the clock and whose clients all say what work they bring.

    It takes work / speed. Left out are applications of the user's own, and workers that burn real CPU.
    """
    requests = flows[is_request(flows)]
    work_ms = requests["work_ms"].groupby(requests["service"].astype(object))
    stated = work_ms.count() == work_ms.size()
    kinds = {name: service.kind for name, service in run.manifest.services.items()}
    return {
        item.name: item.speed
        for item in run.manifest.instances
        if stated.get(item.service, False) and item.mode == "clock" and kinds.get(item.service or "", "http") == "http"
    }
