"""The core's records of decisions and metric reports as rows of `testbed.records.tables`, whatever process decides or
receives.

Pure; stdlib and core only, for it serves D-Routers and processes inside namespaces alike. Knows no files.
"""

from __future__ import annotations

import json

from testbed.dyncast.events import Decided, MetricsReceived
from testbed.dyncast.metrics.levels import State
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.policies.candidate import Weighed
from testbed.net.flow_key import TCP, UDP

Row = dict[str, object]

_as_json = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder for each row
_PROTOCOLS = {TCP: "tcp", UDP: "udp"}


def decision(made: Decided, node: str, candidates: list[str]) -> Row:
    """Return the row of a decision that a node made; `candidates` has what `candidate` says of those weighed."""
    flow = made.flow
    return {
        "time_s": made.time_s,
        "d_router": node,
        "service": made.service,
        "policy": made.policy,
        "proto": "" if flow.proto is None else _PROTOCOLS.get(flow.proto, flow.proto),
        "src": flow.src,
        "src_port": flow.src_port,
        "d_sid": flow.dst,
        "dst_port": flow.dst_port,
        "d_bid": made.d_bid,
        "egress": made.egress,
        "metrics_age_s": made.metrics_age_s,
        "considered": made.considered,
        "candidates": f"[{','.join(candidates)}]",
    }


def candidate(weighed: Weighed, *, is_site: bool = False) -> str:
    """Return what was known of a candidate, as JSON; of a site there is no D-BID."""
    item = weighed.candidate
    return _as_json(
        {
            "d_bid": None if is_site else str(item.d_bid),
            "site": item.site,
            "weight": weighed.weight,
            "cost": None if weighed.cost is None else float(f"{weighed.cost:.7g}"),
            "age_s": round(item.metrics_age_s, 4),
            "rtt_ms": round(item.rtt_s * 1e3, 3),
            "port_ms": round(item.port_cost_s * 1e3, 3),
            "sessions": item.metrics.sessions if item.metrics else None,
            "expected": round(item.expected_sessions, 3),
            "unseen": item.unreported,
        }
    )


def report(record: MetricsReceived, node: str, bindings: BindingTable) -> Row:
    """Return the row of a report that arrived at a node, or why it was dropped."""
    row: Row = {
        "time_s": record.time_s,
        "node": node,
        "event": record.event,
        "reason": record.reason,
        "source": record.site,
        "sequence": record.sequence,
        "d_sid": record.d_sid,
        "d_bid": record.d_bid,
    }
    binding = bindings.get(record.d_sid, record.d_bid) if record.d_sid and record.d_bid else None
    if binding is not None:
        row["age_s"] = record.time_s - binding.measured_s
        if binding.raw is not None or binding.state is State.DOWN:  # the controller sends shares, not metrics
            row["score"] = binding.score
        row |= binding.scores.category_columns()
        if not record.reason and binding.state is not State.UP:
            row["reason"] = binding.state.name.lower()
        if binding.raw is not None:
            raw = dict(vars(binding.raw))
            row |= {"service_time_ms": raw.pop("service_time_s") * 1e3, **raw}
    return row
