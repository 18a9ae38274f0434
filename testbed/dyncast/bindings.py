"""D-SID ↔ D-BID bindings with the metrics that came with them, as one D-Router knows them.

Soft state: a binding whose metrics were not refreshed for `lifetime_s` is no candidate any more.
Section 4.1 of the Dyncast architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.dyncast.codec import Address, Report
from testbed.dyncast.metrics import RawMetrics, Scores, State

_SEQUENCE_SPACE = 1 << 32


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
        self._last_told: dict[str, tuple[int, int]] = {}  # epoch and sequence
        self._last_heard_s: dict[str, float] = {}

    def apply(self, report: Report, now_s: float, epoch: int = 0) -> bool:
        """Take in a report; return False, and change nothing, if it is a replay or overtaken.

        An agent that restarts counts from one again; it is believed at once if it says so by a greater epoch, or once
        its site was silent for a lifetime.
        """
        last_epoch, last = self._last_told.get(report.site, (-1, 0))
        silent = now_s - self._last_heard_s.get(report.site, now_s) > self.lifetime_s
        newer = epoch > last_epoch or (epoch == last_epoch and _is_newer(report.sequence, last))
        if not newer and not silent:
            return False
        self._last_told[report.site] = (epoch, report.sequence)
        self._last_heard_s[report.site] = now_s
        for told in report.bindings:
            self._by_d_sid.setdefault(told.d_sid, {})[told.d_bid] = Binding(
                told.d_sid, told.d_bid, report.site, told.state, told.raw, told.scores, report.sent_s, now_s
            )
        return True

    def usable(self, d_sid: Address, now_s: float) -> list[Binding]:
        """Return the bindings of a service that may take a new flow now."""
        return [binding for binding in self._by_d_sid.get(d_sid, {}).values() if self.is_usable(binding, now_s)]

    def is_usable(self, binding: Binding, now_s: float) -> bool:
        """Tell whether an instance may take a new flow now."""
        return binding.state is State.UP and now_s - binding.received_s <= self.lifetime_s

    def get(self, d_sid: Address, d_bid: Address) -> Binding | None:
        """Return what is known of one binding."""
        return self._by_d_sid.get(d_sid, {}).get(d_bid)

    def last_heard_s(self, site: str) -> float | None:
        """Return when a site's last report came; None if none ever did."""
        return self._last_heard_s.get(site)

    def all(self) -> list[Binding]:
        """Return every binding ever heard of, usable or not."""
        return [binding for bindings in self._by_d_sid.values() for binding in bindings.values()]


def _is_newer(sequence: int, last: int) -> bool:
    return 0 < (sequence - last) % _SEQUENCE_SPACE < _SEQUENCE_SPACE // 2
