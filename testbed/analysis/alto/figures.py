"""Figures of invocations in one run: the parts of their response time, by function, cluster and what each found.

Owns which parts there are. Computes from the table `activations` alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from testbed.analysis.measures.summary import Summary
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import Measure

NAME = "alto"

# Columns of `activations` and what people call them, in the order of an invocation.
PARTS = {
    "redirect_ms": "redirect",
    "path_ms": "path",
    "wait_ms": "wait",
    "start_ms": "container's start",
    "init_ms": "initialisation",
    "run_ms": "run",
}
PREDICTED = ("waited_ms", "age_s", "delivery_ms", "start_ms", "path_ms", "wait_ms", "run_ms")  # of `placements`
STEERED, ASKED_AND_STEERED = "steered by its D-SID", "asked, and steered by the D-SID"
REDIRECTED, ASKED = "redirected to a cluster", "asked a cluster"
KEYS = ("function", "cluster", "start")

# Of invocations that some container answered.
MEASURES = (
    Measure("cold_percent", "invocations that started cold", "%", is_headline=True),
    Measure("path_mean_ms", "path there and back, mean", "ms", is_printed=False),
    Measure("wait_mean_ms", "wait at the cluster, mean", "ms"),
    Measure("start_mean_ms", "start and initialisation, mean", "ms"),
    Measure("run_mean_ms", "run of the function, mean", "ms", is_printed=False),
)


def answered(run: RunData) -> pd.DataFrame:
    """Return the invocations that count and that a container answered, each part that did not occur being 0."""
    rows = run.counting(run.activations, "due_s")
    rows = rows.dropna(subset=["start", "run_ms", "path_ms"]).astype(dict.fromkeys(KEYS, object))
    return rows.assign(redirect_ms=rows["redirect_ms"].fillna(0.0))


def by_start(run: RunData) -> pd.DataFrame:
    """Return a row per function, cluster and start: `invocations`, mean parts, `response_p50_ms`, `response_p95_ms`."""
    groups = answered(run).groupby(list(KEYS), sort=True)
    table = groups[list(PARTS)].mean()
    table.insert(0, "invocations", groups.size())
    table["response_p50_ms"] = groups["response_ms"].quantile(0.5)
    table["response_p95_ms"] = groups["response_ms"].quantile(0.95)
    return table.reset_index()


def deliveries(run: RunData) -> pd.DataFrame:
    """Return the deliveries with `at_s` (since the workloads began), `took_ms` and `mbps` of what was fetched."""
    rows = run.deliveries.sort_values("began_s")
    took_s = rows["ended_s"] - rows["began_s"]
    mbps = 8e-6 * rows["bytes_fetched"] / took_s.where(took_s > 0)
    return rows.assign(at_s=rows["began_s"] - run.start_s, took_ms=1e3 * took_s, mbps=mbps).reset_index(drop=True)


def messages(run: RunData) -> pd.DataFrame:
    """Return a row per node and kind of message of ALTO: `messages`, `bytes`, `age_mean_s` of what was known."""
    groups = run.alto.groupby(["node", "kind"], observed=True, sort=True)
    return groups.agg(messages=("time_s", "size"), bytes=("bytes", "sum"), age_mean_s=("age_s", "mean")).reset_index()


def placements(run: RunData) -> pd.DataFrame:
    """Return a row per function, site of users and where they were sent: `users`, mean wait and predicted parts."""
    rows = run.counting(run.placements, "time_s")
    rows = rows.assign(cluster=rows["cluster"].astype(object).fillna(rows["outcome"].astype(object)))
    groups = rows.groupby(["function", "site", "cluster"], observed=True, sort=True)
    means = {f"{part}_mean": (part, "mean") for part in PREDICTED}
    return groups.agg(users=("time_s", "size"), **means).reset_index()


def ways(run: RunData) -> pd.DataFrame:
    """Return a row per function and way to a cluster: `invocations`, mean parts, quantiles of the response time.

    Steered: the function's D-SID was asked, at once or when the cluster client had said so. Redirected: whoever was
    asked first named the cluster.
    """
    flows = run.flows.drop_duplicates("flow_id").set_index("flow_id")
    rows = answered(run)
    dst = flows["dst"].astype(object).reindex(rows["flow_id"]).to_numpy()
    d_sids = rows["function"].map({name: service.d_sid for name, service in run.manifest.services.items()})
    is_steered = (dst == d_sids.to_numpy(dtype=object)) & d_sids.notna().to_numpy()
    is_redirected = (rows["redirects"].fillna(0) > 0).to_numpy()
    cases = [is_steered & ~is_redirected, is_steered, is_redirected]
    names = np.select(cases, [STEERED, ASKED_AND_STEERED, REDIRECTED], ASKED)
    groups = rows.assign(way=names).groupby(["function", "way"], sort=True)
    table = groups[["redirect_ms", "path_ms", "wait_ms"]].mean()
    table.insert(0, "invocations", groups.size())
    for percent in (50, 95):
        table[f"response_p{percent}_ms"] = groups["response_ms"].quantile(percent / 100)
    return table.reset_index()


@dataclass(frozen=True)
class AltoFigures:
    """The figures of one run."""

    by_start: pd.DataFrame
    deliveries: pd.DataFrame
    messages: pd.DataFrame
    placements: pd.DataFrame
    ways: pd.DataFrame


def figures(run: RunData) -> AltoFigures:
    """Work them out."""
    return AltoFigures(by_start(run), deliveries(run), messages(run), placements(run), ways(run))


def of(summary: Summary) -> AltoFigures:
    """Return the figures of a summary."""
    found = summary.of[NAME]
    assert isinstance(found, AltoFigures)
    return found


def measured(run: RunData, subjects: pd.Index) -> pd.DataFrame:
    """Return a column of each of MEASURES, a row per subject; NaN where a subject is no function."""
    rows = answered(run)
    groups = rows.assign(is_cold=rows["start"] == "cold", begun_ms=rows["start_ms"] + rows["init_ms"]).groupby(
        "function"
    )
    means = groups[["is_cold", "path_ms", "wait_ms", "begun_ms", "run_ms"]].mean().reindex(subjects)
    columns = [
        100 * means["is_cold"].astype("float64"),
        *(means[key] for key in ("path_ms", "wait_ms", "begun_ms", "run_ms")),
    ]
    values = np.column_stack([column.to_numpy("float64") for column in columns])
    return pd.DataFrame(values, index=subjects, columns=[measure.key for measure in MEASURES])
