"""How a D-Router measures the paths to the others: probes, their answers, and those that come back.

Pure. Owns when probes go, to whom, and what is believed of what returns. Between edge sites the Dyncast architecture
asks for network metrics (section 4.1) and leaves open how they are had.

A probe that finds nobody listening comes back: the node's kernel says "port unreachable" and quotes it. The path is
alive then, and so is the switch at its end; its control process is not. Only a quotation of a probe of late is
believed, to the octet: whoever has not seen that probe, tag and all, cannot make a dead path look alive.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Mapping

from testbed.dyncast.actions import Action, SendMessage
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.outgoing import Outgoing
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.monitoring.path_state import PathState
from testbed.net.addresses import Address

PROBE_KINDS = ("probe", "probe_reply")  # of messages
_REMEMBERED = 5  # probes to each peer that may come back
_ROUNDING = 1e-6
_TURNS = 5  # in an interval: a turn for each peer would wake a node of many sites all the time


class Prober:
    """Probe `paths`, by site, from `site`; `counters` takes what was not to be expected.

    `paths_changed`: an answer showed one alive or silent that was not; whoever looks at the paths then resets it.
    """

    def __init__(
        self, site: str, paths: Mapping[str, PathState], interval_s: float, outgoing: Outgoing, counters: Counter[str]
    ) -> None:
        self._site = site
        self._paths = paths
        self._interval_s = interval_s
        self._outgoing = outgoing
        self._counters = counters
        self.paths_changed = False
        self._sequence = 0
        sites = list(outgoing.addresses)
        # In those that have no peer to probe, too, probes of others are answered.
        self._turns = [sites[turn::_TURNS] for turn in range(_TURNS)]
        self._turn = 1  # that after the first round, in which all have theirs
        self._next_s: float | None = None
        self._sent: dict[Address, deque[bytes]] = {
            address: deque(maxlen=_REMEMBERED) for address in outgoing.addresses.values()
        }

    def next_timer_s(self) -> float:
        """Return when the next turn is due."""
        if not self._outgoing.addresses:
            return math.inf
        return -math.inf if self._next_s is None else self._next_s

    def on_timer(self, now_s: float) -> list[Action]:
        """Probe the paths whose turn it is; all of them at first, for nothing is known of any."""
        if now_s < self.next_timer_s():
            return []
        pause_s = self._interval_s / len(self._turns)
        if self._next_s is None:
            self._next_s = now_s + pause_s
            return self._probe(self._outgoing.addresses, now_s)
        # Who was held up for longer than an interval probes each path once, and owes nothing.
        begin_s = max(self._next_s, now_s - self._interval_s + pause_s)
        turns = 1 + int((now_s - begin_s) / pause_s + _ROUNDING)
        self._next_s = begin_s + turns * pause_s
        due: dict[str, None] = {}  # in order, each once
        for _ in range(turns):
            due.update(dict.fromkeys(self._turns[self._turn]))
            self._turn = (self._turn + 1) % len(self._turns)
        return self._probe(due, now_s)

    def _probe(self, due: Collection[str], now_s: float) -> list[Action]:
        if not due:
            return []
        self._sequence += 1
        probe = Probe(self._site, self._sequence, now_s)
        actions: list[Action] = []
        for site in due:
            self._paths[site].on_probe_sent()
            message = self._outgoing.message(site, probe, "probe")
            self._sent[message.to].append(message.data)
            actions.append(message)
        return actions

    def on_probe(self, probe: Probe, source: Address, now_s: float, arrived_s: float) -> list[Action]:
        """Answer a probe, or take in the answer to one, which arrived a while ago."""
        if not probe.is_reply:
            held_s = max(0.0, now_s - arrived_s)
            answer = Probe(self._site, probe.sequence, probe.sent_s, is_reply=True, held_s=held_s)
            return [SendMessage(source, self._outgoing.signed(probe.site, answer), "probe_reply")]
        path = self._paths.get(probe.site)
        rtt_s = arrived_s - probe.sent_s - probe.held_s
        if path is None or rtt_s < 0:
            self._counters["probes_unexpected"] += 1
            return []
        before = path.standing
        path.on_reply(rtt_s, now_s)
        self.paths_changed |= path.standing != before
        return []

    def on_returned(self, data: bytes, to: Address, now_s: float) -> None:
        """Hear that nobody listens at `to`, in answer to a message that began with `data`."""
        quoted = next((sent for sent in self._sent.get(to, ()) if sent == data), None)
        if quoted is None:
            self._counters["messages_returned"] += 1
            return
        self._counters["probes_returned"] += 1
        site = next(site for site, address in self._outgoing.addresses.items() if address == to)
        path = self._paths[site]
        before = path.standing
        path.on_returned(now_s - codec.read_header(quoted).sent_s, now_s)
        self.paths_changed |= path.standing != before
