"""The measures by which runs are compared: which there are, of each service of one run.

Owns the names and units of those of every run, and what counts as not served; `summary` owns how figures are worked
out, and systems add measures of their own. Knows one run.
"""

from __future__ import annotations

import pandas as pd

from testbed.analysis.flows.consistency import classified
from testbed.analysis.measures.summary import rtp_of, services_of
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.run_data.signalling import signalling
from testbed.analysis.system import Measure, systems

_RTCP = "rtcp"  # reports about streams, which are counted themselves


# Completion is that of requests with outcome ok, so that those of no use stand beside it as shares of what was offered.
# RTP is what came back of what was sent (echo), its delay the round trip. Signalling is that of the whole run, all
# services together.
_STAGE = (
    Measure("completion_mean_ms", "completion, mean", "ms", is_headline=True),
    Measure("completion_p50_ms", "completion, p50", "ms", is_printed=False),
    Measure("completion_p95_ms", "completion, p95", "ms", is_headline=True),
    Measure("completion_p99_ms", "completion, p99", "ms"),
    Measure("refused_percent", "refused", "%"),
    Measure("failed_percent", "timed out or failed", "%"),
    Measure("unserved_percent", "refused, timed out or failed", "%", is_headline=True, is_printed=False),
    Measure("rtp_loss_percent", "RTP loss", "%", is_headline=True),
    Measure("rtp_jitter_mean_ms", "RTP jitter, mean", "ms", is_headline=True),
    Measure("rtp_jitter_p95_ms", "RTP jitter, p95", "ms"),
    Measure("rtp_delay_mean_ms", "RTP round trip, mean", "ms"),
    Measure("rtp_delay_p95_ms", "RTP round trip, p95", "ms", is_printed=False),
    Measure("signalling_bytes_per_s", "signalling, whole run", "bytes/s"),
)
_OF_REQUESTS = [measure.key for measure in _STAGE if measure.key.startswith("completion_")]
_OF_STREAMS = {measure.key: measure.key.removeprefix("rtp_") for measure in _STAGE if measure.key.startswith("rtp_")}


def measures() -> dict[str, Measure]:
    """Return all measures by key: those of every run, then those of each system."""
    of_systems = [measure for system in systems().values() for measure in system.measures]
    return {measure.key: measure for measure in (*_STAGE, *of_systems)}


def of_services(run: RunData) -> pd.DataFrame:
    """Return one row per service, by name: flows `offered`, and each of `measures`, NaN where a service has none.

    A service whose requests are of several kinds has a row for each, named `service (kind)`.
    """
    flows = services_of(classified(run.counting(run.flows, "due_s"))).astype({"service": object, "kind": object})
    flows = flows[~flows["kind"].str.startswith(_RTCP)]
    is_of_requests = is_request(flows)
    is_mixed = is_of_requests & (is_of_requests.groupby(flows["service"]).transform("sum") > 1)
    named = flows["service"] + " (" + flows["kind"] + ")"
    flows = flows.assign(subject=flows["service"].mask(is_mixed, named))
    counts = flows.groupby("subject", sort=True)[["offered", "refused", "timeout", "failed"]].sum()
    requests = flows[is_of_requests].set_index("subject")
    rtp = rtp_of(run)
    echo = rtp[rtp["direction"] == "echo"].set_index("service")
    failed = counts["timeout"] + counts["failed"]
    columns = {
        **{key: requests[key] for key in _OF_REQUESTS},
        "refused_percent": 100 * counts["refused"] / counts["offered"],
        "failed_percent": 100 * failed / counts["offered"],
        "unserved_percent": 100 * (counts["refused"] + failed) / counts["offered"],
        **{key: echo[column] for key, column in _OF_STREAMS.items()},
    }
    table = pd.DataFrame({key: column.reindex(counts.index).astype("float64") for key, column in columns.items()})
    table["signalling_bytes_per_s"] = float(signalling(run)["bytes_per_s"].sum())
    for system in systems().values():
        if system.measures:
            table = table.join(system.measured(run, table.index).astype("float64"))
    table.insert(0, "offered", counts["offered"])
    return table[["offered", *measures()]].rename_axis(index="service")
