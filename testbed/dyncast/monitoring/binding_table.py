"""D-SID ↔ D-BID bindings with the metrics that came with them, as one D-Router knows them.

Soft state: a binding whose metrics were not refreshed for `lifetime_s` is no candidate any more.
Section 4.1 of the Dyncast architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import RawMetrics, Scores, State
from testbed.net.addresses import Address
from testbed.net.sequence_tracker import SequenceTracker


@dataclass
class Binding:
    """One instance of a service. `measured_s` is when its site measured, `received_s` when we heard."""

    d_sid: Address
    d_bid: Address
    site: str
    state: State
    raw: RawMetrics | None
    scores: Scores
    measured_s: float
    received_s: float

    @property
    def score(self) -> int:
        """The L2 score."""
        return self.scores.overall


class BindingTable:
    """All bindings, by D-SID. Reports that are older than what is known are refused."""

    def __init__(self, lifetime_s: float) -> None:
        self.lifetime_s = lifetime_s
        self._by_d_sid: dict[Address, dict[Address, Binding]] = {}
        self._reports = SequenceTracker(lifetime_s)

    def apply(self, report: Report, now_s: float, epoch: int = 0) -> bool:
        """Take in a report; return False, and change nothing, if it is a replay or overtaken."""
        if not self._reports.admit(report.site, epoch, report.sequence, now_s):
            return False
        for told in report.bindings:
            self.put(
                Binding(told.d_sid, told.d_bid, report.site, told.state, told.raw, told.scores, report.sent_s, now_s)
            )
        return True

    def put(self, binding: Binding) -> None:
        """Take in one binding, in place of what was known of it."""
        self._by_d_sid.setdefault(binding.d_sid, {})[binding.d_bid] = binding

    def of(self, d_sid: Address) -> list[Binding]:
        """Return every binding of a service ever heard of, usable or not."""
        return list(self._by_d_sid.get(d_sid, {}).values())

    def usable(self, d_sid: Address, now_s: float) -> list[Binding]:
        """Return the bindings of a service that may take a new flow now."""
        return [binding for binding in self._by_d_sid.get(d_sid, {}).values() if self.is_usable(binding, now_s)]

    def is_usable(self, binding: Binding, now_s: float) -> bool:
        """Tell whether an instance may take a new flow now."""
        return binding.state is State.UP and now_s - binding.received_s <= self.lifetime_s

    def get(self, d_sid: Address, d_bid: Address) -> Binding | None:
        """Return what is known of one binding."""
        return self._by_d_sid.get(d_sid, {}).get(d_bid)

    def last_received_s(self, site: str) -> float | None:
        """Return when a site's last report came; None if none ever did."""
        return self._reports.last_received_s(site)

    def all(self) -> list[Binding]:
        """Return every binding ever heard of, usable or not."""
        return [binding for bindings in self._by_d_sid.values() for binding in bindings.values()]
