"""When D-Routers lost instances: affinity may break from then on."""

from __future__ import annotations

from math import inf

from testbed.analysis.run_data.loading import RunData


def lost_instances(run: RunData) -> dict[str, float]:
    """Return when a D-Router first lost an instance: by a report, by silence, or by the loss of the path to it."""
    metrics = run.metrics
    gone = (metrics["event"] == "expired") | (metrics["event"] == "received") & (metrics["reason"] == "down")
    first_s = metrics[gone].groupby("d_bid", observed=True)["time_s"].min()
    cut_s = metrics[metrics["event"] == "path_lost"].groupby("source", observed=True)["time_s"].min()
    return {item.name: min(first_s.get(item.d_bid, inf), cut_s.get(item.site, inf)) for item in run.manifest.instances}
