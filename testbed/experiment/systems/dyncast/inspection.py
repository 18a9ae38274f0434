"""What Dyncast shows of itself while a run is up: what D-Routers and Dispatchers know (docs/inspect.md).

Owns which columns people see of a section. What is known is asked for by `testbed.emulation.inspection.client`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from testbed.dyncast.nodes.inspection import SECTIONS
from testbed.emulation.inspection import binding_tables, client
from testbed.experiment.inspection import Columns, Node, Row, SystemInspection
from testbed.net.flow_key import FIVE_TUPLE


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
    return row["flows_bound"] if row["flows_bound"] is not None else f"{row['flows_given']} assigned"


def _workers(row: Row) -> object:
    metrics = row["metrics"]
    return metrics and f"{metrics['busy_workers']}/{metrics['workers']}"


_COLUMNS: dict[str, Columns] = {
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
_WORDS = frozenset({
    "service", "d_sid", "d_bid", "src", "egress", "site", "address", "policy", "flow", "mode", "bound_by", "state",
    "proto", "held_by", "direction", "peer", "kind", "port", "towards",
})  # fmt: skip


class DyncastInspection(SystemInspection):
    """Services, instances, weights, flows, counters, neighbours and ports, as each D-Router knows them."""

    kind = "D-Router"
    key = "d_router"
    sections = {section: _COLUMNS[section] for section in SECTIONS}
    overview = ("services", "bindings", "weights", "neighbours")
    words = _WORDS

    def nodes(self) -> Iterator[Node]:
        """Return the D-Routers and Dispatchers that are up."""
        for bridge in binding_tables.d_routers():
            yield Node(str(bridge.tag), bridge.d_router, bridge)

    def document(self, node: Node, sections: Sequence[str], most_flows: int | None) -> Row:
        """Ask a control process, and for flows that the switch binds the switch."""
        return client.document(node.handle, [*sections], most_flows)

    def reset(self, node: Node, service: str | None) -> int:
        """End bindings; when it returns, no packet goes by an old one any more."""
        return client.reset(node.handle, service)


INSPECTION = DyncastInspection()
