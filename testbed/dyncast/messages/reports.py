"""Reports and probes as data; `codec` has their octets."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metrics import normalisation
from testbed.dyncast.metrics.levels import UNSCORED, RawMetrics, Scores, State
from testbed.dyncast.metrics.normalisation import Normalisation
from testbed.net.addresses import Address


@dataclass(frozen=True)
class BindingReport:
    """One D-SID ↔ D-BID binding with its metrics; `raw` is None when the instance is down."""

    d_sid: Address
    d_bid: Address
    state: State
    raw: RawMetrics | None
    scores: Scores = UNSCORED
    offer: ServiceOffer | None = None  # of the service; not sent without figures

    @property
    def score(self) -> int:
        """The L2 score."""
        return self.scores.overall


@dataclass(frozen=True)
class Report:
    """Metrics of all instances of one site. `sent_s` is on the agent's clock."""

    site: str
    sequence: int
    sent_s: float
    bindings: tuple[BindingReport, ...]


@dataclass(frozen=True)
class Probe:
    """A path probe, or the reply to one (`is_reply`); `sent_s` is the prober's clock in both.

    `held_s`: for how long the probe waited for its reply, where it was answered (as in STAMP, RFC 8762). A reply that
    is a probe as well was sent at `asked_s`, by the clock of the node that answers, which numbers it `asked_sequence`.
    """

    site: str
    sequence: int
    sent_s: float
    is_reply: bool = False
    held_s: float = 0.0
    asked_s: float | None = None
    asked_sequence: int = 0


def report_of(
    d_sid: Address,
    d_bid: Address,
    state: State,
    raw: RawMetrics | None,
    scored_by: Normalisation = normalisation.DEFAULT,
) -> BindingReport:
    """Return the binding report with the scores filled in; an instance that is down has none."""
    scores = scored_by.scores(raw) if raw and state is not State.DOWN else UNSCORED
    return BindingReport(d_sid, d_bid, state, raw, scores)
