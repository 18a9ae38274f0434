"""Costs that were measured: from reports of D-Routers to changes of cost maps, entry by entry (RFC 9439). Pure.

A reporter's round trips to a peer are `delay-rt` from its PID to the peer's, what it lost of them is `lossrate`; what
came from the peer is `delay-ow` and `delay-variation`, the other way. `lossrate` is that of one way, of which a round
trip has two alike. What no reporter measured for `lifetime_s` has no cost.

Bandwidths are those of the links on a path, in bytes per second: `bw-residual` the least capacity, `bw-available` the
least that is left of a capacity, `priv:bw-utilized` the most that a link carries. Links whose reports are missing count
with their capacity; a path without any link that is reported has none of the last two.

An entry changes where a figure differs from the one before by more than `least_change` of it: of a link's figures, by
more than that share of its capacity.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import sqrt

from testbed.alto.costs.cost_type import Cost, CostContext, CostType
from testbed.alto.names import PIDName
from testbed.alto.network.facts import Link, NetworkFacts
from testbed.alto.reports.expiry import Expiry
from testbed.alto.reports.messages import LinkReport, NetworkReport, PathReport

DELAY_OW, DELAY_RT, DELAY_VARIATION, LOSS = "delay-ow", "delay-rt", "delay-variation", "lossrate"
BW_RESIDUAL, BW_AVAILABLE, BW_UTILIZED = "bw-residual", "bw-available", "priv:bw-utilized"
METRICS = (DELAY_OW, DELAY_RT, DELAY_VARIATION, LOSS, BW_RESIDUAL, BW_AVAILABLE, BW_UTILIZED)
_DELAY_DIGITS = -1  # of microseconds: ten of them are below what a process's own lateness adds
_LOSS_DIGITS = 2  # of per cent

Pair = tuple[PIDName, PIDName]
Changes = dict[str, dict[Pair, "Cost | None"]]


def cost_type(metric: str, lifetime_s: float) -> CostType:
    """Return the type of a measured cost, which says for how long a measurement holds."""
    return CostType(metric, context=CostContext("estimation", {"measured": "in band", "kept-s": lifetime_s}))


@dataclass(frozen=True)
class _LinkState:
    """What a link carries, and could, in bytes per second; None: not known."""

    used: float
    capacity: float | None


class MeasuredCosts:
    """The costs between PIDs that reports say; each call returns what changed, by metric."""

    def __init__(
        self, network: NetworkFacts, lifetime_s: float, least_change: float, counters: Counter[str] | None = None
    ) -> None:
        self._network = network
        self._lifetime_s = lifetime_s
        self._least_change = least_change
        self._counters: Counter[str] = Counter() if counters is None else counters
        self._paths: Expiry[tuple[str, str]] = Expiry()
        self._links: Expiry[Link] = Expiry()
        self._link_states: dict[Link, _LinkState] = {}
        self._costs: dict[tuple[str, Pair], Cost] = {}
        self._over: dict[Link, list[tuple[str, str]]] = {}
        for pair in network.pairs():
            for link in network.path(*pair):
                self._over.setdefault(link, []).append(pair)

    def begin(self) -> Changes:
        """Return what is known before anything is reported: capacities."""
        changes: Changes = {}
        for pair in self._network.pairs():
            self._set_bandwidths(pair, changes)
        return changes

    def take(self, report: NetworkReport, now_s: float) -> Changes:
        """Take in a report."""
        changes: Changes = {}
        until_s = min(report.origin.sent_s, now_s) + self._lifetime_s
        reporter = report.origin.reporter
        for path in report.paths:
            if reporter not in self._network.pids or path.peer not in self._network.pids or path.peer == reporter:
                self._counters["paths_unknown"] += 1
                continue
            self._paths.hold((reporter, path.peer), until_s)
            self._set_path(reporter, path, changes)
        for link in report.links:
            ends = reporter, link.neighbour
            if ends not in self._network.by_link:
                self._counters["links_unknown"] += 1
                continue
            self._links.hold(ends, until_s)
            self._set_link(ends, self._state(ends, link), changes)
        return changes

    def forget(self, now_s: float) -> Changes:
        """Leave out what was not reported for too long."""
        changes: Changes = {}
        for reporter, peer in self._paths.take_expired(now_s):
            self._set_path(reporter, PathReport(peer, 0, 0), changes)
        for link in self._links.take_expired(now_s):
            self._set_link(link, None, changes)
        return changes

    def next_timer_s(self) -> float | None:
        """Return when something will not have been reported for too long; None: nothing is reported."""
        return min((due_s for due_s in (self._paths.next_s(), self._links.next_s()) if due_s is not None), default=None)

    # -- paths

    def _set_path(self, reporter: str, path: PathReport, changes: Changes) -> None:
        there = self._network.pids[reporter], self._network.pids[path.peer]
        here = there[1], there[0]
        round_trip, one_way = path.round_trip, path.one_way
        self._set(DELAY_RT, there, None if round_trip is None else _delay_us(round_trip.median_s), changes)
        self._set(LOSS, there, _loss_percent(path), changes)
        self._set(DELAY_OW, here, None if one_way is None else _delay_us(one_way.median_s), changes)
        variation_s = None if one_way is None else one_way.median_s - one_way.least_s
        self._set(DELAY_VARIATION, here, None if variation_s is None else _delay_us(variation_s), changes)

    # -- links

    def _state(self, link: Link, report: LinkReport) -> _LinkState:
        nominal_mbps = self._network.by_link[link].rate_mbps
        nominal_bps = None if nominal_mbps is None else nominal_mbps * 1e6
        capacity_bps = nominal_bps if report.rate_bps is None else report.rate_bps
        return _LinkState(report.octets / report.over_s, None if capacity_bps is None else capacity_bps / 8)

    def _set_link(self, link: Link, state: _LinkState | None, changes: Changes) -> None:
        before = self._link_states.get(link)
        if state is None:
            self._link_states.pop(link, None)
        elif before is None or self._differs(before, state):
            self._link_states[link] = state
        else:
            return
        for pair in self._over.get(link, ()):
            self._set_bandwidths(pair, changes)

    def _differs(self, before: _LinkState, after: _LinkState) -> bool:
        if before.capacity != after.capacity or (before.used == 0) != (after.used == 0):
            return True
        of = max(before.used, after.used) if after.capacity is None else after.capacity
        return abs(after.used - before.used) > self._least_change * of

    def _set_bandwidths(self, pair: tuple[str, str], changes: Changes) -> None:
        links = self._network.path(*pair)
        pids = self._network.pids[pair[0]], self._network.pids[pair[1]]
        states = [self._link_states[link] for link in links if link in self._link_states]
        present = [self._link_states.get(link) or self._silent(link) for link in links]
        limited = [(state.capacity, state.used) for state in present if state.capacity is not None]
        available = min((max(0.0, capacity - used) for capacity, used in limited), default=None) if states else None
        self._replace(BW_RESIDUAL, pids, min((capacity for capacity, _ in limited), default=None), changes)
        self._replace(BW_AVAILABLE, pids, available, changes)
        self._replace(BW_UTILIZED, pids, max((state.used for state in states), default=None), changes)

    def _silent(self, link: Link) -> _LinkState:
        return self._state(link, LinkReport(link[1], 0, 1.0))

    # -- entries

    def _replace(self, metric: str, pids: Pair, figure: float | None, changes: Changes) -> None:
        """Set a bandwidth, whose changes are those of links that matter."""
        cost = None if figure is None else round(figure)
        if self._costs.get((metric, pids)) != cost:
            self._note(metric, pids, cost, changes)

    def _set(self, metric: str, pids: Pair, cost: Cost | None, changes: Changes) -> None:
        before = self._costs.get((metric, pids))
        if cost is None or before is None:
            if cost != before:
                self._note(metric, pids, cost, changes)
        elif abs(cost - before) > self._least_change * before:
            self._note(metric, pids, cost, changes)

    def _note(self, metric: str, pids: Pair, cost: Cost | None, changes: Changes) -> None:
        if cost is None:
            del self._costs[metric, pids]
        else:
            self._costs[metric, pids] = cost
        changes.setdefault(metric, {})[pids] = cost


def _delay_us(delay_s: float) -> int:
    return round(round(delay_s * 1e6, _DELAY_DIGITS))


def _loss_percent(path: PathReport) -> float | None:
    """Return the share that one way loses: a round trip needs both."""
    if path.probes == 0:
        return None
    return round(100 * (1 - sqrt(path.answered / path.probes)), _LOSS_DIGITS)
