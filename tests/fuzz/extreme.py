"""Messages that decode, with figures at the ends of what they may be, in any order: Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from ipaddress import ip_address
from random import Random

from hypothesis import strategies as st

from testbed.dyncast.messages.codec import Message
from testbed.dyncast.messages.control_messages import (
    WHOLE,
    AssignedFlows,
    IngressStatus,
    Load,
    Loads,
    Path,
    Share,
    Shares,
)
from testbed.dyncast.messages.dispatch_messages import Assignment, Cause, Withdrawal, Withdrawn
from testbed.dyncast.messages.reports import BindingReport, Probe, Report, report_of
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.net.flow_key import FIVE_TUPLE, TCP, FlowKey
from tests.dyncast_samples import CLIENT, D_SID, D_SID6, FAR, FAR6, HERE, NEAR, NEAR6, THERE, flow

SITES = st.sampled_from((HERE, THERE, THERE, THERE, "nowhere", ""))
BINDINGS = st.sampled_from(
    (
        *((D_SID, d_bid) for d_bid in (NEAR, NEAR + 1, FAR, FAR + 1)),
        (D_SID6, NEAR6),
        (D_SID6, FAR6),
        (D_SID + 1, NEAR),  # in the range of D-SIDs that are learnt, and no service at first
        (ip_address("198.51.100.1"), FAR),  # nobody's
    )
)
_COUNTS = (0, 1, 2, 4, 100, 2**8, 2**16, 2**32 - 1, 2**53, 2**64 - 1)
_WORKERS = (1, 2, 4, 2**16, 2**64 - 1)
_PARTS_OF_ONE = (0.0, 1e-45, 0.5, 1.0)
_MEASURES = (0.0, 1e-45, 1e-30, 1e-9, 1e-3, 0.1, 1.0, 1e6, 1e30, 3.4028234663852886e38)
_FIGURES: Mapping[str, Sequence[float]] = {
    **dict.fromkeys((field.name for field in fields(RawMetrics)), _COUNTS),
    **dict.fromkeys(("service_time_s", "capacity_per_s", "throughput_bps"), _MEASURES),
    **dict.fromkeys(("utilisation", "cpu_utilisation"), _PARTS_OF_ONE),
    "workers": _WORKERS,
}


def _extreme_raws() -> list[RawMetrics]:
    """Ordinary figures but for one, and any of them together."""
    ordinary = RawMetrics(4, 3, 2, 50, 5, 9, 0.75, 0.05)
    one = [replace(ordinary, **{name: value}) for name, values in _FIGURES.items() for value in values]  # type: ignore[arg-type]
    rng = Random(1)
    mixed = [{name: rng.choice(values) for name, values in _FIGURES.items()} for _ in range(200)]
    return [ordinary, *one, *(RawMetrics(**of) for of in mixed)]  # type: ignore[arg-type]


RAWS = st.sampled_from(_extreme_raws())
# None: the next of its site
_SEQUENCES = st.sampled_from((*[None] * 12, 0, 1, 5, 2**31 - 1, 2**31, 2**32 - 1))
_AGES_S = st.sampled_from((*[0.0] * 6, 1e-6, 0.05, 0.5, 3.0, 11.0, 1e3, -0.5, -0.99))
_DURATIONS_S = st.sampled_from((0.0, 1e-6, 1e-3, 0.5, 10.0, 4294.0))
_STATES = st.sampled_from((*[State.UP] * 3, *State))
_U32 = st.sampled_from((0, 1, 5, 100, 2**31, 2**32 - 1))
FLOWS = st.sampled_from(
    (
        *(flow(port) for port in (40000, 40001)),
        flow(None),
        flow(dst=D_SID + 1),
        FlowKey(CLIENT, ip_address("198.51.100.1"), TCP, 1, 80),
        FlowKey(ip_address("fd00:d:1::a"), D_SID6, TCP, 1, 80),
    )
)
_OFFERS = st.none() | st.builds(
    ServiceOffer,
    st.sampled_from(("render", "x" * 100, "")),
    st.sampled_from((FIVE_TUPLE, ("src", "dst"), ("src_port",), ())),
    st.sampled_from((1, 4, 1 << 12, 1 << 20)),
    st.sampled_from((0, 1, 30, 65535)),
)


@st.composite
def _binding_reports(draw: st.DrawFn) -> BindingReport:
    state = draw(_STATES)
    raw = draw(RAWS | st.none() if state is State.DOWN else RAWS)
    report = report_of(*draw(BINDINGS), state, raw)
    return BindingReport(*draw(BINDINGS), state, raw, report.scores, draw(_OFFERS))


Make = Callable[[str, int, float], Message]


@dataclass(frozen=True)
class Arrives:
    """A message of a site, `sequence` None: its next; so old, as its sender says."""

    site: str
    sequence: int | None
    age_s: float
    make: Make

    def message(self, following: int, now_s: float) -> Message:
        """Return the message; `following`: the number of the site's next."""
        sequence = following if self.sequence is None else self.sequence
        return self.make(self.site, sequence, max(0.0, now_s - self.age_s))


@st.composite
def _arrivals(draw: st.DrawFn) -> Arrives:
    return Arrives(draw(SITES), draw(_SEQUENCES), draw(_AGES_S), draw(st.sampled_from(_KINDS))(draw))


def _report(draw: st.DrawFn) -> Make:
    bindings = tuple(draw(st.lists(_binding_reports(), min_size=1, max_size=3)))
    return lambda site, sequence, sent_s: Report(site, sequence, sent_s, bindings)


def _probe(draw: st.DrawFn) -> Make:
    if not draw(st.booleans()):
        return Probe
    held_s, asked_s = draw(_DURATIONS_S), draw(st.none() | _DURATIONS_S)
    return lambda site, sequence, sent_s: Probe(site, sequence, sent_s, True, held_s, asked_s)


def _status(draw: st.DrawFn) -> Make:
    path = st.builds(Path, SITES, _DURATIONS_S, _DURATIONS_S, _DURATIONS_S, st.booleans())
    assigned = st.builds(lambda of, flows: AssignedFlows(*of, flows), BINDINGS, _U32)
    paths, of_all = tuple(draw(st.lists(path, max_size=3))), tuple(draw(st.lists(assigned, max_size=4)))
    return lambda site, sequence, sent_s: IngressStatus(site, sequence, sent_s, paths, of_all)


def _shares(draw: st.DrawFn) -> Make:
    share = st.tuples(BINDINGS, SITES, _STATES, st.sampled_from((0, 0, 1, WHOLE // 2, WHOLE)), _DURATIONS_S)
    drawn = draw(st.lists(share, max_size=5))
    part, parts = draw(st.sampled_from((*[(0, 1)] * 4, (0, 2), (1, 2), (254, 255))))
    return lambda site, sequence, sent_s: Shares(
        site,
        sequence,
        sent_s,
        tuple(Share(*of, egress, state, share, sent_s - age_s) for of, egress, state, share, age_s in drawn),
        part,
        parts,
    )


def _loads(draw: st.DrawFn) -> Make:
    drawn, by_agent = draw(st.lists(st.tuples(BINDINGS, _DURATIONS_S, RAWS), max_size=3)), draw(st.booleans())
    return lambda site, sequence, sent_s: Loads(
        site, sequence, sent_s, tuple(Load(*of, sent_s - age_s, raw) for of, age_s, raw in drawn), by_agent
    )


def _assignment(draw: st.DrawFn) -> Make:
    of, egress, timeout_s = draw(FLOWS), draw(SITES), draw(st.sampled_from((1, 30, 65535)))
    d_bids = (NEAR, NEAR + 1, FAR) if of.dst.version == 4 else (NEAR6, FAR6)
    d_bid = draw(st.none() | st.sampled_from(d_bids))
    return lambda site, sequence, sent_s: Assignment(site, sequence, sent_s, of, d_bid, egress, timeout_s)


def _withdrawal(draw: st.DrawFn) -> Make:
    drawn = draw(st.lists(st.tuples(BINDINGS, st.sampled_from(Cause)), max_size=4))
    withdrawn = tuple(Withdrawn(*of, cause) for of, cause in drawn)
    return lambda site, sequence, sent_s: Withdrawal(site, sequence, sent_s, withdrawn)


_KINDS = (*[_report] * 3, _probe, _status, *[_shares] * 3, _loads, _assignment, _withdrawal)


# -- what happens to a node --------------------------------------------------------------------------


@dataclass(frozen=True)
class Packet:
    """A packet that the switch has no entry for."""

    of: FlowKey
    in_port: int
    tunnelled: bool


@dataclass(frozen=True)
class Passes:
    """Time, after which its timer is called."""

    duration_s: float


@dataclass(frozen=True)
class SwitchAssigns:
    """The switch has bound so many flows to an instance, by its count."""

    binding: tuple[object, object]
    total: int


@dataclass(frozen=True)
class SwitchReturns:
    """A switch connects that lost everything."""


Step = Arrives | Packet | Passes | SwitchAssigns | SwitchReturns
_PASSES = st.builds(Passes, st.sampled_from((0.0, 1e-9, 1e-3, 0.06, 0.3, 0.5, 1.1, 6.0, 11.0, 1e3, 1e6)))
SCRIPTS = st.lists(
    st.one_of(
        _arrivals(),
        _arrivals(),
        st.builds(Packet, FLOWS, st.sampled_from((1, 3, 4)), st.booleans()),
        _PASSES,
        st.builds(SwitchAssigns, BINDINGS, st.sampled_from((0, 1, 5, 100))),  # its own flows, which it counts truly
        st.builds(SwitchReturns),
    ),
    max_size=30,
)
