"""The measures by which runs are compared: which there are, of each service of one run.

Owns their names and units, and what counts as not served; `summary` and `decisions.evaluation` own how figures are
worked out. Knows one run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from testbed.analysis.decisions.evaluation import judge
from testbed.analysis.decisions.steering_costs import D_ROUTER, DISPATCHER
from testbed.analysis.flows.consistency import classified
from testbed.analysis.measures.summary import rtp_of, services_of
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.run_data.signalling import signalling

_RTCP = "rtcp"  # reports about streams, which are counted themselves


@dataclass(frozen=True)
class Measure:
    """A figure of one service in one run; `key` is its name in files and frames."""

    key: str
    title: str
    unit: str


# Completion is that of requests with outcome ok, so that those of no use stand beside it as shares of what was offered.
# RTP is what came back of what was sent (echo), its delay the round trip. Regret is that of each decision by
# the instances' true state. Dispersion is 1 for flows spread at random, more for herds. Signalling and
# bindings are those of the whole run, all services together.
MEASURES = (
    Measure("completion_mean_ms", "completion, mean", "ms"),
    Measure("completion_p50_ms", "completion, p50", "ms"),
    Measure("completion_p95_ms", "completion, p95", "ms"),
    Measure("completion_p99_ms", "completion, p99", "ms"),
    Measure("refused_percent", "refused", "%"),
    Measure("failed_percent", "timed out or failed", "%"),
    Measure("unserved_percent", "refused, timed out or failed", "%"),
    Measure("rtp_loss_percent", "RTP loss", "%"),
    Measure("rtp_jitter_mean_ms", "RTP jitter, mean", "ms"),
    Measure("rtp_jitter_p95_ms", "RTP jitter, p95", "ms"),
    Measure("rtp_delay_mean_ms", "RTP round trip, mean", "ms"),
    Measure("rtp_delay_p95_ms", "RTP round trip, p95", "ms"),
    Measure("regret_mean_ms", "regret of decisions, mean", "ms"),
    Measure("best_percent", "decisions within 1 ms of the best", "%"),
    Measure("dispersion", "dispersion of flows per instance and second", "variance / mean"),
    Measure("signalling_bytes_per_s", "signalling, whole run", "bytes/s"),
    Measure("d_router_bindings", "most bindings that a D-Router held", "bindings"),
    Measure("dispatcher_bindings", "most bindings that a Dispatcher held", "bindings"),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
_OF_REQUESTS = [measure.key for measure in MEASURES if measure.key.startswith("completion_")]
_OF_STREAMS = {measure.key: measure.key.removeprefix("rtp_") for measure in MEASURES if measure.key.startswith("rtp_")}
_OF_DECISIONS = ("regret_mean_ms", "best_percent")


def of_services(run: RunData) -> pd.DataFrame:
    """Return one row per service, by name: flows `offered`, and each of MEASURES, NaN where a service has none.

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
    judged = judge(run)
    regret, steadiness = judged.regret.set_index("service"), judged.steadiness.set_index("service")
    failed = counts["timeout"] + counts["failed"]
    columns = {
        **{key: requests[key] for key in _OF_REQUESTS},
        "refused_percent": 100 * counts["refused"] / counts["offered"],
        "failed_percent": 100 * failed / counts["offered"],
        "unserved_percent": 100 * (counts["refused"] + failed) / counts["offered"],
        **{key: echo[column] for key, column in _OF_STREAMS.items()},
        **{key: regret[key] for key in _OF_DECISIONS},
        "dispersion": steadiness["dispersion"],
    }
    table = pd.DataFrame({key: column.reindex(counts.index).astype("float64") for key, column in columns.items()})
    table["signalling_bytes_per_s"] = float(signalling(run)["bytes_per_s"].sum())
    most_held = judged.held.groupby("kept_by")["bindings"].max()
    table["d_router_bindings"] = float(most_held.get(D_ROUTER, 0))
    table["dispatcher_bindings"] = float(most_held.get(DISPATCHER, np.nan))
    table.insert(0, "offered", counts["offered"])
    return table[["offered", *BY_KEY]].rename_axis(index="service")
