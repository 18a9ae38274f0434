"""Which of the reports that arrive an ALTO server believes, and under which name it counts those that it refuses.

Pure. Owns the order of the checks, cheap and decisive ones first; what a refused report says changes nothing:

1. well-formed (`codec`);
2. of a reporter that the server knows, of its kind, from an address that the reporter may have;
3. not of a time to come, and not older than what the server keeps;
4. not above the rate that each reporter has;
5. later than the reporter's last one; one that began again says so by a greater epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from testbed.alto.reports import codec
from testbed.alto.reports.codec import CodecError
from testbed.alto.reports.messages import NetworkReport, Report
from testbed.errors import TestbedError
from testbed.net.addresses import Address, Network
from testbed.net.sequence_tracker import SequenceTracker
from testbed.net.token_bucket import Rate, TokenBucket

REPORT_RATE = Rate(per_s=1000, burst=1000)  # of each reporter; none that is well needs it
_SKEW_S = 1.0  # what a reporter's clock may be ahead of this one


@dataclass(frozen=True)
class Reporter:
    """Somebody whose reports are believed."""

    kind: Literal["network", "cluster"]
    """What it reports."""
    prefixes: tuple[Network, ...] = ()
    """Where its reports come from; none: anywhere. A cluster is at those of one address."""


class Refused(TestbedError):
    """A report that is not believed: how it is counted, why, and whose it claims to be."""

    def __init__(self, counter: str, reason: str, reporter: str = "") -> None:
        super().__init__(reason)
        self.counter, self.reason, self.reporter = counter, reason, reporter


class Admission:
    """Let in reports of known reporters; `counters` has how many were refused, by reason."""

    def __init__(
        self, reporters: Mapping[str, Reporter], lifetime_s: float, counters: Counter[str], rate: Rate = REPORT_RATE
    ) -> None:
        self._reporters = reporters
        self._lifetime_s = lifetime_s
        self._counters = counters
        self._buckets = {name: TokenBucket(rate) for name in reporters}
        self._sequences = SequenceTracker(lifetime_s)

    def admit(self, data: bytes, source: Address, now_s: float) -> Report:
        """Return the report in a datagram. Raises Refused, which is counted."""
        try:
            return self._admitted(data, source, now_s)
        except Refused as refused:
            self._counters[refused.counter] += 1
            raise

    def _admitted(self, data: bytes, source: Address, now_s: float) -> Report:
        try:
            report = codec.decode(data)
        except CodecError as error:
            raise Refused("reports_malformed", f"malformed: {error}") from error
        name, origin = report.origin.reporter, report.origin
        reporter = self._reporters.get(name)
        if reporter is None:
            raise Refused("reports_unknown", "unknown reporter", name)
        if reporter.prefixes and not any(source in prefix for prefix in reporter.prefixes):
            raise Refused("reports_foreign", f"{source} is no address of {name!r}", name)
        if (reporter.kind == "network") != isinstance(report, NetworkReport):
            raise Refused("reports_unexpected", f"not what {name!r} reports", name)
        age_s = now_s - origin.sent_s
        if age_s < -_SKEW_S:
            raise Refused("reports_postdated", f"postdated: of {-age_s:.1f} s ahead", name)
        if age_s > self._lifetime_s:
            raise Refused("reports_stale", f"stale: {age_s:.1f} s old", name)
        if not self._buckets[name].take(now_s):
            raise Refused("reports_rate_limited", "above the rate limit", name)
        if not self._sequences.admit(name, origin.epoch, origin.sequence, now_s):
            raise Refused("reports_overtaken", "older than the last one", name)
        return report
