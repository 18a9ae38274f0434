"""Function delivery's share of the page and of the terminal: response times and their parts."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.analysis.alto import figures, response_picture, time_picture
from testbed.analysis.alto.figures import ASKED_AND_STEERED, PARTS, STEERED
from testbed.analysis.html_report.blocks.page import Block, Figures, Tile
from testbed.analysis.html_report.blocks.tabulate import table
from testbed.analysis.html_report.run.report import RunReport
from testbed.analysis.measures.columns import THREE_DIGITS, Columns, TitledFrame, without
from testbed.analysis.measures.summary import Summary
from testbed.analysis.system import ReportSection

_COLUMNS: Columns = {
    "function": ("function", ""),
    "cluster": ("cluster", ""),
    "start": ("start", ""),
    "invocations": ("invocations", ",d"),
    "response_p50_ms": ("response, p50 (ms)", ",.1f"),
    "response_p95_ms": ("p95 (ms)", ",.1f"),
    **{part: (f"{title}, mean (ms)", ",.1f") for part, title in PARTS.items()},
}
_WAYS: Columns = {
    "function": ("function", ""),
    "way": ("way", ""),
    "invocations": ("invocations", ",d"),
    "redirect_ms": ("redirect, mean (ms)", ",.1f"),
    "path_ms": ("path, mean (ms)", ",.1f"),
    "wait_ms": ("wait, mean (ms)", ",.1f"),
    "response_p50_ms": ("response, p50 (ms)", ",.1f"),
    "response_p95_ms": ("p95 (ms)", ",.1f"),
}
_DELIVERIES: Columns = {
    "function": ("function", ""),
    "cluster": ("to", ""),
    "at_s": ("asked for at (s)", ",.1f"),
    "bytes": ("consists of (bytes)", ",d"),
    "bytes_held": ("held before", ",d"),
    "bytes_fetched": ("fetched", ",d"),
    "resumed": ("resumed", ",d"),
    "took_ms": ("took (ms)", ",.1f"),
    "mbps": ("rate (Mbit/s)", THREE_DIGITS),
    "outcome": ("outcome", ""),
}
_PLACEMENTS: Columns = {
    "function": ("function", ""),
    "site": ("users at", ""),
    "cluster": ("sent to", ""),
    "users": ("times", ",d"),
    "waited_ms_mean": ("waited (ms)", ",.1f"),
    "age_s_mean": ("knowledge's age (s)", ",.2f"),
    "delivery_ms_mean": ("predicted: delivery (ms)", ",.1f"),
    "start_ms_mean": ("start", ",.1f"),
    "path_ms_mean": ("path", ",.1f"),
    "wait_ms_mean": ("wait", ",.1f"),
    "run_ms_mean": ("run", ",.1f"),
}
_MESSAGES: Columns = {
    "node": ("node", ""),
    "kind": ("kind", ""),
    "messages": ("messages", ",d"),
    "bytes": ("bytes", ",.0f"),
    "age_mean_s": ("age of what was known, mean (s)", ",.3f"),
}
_DELIVERED = "Times below 0 are before the workloads began. What a cluster held is not fetched."
_NOTE = (
    "From when an invocation was due until its whole answer was there. Parts at the cluster are as it says, in whole "
    "milliseconds; the path is what is left."
)


def _invocations(report: RunReport) -> Iterator[Block]:
    found = figures.of(report.summary).by_start
    ends = time_picture.ends(report.run)
    if not ends.empty:
        yield Figures([time_picture.sketched(report.book, ends, report.time)])
    if not found.empty:
        yield Figures([response_picture.sketched(report.book, found)])
        yield table("Invocations by what they found", found, _COLUMNS, note=_NOTE, file="activations.csv")


def _ways(report: RunReport) -> Iterator[Block]:
    found = figures.of(report.summary).ways
    if found["way"].isin([STEERED, ASKED_AND_STEERED]).any():
        yield table("How users got to clusters", found, _WAYS, note=_STEERED, file="activations.csv")


def _deliveries(report: RunReport) -> Iterator[Block]:
    found = figures.of(report.summary).deliveries
    if not found.empty:
        yield table("Deliveries of functions", found, _DELIVERIES, note=_DELIVERED, file="deliveries.csv")


def _steps(report: RunReport) -> Iterator[Block]:
    found = figures.of(report.summary)
    if not found.placements.empty:
        note = "Predicted parts are means of what the cluster client expected when it decided."
        yield table("Where users were sent", found.placements, _PLACEMENTS, note=note, file="placements.csv")
    if not found.messages.empty:
        yield table("Messages of ALTO", found.messages, _MESSAGES, file="alto.csv")


_STEERED = (
    "A user who posts to a D-SID is steered by its ingress; one that the cluster client redirects to a cluster has "
    "asked twice. What placement adds stands below: where functions were delivered, and when."
)
SECTIONS = (
    ReportSection(25, "invocations", "Invocations of functions", _invocations),
    ReportSection(25, "steered-invocations", "Invocations by the way to a cluster", _ways),
    ReportSection(26, "deliveries", "Deliveries of functions", _deliveries),
    ReportSection(67, "placement-of-functions", "Placement of functions, and ALTO", _steps),
)


def tiles(summary: Summary) -> Iterator[Tile]:
    """Return how many invocations started cold."""
    found = figures.of(summary).by_start
    if not found.empty:
        cold = int(found.loc[found["start"] == "cold", "invocations"].sum())
        yield Tile(f"{cold:,}", f"cold starts of {int(found['invocations'].sum()):,} invocations")


def printed(summary: Summary) -> Iterator[TitledFrame]:
    """Return response times and their parts."""
    found = figures.of(summary)
    yield TitledFrame("Invocations of functions", found.by_start, without(_COLUMNS, "redirect_ms"))
    if found.ways["way"].isin([STEERED, ASKED_AND_STEERED]).any():
        yield TitledFrame("Invocations by the way to a cluster", found.ways, _WAYS)
    yield TitledFrame("Deliveries of functions", found.deliveries, without(_DELIVERIES, "bytes_held", "resumed"))
