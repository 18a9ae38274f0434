"""What a D-Router leaves behind: decisions, metrics received, signalling counts, and what else it counted.

Turns the core's records into rows of `testbed.records`. Knows no OpenFlow. The D-Router's own counters (packets
dropped, messages refused, …) stand in the table `control` under the direction `local`, each as a kind.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from testbed.dyncast.actions import Decided, MetricsReceived, Noticed, SpreadFlows
from testbed.dyncast.bindings import BindingTable
from testbed.dyncast.codec import Address
from testbed.dyncast.flows import TCP, UDP
from testbed.dyncast.metrics import State
from testbed.dyncast.selection import Weighed
from testbed.records import RecordWriter

_PROTOCOLS = {TCP: "tcp", UDP: "udp"}


class Journal:
    """Write the rows of one D-Router."""

    def __init__(self, writer: RecordWriter, site: str, counters: Mapping[str, int]) -> None:
        self._writer = writer
        self._site = site
        self._counters = counters
        self._messages: Counter[tuple[str, str, str]] = Counter()
        self._bytes: Counter[tuple[str, str, str]] = Counter()
        self._last_told: dict[Address, tuple[Weighed, str]] = {}

    def decided(self, decision: Decided) -> None:
        """Record a decision with all that was weighed."""
        flow = decision.flow
        self._writer.write(
            "decisions",
            {
                "time_s": decision.time_s,
                "d_router": self._site,
                "service": decision.service,
                "policy": decision.policy,
                "proto": "" if flow.proto is None else _PROTOCOLS.get(flow.proto, flow.proto),
                "src": flow.src,
                "src_port": flow.src_port,
                "d_sid": flow.dst,
                "dst_port": flow.dst_port,
                "d_bid": decision.d_bid,
                "egress": decision.egress,
                "metrics_age_s": decision.metrics_age_s,
                "considered": decision.considered,
                "candidates": f"[{','.join(self._told(weighed) for weighed in decision.weighed)}]",
            },
        )

    def _told(self, weighed: Weighed) -> str:
        """Return what was known of a candidate, as JSON; between two looks at it that is the same."""
        item = weighed.candidate
        last, text = self._last_told.get(item.d_bid, (None, ""))
        if last != weighed:
            text = json.dumps(
                {
                    "d_bid": str(item.d_bid),
                    "site": item.site,
                    "weight": weighed.weight,
                    "cost": None if weighed.cost is None else round(weighed.cost, 3),
                    "age_s": round(item.metrics_age_s, 4),
                    "rtt_ms": round(item.rtt_s * 1e3, 3),
                    "sessions": item.metrics.sessions if item.metrics else None,
                    "expected": round(item.expected_sessions, 3),
                    "unseen": item.unseen,
                },
                separators=(",", ":"),
            )
            self._last_told[item.d_bid] = (weighed, text)
        return text

    def metrics(self, record: MetricsReceived, bindings: BindingTable) -> None:
        """Record a report that arrived, or why it was dropped."""
        row: dict[str, object] = {
            "time_s": record.time_s,
            "node": self._site,
            "event": record.event,
            "reason": record.reason,
            "source": record.site,
            "sequence": record.sequence,
            "d_sid": record.d_sid,
            "d_bid": record.d_bid,
        }
        if record.d_sid is not None and record.d_bid is not None:
            binding = bindings.get(record.d_sid, record.d_bid)
            if binding is not None:
                row |= {"score": binding.score, "age_s": record.time_s - binding.measured_s}
                row |= binding.scores.category_columns()
                if not record.reason and binding.state is not State.UP:
                    row["reason"] = binding.state.name.lower()
                if binding.raw is not None:
                    raw = dict(vars(binding.raw))
                    row |= {"service_time_ms": raw.pop("service_time_s") * 1e3, **raw}
        self._writer.write("metrics", row)

    def noticed(self, record: Noticed) -> None:
        """Record a path that was lost or is back, or a binding that expired."""
        self._writer.write(
            "metrics",
            {
                "time_s": record.time_s,
                "node": self._site,
                "event": record.event,
                "source": record.site,
                "d_sid": record.d_sid,
                "d_bid": record.d_bid,
            },
        )

    def spread(self, action: SpreadFlows, service: str, now_s: float) -> None:
        """Record the weights that the switch is told."""
        for d_bid in sorted(action.members, key=str):
            self._writer.write(
                "weights",
                {
                    "time_s": now_s,
                    "d_router": self._site,
                    "service": service,
                    "d_sid": action.d_sid,
                    "d_bid": d_bid,
                    "weight": action.shares.get(d_bid, 0),
                },
            )

    def message(self, direction: str, peer: str, kind: str, size: int) -> None:
        """Count a message in or out."""
        self._messages[direction, peer, kind] += 1
        self._bytes[direction, peer, kind] += size

    def counts(self) -> list[dict[str, object]]:
        """Return the counts as they stand: messages and bytes by direction, peer and kind, then the D-Router's own."""
        rows = [(*key, messages, self._bytes[key]) for key, messages in self._messages.items()]
        rows += [("local", "", kind, count, 0) for kind, count in self._counters.items()]
        return [dict(zip(("direction", "peer", "kind", "messages", "bytes"), row, strict=True)) for row in rows]

    def flush(self, now_s: float) -> None:
        """Write the counts as they stand and push everything to the files."""
        for counted in self.counts():
            self._writer.write("control", {"time_s": now_s, "node": self._site, **counted})
        self._writer.flush()

    def close(self, now_s: float) -> None:
        """Flush and close."""
        self.flush(now_s)
        self._writer.close()
