"""Runs of function delivery side by side: parts of response times by the site of users, and where functions went.

Owns the split of what comes before a cluster is asked into the wait for a delivery and the redirection. Computes from
the files of each run alone; draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from testbed.analysis.alto import figures
from testbed.analysis.measures.columns import Columns, TitledFrame
from testbed.analysis.measures.comparison import labels
from testbed.analysis.run_data.loading import RunData
from testbed.faas.activations.outcome import Status

# Parts of a response time in their order, and what people call them; `begin_ms` is start and initialisation.
PARTS = {
    "delivery_ms": "delivery",
    "redirect_ms": "redirect",
    "path_ms": "path",
    "wait_ms": "wait for a container",
    "begin_ms": "container's start",
    "run_ms": "run",
}
NOWHERE = "none"  # in place of a cluster, where none answered as it should
_RESPONSES: Columns = {
    "policy": ("policy", ""),
    "site": ("users at", ""),
    "invocations": ("invocations", ",d"),
    "answered_percent": ("answered (%)", ",.1f"),
    "response_mean_ms": ("response, mean (ms)", ",.0f"),
    "response_p95_ms": ("p95 (ms)", ",.0f"),
    **{part: (f"{title} (ms)", ",.0f") for part, title in PARTS.items()},
}
_PLACES: Columns = {
    "policy": ("policy", ""),
    "cluster": ("cluster", ""),
    "delivered_s": ("delivered at (s)", ",.1f"),
    "took_ms": ("took (ms)", ",.0f"),
    "site": ("answered users at", ""),
    "invocations": ("invocations", ",d"),
    "share_percent": ("of theirs (%)", ",.1f"),
}


def invocations(run: RunData) -> pd.DataFrame:
    """Return the invocations that count, with all parts, the `site` of users, and `cluster` (NOWHERE if unanswered)."""
    rows = run.activations.assign(
        **{key: run.activations[key].astype(object) for key in ("function", "cluster", "start")},
        site=run.activations["ingress"].astype(object),
        delivery_ms=_waits(run),
        begin_ms=run.activations["start_ms"] + run.activations["init_ms"],
    )
    rows = rows.assign(redirect_ms=rows["redirect_ms"].fillna(0.0) - rows["delivery_ms"])
    succeeded = rows["status"].astype(object) == Status.SUCCESS.text
    answered = succeeded & rows["start"].notna() & rows["run_ms"].notna() & rows["path_ms"].notna()
    rows = rows.assign(cluster=rows["cluster"].where(answered, NOWHERE), is_answered=answered)
    return run.counting(rows, "due_s")


def _waits(run: RunData) -> pd.Series:
    """Return how long each invocation waited for a delivery: users are sent on in the order of their decisions."""
    decided = run.placements[run.placements["outcome"] == "redirected"].sort_values("time_s")
    decided = decided.assign(site=decided["site"].astype(object), function=decided["function"].astype(object))
    sent = run.activations.dropna(subset="redirect_ms")
    sent = sent.assign(site=sent["ingress"].astype(object), function=sent["function"].astype(object))
    sent = sent.assign(sent_s=sent["due_s"] + sent["redirect_ms"] / 1e3).sort_values("sent_s")
    keys = ["function", "site"]
    waited = decided.assign(turn=decided.groupby(keys).cumcount())[[*keys, "turn", "waited_ms"]]
    turns = sent.assign(turn=sent.groupby(keys).cumcount())[[*keys, "turn", "redirect_ms"]]
    found = turns.merge(waited, how="left", on=[*keys, "turn"]).set_index(turns.index)
    return found[["waited_ms", "redirect_ms"]].min(axis=1).reindex(run.activations.index).fillna(0.0)


def responses(run: RunData) -> pd.DataFrame:
    """Return a row per site of users: what was offered and answered, response times, and the means of their parts."""
    rows = invocations(run)
    offered = rows.groupby("site").size()
    groups = rows[rows["is_answered"]].groupby("site")
    table = groups[list(PARTS)].mean().reindex(offered.index)
    table.insert(0, "invocations", offered)
    table.insert(1, "answered_percent", 100 * groups.size().reindex(offered.index).fillna(0) / offered)
    table.insert(2, "response_mean_ms", groups["response_ms"].mean())
    table.insert(3, "response_p95_ms", groups["response_ms"].quantile(0.95))
    return table.reset_index()


def places(run: RunData) -> pd.DataFrame:
    """Return a row per cluster and site of users that it answered, and one if it got a function and no user."""
    rows = invocations(run)
    offered = rows.groupby("site").size()
    table = rows.groupby(["cluster", "site"]).size().rename("invocations").reset_index()
    table["share_percent"] = 100 * table["invocations"] / table["site"].map(offered)
    done = figures.deliveries(run)
    done = done[done["outcome"] == "done"].assign(cluster=done["cluster"].astype(object))
    first = (
        done.assign(delivered_s=done["ended_s"] - run.start_s).groupby("cluster")[["delivered_s", "took_ms"]].first()
    )
    return table.merge(first.reset_index(), how="outer", on="cluster").sort_values(["cluster", "site"])


def tables(runs: Sequence[RunData]) -> Iterator[TitledFrame]:
    """Yield both for the terminal, the runs one below the other."""
    yield TitledFrame(
        "Response times and their parts, means of what was answered", _together(runs, responses), _RESPONSES
    )
    yield TitledFrame("Where functions went", _together(runs, places), _PLACES)


def _together(runs: Sequence[RunData], of: Callable[[RunData], pd.DataFrame]) -> pd.DataFrame:
    names = labels(runs)
    return pd.concat([of(run).assign(policy=name) for name, run in zip(names, runs, strict=True)], ignore_index=True)
