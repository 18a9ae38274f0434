"""How a D-Router measures the paths to the others: probes, their answers, and those that come back.

Pure. Owns when probes go, where to, and what is believed of what returns. Between edge sites the Dyncast architecture
asks for network metrics (section 4.1) and leaves open how they are had.

Each end of a path measures for itself, once in an interval. Three messages do for both: an answer is a probe as well if
it is about time for one, and is answered in turn (docs/decisions/0046). Whoever is first in an interval begins; an end
that nobody probes does so itself.

A probe that finds nobody listening comes back: the node's kernel says "port unreachable" and quotes it. The path is
alive then, and so is the switch at its end; its control process is not. Only a quotation of a recent probe is
believed, to the octet: a sender that has not seen that probe, tag and all, cannot make a dead path look alive.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

from testbed.dyncast.actions import Action, SendMessage
from testbed.dyncast.messages.outgoing import Outgoing
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.monitoring.path_state import PathState
from testbed.net.addresses import Address

_REMEMBERED = 5  # probes to each peer that may come back
_ROUNDING = 1e-6
_LEAST_PAUSE_S = 1e-6  # no timer is finer
_TURNS = 3  # in an interval: a turn for each peer would wake a node of many sites all the time


class _Sent(NamedTuple):
    """A probe as it went, its number and when."""

    data: bytes
    sequence: int
    sent_s: float


class Prober:
    """Probe `paths`, by site, from `site`; `counters` takes what was not to be expected.

    `paths_changed`: an answer showed one alive or silent that was not; the reader of the paths then resets it.
    """

    def __init__(
        self, site: str, paths: Mapping[str, PathState], interval_s: float, outgoing: Outgoing, counters: Counter[str]
    ) -> None:
        self._site = site
        self._paths = paths
        self._pause_s = max(interval_s / _TURNS, _LEAST_PAUSE_S)
        self._outgoing = outgoing
        self._counters = counters
        self.paths_changed = False
        self._sequence = 0
        self._begun_s: float | None = None  # of the turns, which are counted from then
        self._next_turn = 1
        # All have theirs in the first round, and then each its own in every interval.
        self._due = {site: number % _TURNS or _TURNS for number, site in enumerate(outgoing.addresses)}
        self._sent: dict[Address, deque[_Sent]] = {
            address: deque(maxlen=_REMEMBERED) for address in outgoing.addresses.values()
        }

    def next_timer_s(self) -> float:
        """Return when the next turn is due; in those without anybody to probe, too, probes of others are answered."""
        if not self._due:
            return math.inf
        return -math.inf if self._begun_s is None else self._begun_s + self._next_turn * self._pause_s

    def on_timer(self, now_s: float) -> list[Action]:
        """Probe the paths whose turn it is; all of them at first, for nothing is known of any."""
        if now_s < self.next_timer_s():
            return []
        if self._begun_s is None:
            self._begun_s = now_s
            return self._probe(self._due, now_s)
        turn = max(self._next_turn, math.floor(self._turns(now_s) + _ROUNDING))
        self._next_turn = turn + 1
        sites = [site for site, due in self._due.items() if due <= turn]
        for site in sites:  # a prober held up for longer than an interval probes each path once, and owes nothing
            self._due[site] += _TURNS * (1 + (turn - self._due[site]) // _TURNS)
        return self._probe(sites, now_s)

    def _turns(self, now_s: float) -> float:
        """Return how many turns have passed."""
        return 0.0 if self._begun_s is None else (now_s - self._begun_s) / self._pause_s

    def _probe(self, due: Collection[str], now_s: float) -> list[Action]:
        if not due:
            return []
        self._sequence += 1
        probe = Probe(self._site, self._sequence, now_s)
        actions: list[Action] = []
        for site in due:
            message = self._outgoing.message(site, probe, "probe", is_deferrable=True)
            self._on_sent(site, message, self._sequence, now_s)
            actions.append(message)
        return actions

    def _on_sent(self, site: str, message: SendMessage, sequence: int, now_s: float) -> None:
        path = self._paths[site]
        path.on_probe_sent()
        if path.samples is not None:
            path.samples.on_sent(sequence, now_s)
        self._sent[message.to].append(_Sent(message.data, sequence, now_s))

    def on_probe(self, probe: Probe, source: Address, now_s: float, arrived_s: float) -> list[Action]:
        """Answer a probe, or take in the answer to one, which arrived a while ago and may be a probe as well."""
        held_s = max(0.0, now_s - arrived_s)
        if not probe.is_reply:
            self._on_one_way(probe.site, arrived_s - probe.sent_s, now_s)
            return [self._answer(probe, source, held_s, now_s)]
        if not self._is_taken_in(probe, now_s, arrived_s) or probe.asked_s is None:
            return []
        self._on_one_way(probe.site, arrived_s - probe.asked_s, now_s)
        answer = Probe(self._site, probe.asked_sequence, probe.asked_s, is_reply=True, held_s=held_s)
        return [self._reply(probe.site, source, answer)]

    def _on_one_way(self, site: str, delay_s: float, now_s: float) -> None:
        path = self._paths.get(site)
        if path is not None and path.samples is not None:
            path.samples.on_one_way(delay_s, now_s)

    def _answer(self, probe: Probe, source: Address, held_s: float, now_s: float) -> SendMessage:
        answer = Probe(self._site, probe.sequence, probe.sent_s, is_reply=True, held_s=held_s)
        if not self._is_about_time(probe.site, source, now_s):
            return self._reply(probe.site, source, answer)
        self._sequence += 1
        message = self._reply(probe.site, source, replace(answer, asked_s=now_s, asked_sequence=self._sequence))
        self._due[probe.site] = round(self._turns(now_s)) + _TURNS
        self._on_sent(probe.site, message, self._sequence, now_s)
        return message

    def _is_about_time(self, site: str, source: Address, now_s: float) -> bool:
        """Return whether an answer to a site is its next probe, too: not if it had one in this half of an interval.

        Of two ends that both probe, one is always asked so late: from then on it need not begin itself.
        """
        if self._begun_s is None or self._outgoing.addresses.get(site) != source:
            return False
        return self._due[site] - round(self._turns(now_s)) <= _TURNS // 2

    def _reply(self, site: str, to: Address, answer: Probe) -> SendMessage:
        return SendMessage(to, self._outgoing.signed(site, answer), "probe_reply", is_deferrable=True)

    def _is_taken_in(self, answer: Probe, now_s: float, arrived_s: float) -> bool:
        path = self._paths.get(answer.site)
        rtt_s = arrived_s - answer.sent_s - answer.held_s
        if path is None or rtt_s < 0:
            self._counters["probes_unexpected"] += 1
            return False
        before = path.standing
        path.on_reply(rtt_s, now_s)
        if path.samples is not None:
            path.samples.on_back(answer.sequence, rtt_s)
        self.paths_changed |= path.standing != before
        return True

    def on_returned(self, data: bytes, to: Address, now_s: float) -> None:
        """Handle the ICMP error that answers a message which began with `data`: nobody listens at `to`."""
        quoted = next((sent for sent in self._sent.get(to, ()) if sent.data == data), None)
        if quoted is None:
            self._counters["messages_returned"] += 1
            return
        self._counters["probes_returned"] += 1
        site = next(site for site, address in self._outgoing.addresses.items() if address == to)
        path = self._paths[site]
        before = path.standing
        path.on_returned(now_s - quoted.sent_s, now_s)
        if path.samples is not None:
            path.samples.on_back(quoted.sequence, now_s - quoted.sent_s)
        self.paths_changed |= path.standing != before
