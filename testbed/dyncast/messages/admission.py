"""Which of the messages that arrive a D-Router believes, and under which name it counts those it refuses.

Pure. Owns the order of the checks, cheap and telling ones first; what a refused message says changes nothing:

1. authentic (`testbed.dyncast.messages.authentication`), if the D-Routers of the testbed have keys; well-formed;
2. fresh: not older than the lifetime of metrics. On the shared clock; without a tag a sender may write any time, so
   only authenticated messages are held to it. It bounds what a D-Router that began anew can be made to hear again;
3. a report: of a site whose agent does not exceed its rate, and of instances of that very site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from testbed.dyncast.events import MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator, Refused
from testbed.dyncast.messages.codec import CodecError, Message, UnknownKind
from testbed.dyncast.messages.control_messages import Loads
from testbed.dyncast.messages.reports import Report
from testbed.net.addresses import Address, Network
from testbed.net.token_bucket import Rate, TokenBucket

REPORT_RATE = Rate(per_s=1000, burst=1000)  # no agent that is well needs it


def dropped(refused: Refused, source: Address, counters: Counter[str], now_s: float) -> MetricsReceived:
    """Count a message from `source` that was refused, and return what to note of it."""
    counters[refused.counter] += 1
    return MetricsReceived(now_s, refused.site or str(source), refused.sequence, "dropped", refused.reason)


class Admission:
    """Let in the messages of known sites; `prefixes` has what each may speak for, an empty one: anything."""

    def __init__(
        self,
        prefixes: Mapping[str, Iterable[Network]],
        rate: Rate,
        lifetime_s: float,
        authenticator: Authenticator | None,
    ) -> None:
        self._prefixes = {site: tuple(of_site) for site, of_site in prefixes.items()}
        self._buckets = {site: TokenBucket(rate) for site in prefixes}
        self._lifetime_s = lifetime_s
        self._authenticator = authenticator

    def admit(self, data: bytes, now_s: float) -> tuple[Message, int]:
        """Return a message and the epoch of its sender, 0 if that says none. Raises Refused."""
        epoch = 0
        if self._authenticator is not None:
            verified = self._authenticator.verify(data)
            data, epoch = verified.data, verified.epoch
        try:
            message = codec.decode(data)
        except UnknownKind as error:
            raise Refused("messages_unknown_kind", str(error)) from error
        except CodecError as error:
            raise Refused("messages_malformed", f"malformed: {error}") from error
        age_s = now_s - message.sent_s
        if self._authenticator is not None and age_s > self._lifetime_s:
            raise Refused("messages_stale", f"stale: {age_s:.1f} s old", message)
        if isinstance(message, Report):
            self._check(message, [told.d_bid for told in message.bindings], now_s)
        elif isinstance(message, Loads) and message.by_agent:
            self._check(message, [load.d_bid for load in message.loads], now_s)
        return message, epoch

    def _check(self, report: Report | Loads, d_bids: Iterable[Address], now_s: float) -> None:
        bucket = self._buckets.get(report.site)
        if bucket is None:
            raise Refused("reports_unknown_site", "unknown site", report)
        if not bucket.take(now_s):
            raise Refused("reports_rate_limited", "above the rate limit", report)
        own = self._prefixes[report.site]
        for d_bid in d_bids if own else ():
            if not any(d_bid in prefix for prefix in own):
                raise Refused("reports_foreign_d_bid", f"{d_bid} is not of site {report.site!r}", report)
