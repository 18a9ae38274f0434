"""The Dyncast Metric Agent (D-MA): what it last saw of its instances, and the reports that are due.

Pure: an adapter polls the instances and sends the bytes. Which binding is due, `update_triggers` decides. Section 3 and
4.1 of the Dyncast architecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from testbed.dyncast.messages.codec import split
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metric_agent.update_triggers import Reporting, UpdateTrigger
from testbed.dyncast.metrics import normalisation
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.metrics.normalisation import Normalisation
from testbed.net.addresses import Address
from testbed.net.token_bucket import TokenBucket


@dataclass(frozen=True)
class AgentBinding:
    """A binding the agent speaks for, how its metrics are scored, and its service offer, if it reports one."""

    d_sid: Address
    d_bid: Address
    scored_by: Normalisation = field(default=normalisation.DEFAULT, compare=False)
    offer: ServiceOffer | None = field(default=None, compare=False)


class MetricAgent:
    """Gather metrics of the bindings of one site and report them as `update_triggers` says; refreshes count from
    `start_s`.

    `counters` has the bindings reported, by reason, how often changes were suppressed and the budget held reports back.
    """

    def __init__(self, site: str, bindings: Iterable[AgentBinding], reporting: Reporting, start_s: float) -> None:
        self.site = site
        self.bindings = tuple(bindings)
        self.counters: Counter[str] = Counter()
        self._reporting = reporting
        self._triggers = {binding: UpdateTrigger(reporting) for binding in self.bindings}
        self._budget = TokenBucket(reporting.budget) if reporting.budget else None
        self._is_held_back = False
        self._sequence = 0
        self._refreshed_s = start_s
        self._next_refresh_s = start_s

    def observe(
        self, binding: AgentBinding, raw: RawMetrics | None, draining: bool, now_s: float, *, is_absent: bool = False
    ) -> None:
        """Take in what an instance said of itself; None: it did not answer and counts as down.

        `is_absent`: so it does, for it does not serve this: not yet, or no more.
        """
        state = State.DOWN if raw is None else State.DRAINING if draining else State.UP
        trigger = self._triggers[binding]
        seen = report_of(binding.d_sid, binding.d_bid, state, raw, binding.scored_by)
        trigger.observe(replace(seen, offer=binding.offer), now_s, is_absent=is_absent)
        if trigger.is_suppressed(now_s):
            self.counters["observations_suppressed"] += 1

    def next_timer_s(self, now_s: float) -> float:
        """Return when there will be something to report even if nothing is observed until then."""
        if self._budget and self._is_held_back:
            return min(self._next_refresh_s, self._budget.ready_s(now_s))
        return self._next_refresh_s

    def reports(self, now_s: float) -> list[Report]:
        """Return the reports to send now, as few as hold what is due and as the budget allows."""
        if now_s >= self._next_refresh_s:
            missed = (now_s - self._next_refresh_s) // self._reporting.refresh_s
            self._refreshed_s = self._next_refresh_s + missed * self._reporting.refresh_s
            self._next_refresh_s = self._refreshed_s + self._reporting.refresh_s
        reasons = {trigger: trigger.reason(self._refreshed_s, now_s) for trigger in self._triggers.values()}
        due = [trigger for trigger, reason in reasons.items() if reason]
        if self._budget:  # The order matters only if not all may go. By age, lest changes keep refreshes from going.
            due.sort(key=lambda trigger: (reasons[trigger] != "state", trigger.reported_s))
        bindings = tuple(trigger.report(now_s) for trigger in due)
        reports = split(Report(self.site, 0, now_s, bindings), self._sequence + 1) if bindings else []
        allowed = [report for report in reports if self._budget is None or self._budget.take(now_s)]
        self._is_held_back = len(allowed) < len(reports)
        self.counters["reports_held_back"] += len(reports) - len(allowed)
        self._sequence += len(allowed)
        for trigger in due[: sum(len(report.bindings) for report in allowed)]:
            self.counters[f"told_{reasons[trigger]}"] += 1
            trigger.on_reported(now_s)
        return allowed
