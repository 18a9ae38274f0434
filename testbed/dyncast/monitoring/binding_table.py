"""D-SID ↔ D-BID bindings with the metrics that came with them, as one D-Router knows them.

Soft state: a binding whose metrics were not refreshed for `lifetime_s` is no candidate any more.
Section 4.1 of the Dyncast architecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from testbed.dyncast.messages.reports import BindingReport, Report
from testbed.dyncast.metrics.levels import RawMetrics, Scores, State
from testbed.net.addresses import Address
from testbed.net.sequence_tracker import SequenceTracker


@dataclass
class Binding:
    """One instance of a service. `measured_s` is when its site measured, `received_s` when its report arrived."""

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


MOST_OF_A_SITE = 4096  # bindings; a sender of reports in the name of a site could fill the memory with them


class BindingTable:
    """All bindings, by D-SID. Reports that are older than what is known are refused."""

    def __init__(self, lifetime_s: float) -> None:
        self.lifetime_s = lifetime_s
        self._by_d_sid: dict[Address, dict[Address, Binding]] = {}
        self._of_site: Counter[str] = Counter()
        self._reports = SequenceTracker(lifetime_s)

    def apply(self, report: Report, now_s: float, epoch: int = 0) -> bool:
        """Take in a report; return False, and change nothing, if it is a replay or out of order."""
        if not self._reports.admit(report.site, epoch, report.sequence, now_s):
            return False
        for item in report.bindings:
            self.put(
                Binding(item.d_sid, item.d_bid, report.site, item.state, item.raw, item.scores, report.sent_s, now_s)
            )
        return True

    def kept_of(self, report: Report, is_service: Callable[[Address], bool], counters: Counter[str]) -> Report:
        """Return a report without bindings of what is no service, and of more instances than a site may have."""
        is_full = self._of_site[report.site] >= MOST_OF_A_SITE
        kept: list[BindingReport] = []
        service: Address | None = None  # that of the binding before: looked up once, for most bindings are of the same
        for item in report.bindings:
            if item.d_sid is not service:
                service = item.d_sid if is_service(item.d_sid) else None
            if service is not None and not (is_full and self.get(item.d_sid, item.d_bid) is None):
                kept.append(item)
        if len(kept) == len(report.bindings):
            return report
        counters["bindings_not_kept"] += len(report.bindings) - len(kept)
        return replace(report, bindings=tuple(kept))

    def put(self, binding: Binding) -> None:
        """Take in one binding, in place of what was known of it."""
        of_d_sid = self._by_d_sid.setdefault(binding.d_sid, {})
        known = of_d_sid.get(binding.d_bid)
        if known is None or known.site != binding.site:
            self._of_site[binding.site] += 1
            if known is not None:
                self._of_site[known.site] -= 1
        of_d_sid[binding.d_bid] = binding

    def has_room_for(self, site: str, d_sid: Address, d_bid: Address) -> bool:
        """Return whether a binding at a site may be taken in: one that is known, or one of not too many."""
        return self._of_site[site] < MOST_OF_A_SITE or d_bid in self._by_d_sid.get(d_sid, {})

    def of(self, d_sid: Address) -> list[Binding]:
        """Return every binding of a service ever reported, usable or not."""
        return list(self._by_d_sid.get(d_sid, {}).values())

    def usable(self, d_sid: Address, now_s: float) -> list[Binding]:
        """Return the bindings of a service that may take a new flow now."""
        return [binding for binding in self._by_d_sid.get(d_sid, {}).values() if self.is_usable(binding, now_s)]

    def is_usable(self, binding: Binding, now_s: float) -> bool:
        """Return whether an instance may take a new flow now."""
        return binding.state is State.UP and now_s - binding.received_s <= self.lifetime_s

    def get(self, d_sid: Address, d_bid: Address) -> Binding | None:
        """Return what is known of one binding."""
        return self._by_d_sid.get(d_sid, {}).get(d_bid)

    def last_received_s(self, site: str) -> float | None:
        """Return when a site's last report came; None if none ever did."""
        return self._reports.last_received_s(site)

    def all(self) -> list[Binding]:
        """Return every binding ever reported, usable or not."""
        return [binding for bindings in self._by_d_sid.values() for binding in bindings.values()]
