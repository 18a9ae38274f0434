"""How a D-Router measures the paths to the others: probes, their answers, and those that come back.

Pure. Owns when probes go, to whom, and what is believed of what returns. Between edge sites the Dyncast architecture
asks for network metrics (section 4.1) and leaves open how they are had.

A probe that finds nobody listening comes back: the node's kernel says "port unreachable" and quotes it. The path is
alive then, and so is the switch at its end; its control process is not. Only a quotation of a probe of late is
believed, to the octet: whoever has not seen that probe, tag and all, cannot make a dead path look alive.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from testbed.dyncast.actions import Action, SendMessage
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.monitoring.path_state import PathState
from testbed.net.addresses import Address

_REMEMBERED = 5  # probes to each peer that may come back


class Prober:
    """Probe `paths`, by site, at their `addresses`; `counters` takes what was not to be expected."""

    def __init__(
        self,
        site: str,
        addresses: Mapping[str, Address],
        paths: Mapping[str, PathState],
        interval_s: float,
        authenticator: Authenticator | None,
        counters: Counter[str],
    ) -> None:
        self._site = site
        self._addresses = addresses
        self._paths = paths
        self._interval_s = interval_s
        self._authenticator = authenticator
        self._counters = counters
        self._sequence = 0
        self._next_s: float | None = None
        self._sent: dict[Address, deque[bytes]] = {address: deque(maxlen=_REMEMBERED) for address in addresses.values()}

    def on_timer(self, now_s: float) -> list[Action]:
        """Probe all paths when it is time."""
        if self._next_s is not None and now_s < self._next_s:
            return []
        self._next_s = now_s + self._interval_s
        self._sequence += 1
        probe = Probe(self._site, self._sequence, now_s)
        actions: list[Action] = []
        for site, address in self._addresses.items():
            self._paths[site].on_probe_sent()
            data = self._signed(probe, site)
            self._sent[address].append(data)
            actions.append(SendMessage(address, data, "probe"))
        return actions

    def on_probe(self, probe: Probe, source: Address, now_s: float) -> list[Action]:
        """Answer a probe, or take in the answer to one."""
        if not probe.is_reply:
            answer = Probe(self._site, probe.sequence, probe.sent_s, is_reply=True)
            return [SendMessage(source, self._signed(answer, probe.site), "probe_reply")]
        path = self._paths.get(probe.site)
        rtt_s = now_s - probe.sent_s
        if path is None or rtt_s < 0:
            self._counters["probes_unexpected"] += 1
            return []
        path.on_reply(rtt_s, now_s)
        return []

    def on_returned(self, data: bytes, to: Address, now_s: float) -> None:
        """Hear that nobody listens at `to`, in answer to a message that began with `data`."""
        quoted = next((sent for sent in self._sent.get(to, ()) if sent == data), None)
        if quoted is None:
            self._counters["messages_returned"] += 1
            return
        self._counters["probes_returned"] += 1
        site = next(site for site, address in self._addresses.items() if address == to)
        self._paths[site].on_returned(now_s - codec.read_header(quoted).sent_s, now_s)

    def _signed(self, probe: Probe, receiver: str) -> bytes:
        data = codec.encode(probe)
        return self._authenticator.sign(data, receiver) if self._authenticator else data
