"""Which of the messages that arrive a D-Router believes, and under which name it counts those it refuses.

Pure. Owns the order of the checks, cheap and decisive ones first; what a refused message says changes nothing:

1. authentic (`testbed.dyncast.messages.authentication`), if the D-Routers of the testbed have keys; well-formed;
2. not of a time to come, and fresh: not older than the lifetime of metrics. On the shared clock; without a tag a sender
   may write any time that has passed, so only authenticated messages are held to be fresh. It bounds what can be
   replayed to a D-Router that restarted;
3. a report: of a site whose agent does not exceed its rate, and of instances of that very site.

All that is refused is counted; of what comes by the thousand, only the first few in a second are put on record.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from testbed.dyncast.events import MetricsReceived
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator, Refused
from testbed.dyncast.messages.codec import CodecError, Message, UnknownKind
from testbed.dyncast.messages.control_messages import Loads
from testbed.dyncast.messages.reports import Report
from testbed.net.addresses import Address, Network
from testbed.net.token_bucket import Rate, TokenBucket

REPORT_RATE = Rate(per_s=1000, burst=1000)  # no agent that is well needs it
RECORDED_RATE = Rate(per_s=10, burst=20)  # of refused messages
_BINDINGS = 16  # of a report that counts as one; with their metrics, no more fit a packet
_SKEW_S = 1.0  # what a sender's clock may be ahead of this one


class Admission:
    """Let in the messages of known sites; `prefixes` has what each may speak for, an empty one: anything.

    `counters`, its node's, has how many messages were refused, by reason.
    """

    def __init__(
        self,
        prefixes: Mapping[str, Iterable[Network]],
        rate: Rate,
        lifetime_s: float,
        authenticator: Authenticator | None,
        counters: Counter[str],
    ) -> None:
        self._prefixes = {site: tuple(of_site) for site, of_site in prefixes.items()}
        self._buckets = {site: TokenBucket(rate) for site in prefixes}
        self._lifetime_s = lifetime_s
        self._authenticator = authenticator
        self._counters = counters
        self._records = TokenBucket(RECORDED_RATE)

    def refuse(self, refused: Refused, source: Address, now_s: float) -> list[MetricsReceived]:
        """Count a message from `source` that was refused; return what to note of it, if it is one of few."""
        self._counters[refused.counter] += 1
        if not self._records.take(now_s):
            return []
        site = refused.site or str(source)
        return [MetricsReceived(now_s, site, refused.sequence, "dropped", refused.reason)]

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
        if age_s < -_SKEW_S:
            raise Refused("messages_postdated", f"postdated: of {-age_s:.1f} s ahead", message)
        if self._authenticator is not None and age_s > self._lifetime_s:
            raise Refused("messages_stale", f"stale: {age_s:.1f} s old", message)
        if isinstance(message, Report):
            self._check(message, [binding.d_bid for binding in message.bindings], now_s)
        elif isinstance(message, Loads) and message.by_agent:
            self._check(message, [load.d_bid for load in message.loads], now_s)
        return message, epoch

    def _check(self, report: Report | Loads, d_bids: Sequence[Address], now_s: float) -> None:
        bucket = self._buckets.get(report.site)
        if bucket is None:
            raise Refused("reports_unknown_site", "unknown site", report)
        if not bucket.take(now_s, max(1, math.ceil(len(d_bids) / _BINDINGS))):
            raise Refused("reports_rate_limited", "above the rate limit", report)
        own = self._prefixes[report.site]
        for d_bid in d_bids if own else ():
            if not any(d_bid in prefix for prefix in own):
                raise Refused("reports_foreign_d_bid", f"{d_bid} is not of site {report.site!r}", report)
