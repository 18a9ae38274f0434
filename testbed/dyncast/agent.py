"""The Dyncast Metric Agent (D-MA): what it last saw of its instances, and when it tells.

Pure: an adapter polls the instances and sends the bytes. Section 3 and 4.1 of the Dyncast architecture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from testbed.dyncast.codec import Address, BindingReport, Report, report_of, split
from testbed.dyncast.metrics import RawMetrics, State


@dataclass(frozen=True)
class AgentBinding:
    """A binding the agent speaks for."""

    d_sid: Address
    d_bid: Address


class MetricAgent:
    """Gather metrics of the bindings of one site and report them every `interval_s`."""

    def __init__(self, site: str, bindings: Iterable[AgentBinding], interval_s: float) -> None:
        if interval_s <= 0:
            raise ValueError(f"interval_s must be > 0, not {interval_s}")
        self.site = site
        self.bindings = tuple(bindings)
        self.interval_s = interval_s
        self._latest: dict[AgentBinding, BindingReport] = {}
        self._sequence = 0
        self._next_s: float | None = None

    def observe(self, binding: AgentBinding, raw: RawMetrics | None, draining: bool = False) -> None:
        """Take in what an instance said of itself; None: it did not answer and counts as down."""
        state = State.DOWN if raw is None else State.DRAINING if draining else State.UP
        self._latest[binding] = report_of(binding.d_sid, binding.d_bid, state, raw)

    def is_due(self, now_s: float) -> bool:
        """Tell whether the next report is due; the first one is due at once."""
        return self._next_s is None or now_s >= self._next_s

    def next_due_s(self, now_s: float) -> float:
        """Return when the next report is due."""
        return now_s if self._next_s is None else self._next_s

    def reports(self, now_s: float) -> list[Report]:
        """Return the reports to send now (several if one packet is too small) and schedule the next."""
        start_s = now_s if self._next_s is None else self._next_s
        missed = max(0.0, now_s - start_s) // self.interval_s
        self._next_s = start_s + (missed + 1) * self.interval_s
        seen = tuple(self._latest[binding] for binding in self.bindings if binding in self._latest)
        if not seen:
            return []
        reports = split(Report(self.site, 0, now_s, seen), self._sequence + 1)
        self._sequence += len(reports)
        return reports
