"""What a D-Router leaves behind: decisions, metrics received, signalling counts, and what else it counted.

Turns the core's records into rows of `testbed.records.tables`. Knows no OpenFlow. The D-Router's own counters (packets
dropped, messages refused, …) stand in the table `control` under the direction `local`, each as a kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from testbed.dyncast.actions import SetWeights
from testbed.dyncast.events import Decided, MetricsReceived, Noticed
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.policies.candidate import Weighed
from testbed.dyncast_io import decision_rows
from testbed.net.addresses import Address
from testbed.records.writer import RecordWriter


class Journal:
    """Write the rows of one D-Router."""

    def __init__(self, writer: RecordWriter, site: str, counters: Mapping[str, int], bindings: BindingTable) -> None:
        self._writer = writer
        self._site = site
        self._counters = counters
        self._bindings = bindings
        self._messages: Counter[tuple[str, str, str]] = Counter()
        self._bytes: Counter[tuple[str, str, str]] = Counter()
        self._last_written: dict[Address, tuple[Weighed, str]] = {}
        self._weighted: dict[Address, set[Address]] = {}  # by D-SID, the instances that have a weight
        self.handlers: dict[type, Callable[[Any], None]] = {
            Decided: self.decided,
            MetricsReceived: self.metrics,
            Noticed: self.noticed,
        }

    def decided(self, decision: Decided) -> None:
        """Record a decision with all that was weighed."""
        candidates = [self._candidate(weighed, is_site=decision.d_bid is None) for weighed in decision.weighed]
        self._writer.write("decisions", decision_rows.decision(decision, self._site, candidates))

    def _candidate(self, weighed: Weighed, *, is_site: bool) -> str:
        """Return what was known of a candidate; between two looks at it that is the same."""
        d_bid = weighed.candidate.d_bid
        last, text = self._last_written.get(d_bid, (None, ""))
        if last != weighed:
            text = decision_rows.candidate(weighed, is_site=is_site)
            self._last_written[d_bid] = (weighed, text)
        return text

    def metrics(self, record: MetricsReceived) -> None:
        """Record a report that arrived, or why it was dropped."""
        self._writer.write("metrics", decision_rows.report(record, self._site, self._bindings))

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

    def set_weights(self, action: SetWeights, service: str, now_s: float) -> None:
        """Record the weights that the switch gets; of the hundreds that may have none, not those that had none."""
        before = self._weighted.get(action.d_sid, set())
        self._weighted[action.d_sid] = set(action.shares)
        for d_bid in sorted({*before, *action.shares}, key=str):
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
        return [dict(zip(("direction", "peer", "kind", "messages", "bytes"), row, strict=True)) for row in self._rows()]

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for key, messages in self._messages.items():
            yield (*key, messages, self._bytes[key])
        for kind, count in self._counters.items():
            yield ("local", "", kind, count, 0)

    def flush(self, now_s: float) -> None:
        """Write the counts as they stand and push everything to the files."""
        self._writer.write_whole("control", ((now_s, self._site, *row) for row in self._rows()))
        self._writer.flush()

    def close(self, now_s: float) -> None:
        """Flush and close."""
        self.flush(now_s)
        self._writer.close()
