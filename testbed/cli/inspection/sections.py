"""What `dyncast inspect` prints: which D-Routers and sections were asked for, and their rows as tables or JSON.

Owns the choice and the look of the tables. What is known is asked for by `testbed.emulation.inspection.client`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from testbed.dyncast.nodes.inspection import SECTIONS
from testbed.emulation.inspection import binding_tables
from testbed.emulation.inspection import client as inspection
from testbed.emulation.inspection.client import InspectionError
from testbed.emulation.switches.bridges import RunningBridge
from testbed.net.flow_key import FIVE_TUPLE

FLOWS_SHOWN = 20
_OVERVIEW = ("services", "bindings", "weights", "neighbours")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """What the command line asks for: D-Routers and sections, all where none is named."""

    d_routers: tuple[str, ...]
    sections: tuple[str, ...]
    run: str | None = None

    @classmethod
    def of(cls, words: Sequence[str], run: str | None = None) -> Asked:
        """Tell sections from D-Routers."""
        sections = tuple(section for section in SECTIONS if section in words)
        return cls(tuple(word for word in words if word not in SECTIONS), sections or _OVERVIEW, run)

    def among(self, up: Sequence[RunningBridge]) -> list[RunningBridge]:
        """Return those D-Routers that are up and asked for. Raises InspectionError for one that is not."""
        runs = sorted({str(bridge.tag) for bridge in up})
        if not runs:
            raise InspectionError("no run is up; start one with `dyncast run`")
        if self.run is not None and self.run not in runs:
            raise InspectionError(f"no run {self.run!r} is up; there are: {', '.join(runs)}")
        of_run = [bridge for bridge in up if self.run in (None, str(bridge.tag))]
        names = sorted({bridge.d_router for bridge in of_run})
        for name in self.d_routers:
            if name not in names:
                raise InspectionError(
                    f"no D-Router {name!r}; there are: {', '.join(names)} (and the sections {', '.join(SECTIONS)})"
                )
        return [bridge for bridge in of_run if not self.d_routers or bridge.d_router in self.d_routers]


def show(asked: Asked, *, as_json: bool, all_flows: bool, out: Console, err: Console) -> int:
    """Print what was asked for; return the exit code: 1 if a D-Router did not answer, whatever others said."""
    most_flows = None if all_flows else FLOWS_SHOWN
    documents, failures = _of_each(asked, lambda bridge: inspection.document(bridge, [*asked.sections], most_flows))
    if as_json:
        sys.stdout.write(json.dumps(documents, indent=2) + "\n")
    elif documents:
        for section in asked.sections:
            out.print(_table(section, documents))
        if any(document.get("more_flows") for document in documents):
            out.print(f"there are more flows than the first {FLOWS_SHOWN} of each D-Router: --all shows them")
    return _told(failures, err)


def reset(asked: Asked, service: str | None, *, as_json: bool, out: Console, err: Console) -> int:
    """End the bindings of the D-Routers asked for, and say how many; return the exit code."""
    if not asked.d_routers:
        names = ", ".join(sorted({bridge.d_router for bridge in asked.among(binding_tables.d_routers())}))
        raise InspectionError(f"--reset-flows wants to know of which D-Routers; there are: {names}")
    ended, failures = _of_each(
        asked,
        lambda bridge: {
            "run": str(bridge.tag), "d_router": bridge.d_router, "bindings_reset": inspection.reset(bridge, service),
        },
    )  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps(ended, indent=2) + "\n")
    else:
        for row in ended:
            out.print(f"{row['d_router']} (run {row['run']}): {row['bindings_reset']} bindings ended")
    return _told(failures, err)


def _of_each(
    asked: Asked, ask: Callable[[RunningBridge], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[InspectionError]]:
    answers, failures = [], []
    for bridge in asked.among(binding_tables.d_routers()):
        try:
            answers.append(ask(bridge))
        except InspectionError as error:
            failures.append(error)
    return answers, failures


def _told(failures: Sequence[InspectionError], err: Console) -> int:
    for failure in failures:
        err.print(f"dyncast: {failure}", markup=False)
    return 1 if failures else 0


# -- tables ------------------------------------------------------------------------------------------


def _table(section: str, documents: Sequence[Row]) -> Table:
    where = ["run"] if len({document["run"] for document in documents}) > 1 else []
    where += ["d_router"] if len({document["d_router"] for document in documents}) > 1 else []
    rows = [({key: document[key] for key in where}, row) for document in documents for row in document[section]]
    named = "" if where else f" of {documents[0]['d_router']}"
    table = Table(title=f"{section}{named} ({len(rows)})", title_justify="left")
    columns = _COLUMNS[section]
    for heading in where:
        table.add_column(heading)
    for heading in columns:
        table.add_column(heading, justify="left" if heading in _LEFT else "right")
    for place, row in rows:
        table.add_row(*place.values(), *(_text(take(row)) for take in columns.values()))
    return table


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _key(name: str) -> Callable[[Row], object]:
    return lambda row: row[name]


def _keys(*names: str) -> dict[str, Callable[[Row], object]]:
    return {name: _key(name) for name in names}


def _metric(name: str, factor: float = 1.0) -> Callable[[Row], object]:
    def take(row: Row) -> object:
        value = (row["metrics"] or {}).get(name)
        return round(value * factor, 3) if isinstance(value, float) else value

    return take


def _flow_fields(row: Row) -> str:
    fields = "5-tuple" if set(row["flow_fields"]) == set(FIVE_TUPLE) else " ".join(row["flow_fields"])
    return fields if row["port_block"] == 1 else f"{fields} by {row['port_block']} ports"


def _flows(row: Row) -> object:
    return row["flows_bound"] if row["flows_bound"] is not None else f"{row['flows_given']} given"


def _workers(row: Row) -> object:
    metrics = row["metrics"]
    return metrics and f"{metrics['busy_workers']}/{metrics['workers']}"


_COLUMNS: dict[str, dict[str, Callable[[Row], object]]] = {
    "services": {
        **_keys("service", "d_sid", "policy"),
        "flow": _flow_fields,
        **_keys("timeout_s", "mode", "bound_by"),
        "usable": lambda row: f"{row['usable']}/{row['instances']}",
        "flows": _flows,
    },
    "bindings": {
        **_keys("service", "d_sid", "d_bid", "egress"),
        "state": lambda row: row["state"] if row["usable"] or row["state"] != "up" else "up, not usable",
        "score": _key("score"),
        "busy": _workers,
        "queue": _metric("queue_length"),
        "sessions": _metric("sessions"),
        "utilisation": _metric("utilisation"),
        "service_ms": _metric("service_time_s", 1e3),
        "age_s": _key("metrics_age_s"),
        "flows": _flows,
    },
    "weights": {
        **_keys("service", "d_sid", "d_bid", "egress"),
        "share": lambda row: f"{row['share']:.1%}",
        **_keys("cost", "rtt_ms", "expected_sessions", "unseen"),
        "age_s": _key("metrics_age_s"),
    },
    "flows": _keys("src", "src_port", "d_sid", "dst_port", "proto", "d_bid", "egress", "age_s", "timeout_s", "held_by"),
    "counters": _keys("direction", "peer", "kind", "messages", "bytes"),
    "neighbours": {
        **_keys("site", "address"),
        "reachable": lambda row: "yes, control silent" if row["control_silent"] else row["reachable"],
        **_keys("path_cost_ms", "rtt_ms", "jitter_ms", "loss_percent", "port", "port_cost_ms"),
        "probes": _key("probes_sent"),
        "answered": _key("probes_answered"),
        **_keys("answered_ago_s", "reported_ago_s"),
    },
    "ports": {
        "port": _key("port"),
        "towards": lambda row: ", ".join(row["towards"]),
        **_keys("rate_mbps", "sent_mbps", "utilisation", "drop_share", "queueing_ms", "sent_packets"),
        "dropped": _key("dropped_packets"),
    },
}
_LEFT = {
    "service", "d_sid", "d_bid", "src", "egress", "site", "address", "policy", "flow", "mode", "bound_by", "state",
    "proto", "held_by", "direction", "peer", "kind", "port", "towards",
}  # fmt: skip
