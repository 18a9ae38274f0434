"""The queues of `tests.bench.steered_queues` under any mode of control: the same requests, the same delays.

Agents tell whom the mode says; D-Routers are looked at every 50 ms of virtual time, as their processes do. A site may
fall silent: from then on nothing leaves its D-Router and nothing is heard there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from random import Random

from testbed.dyncast.actions import Action, RefusePacket, SendMessage
from testbed.dyncast.control.role import Control
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import Load, Loads
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.nodes.d_router import DRouter
from testbed.net.addresses import Address
from tests.bench.steered_queues import Network, SteeredQueues
from tests.dyncast_samples import D_SID, flow, only, told

_TICK_S = 0.05
_SLOW_INTERVALS = 4  # of the others: how often slow-moving metrics are told


class ControlledQueues(SteeredQueues):
    """One run. `sent` counts messages between D-Routers, by kind and receiver."""

    def __init__(
        self, network: Network, policy: str, interval_s: float, seed: int, control: Control, silent_at_s: float = 1e9
    ) -> None:
        self.control = control
        self.sent: Counter[tuple[str, str]] = Counter()
        self._silent_at_s = silent_at_s
        super().__init__(network, policy, interval_s, seed)
        self._routers = {
            site: DRouter(replace(router.config, control=control), Random(f"{seed} {site}"))
            for site, router in self._routers.items()
        }
        for site in self._routers:
            self._at(0.0, self._tick_of(site))

    @property
    def routers(self) -> dict[str, DRouter]:
        """The D-Routers, by site."""
        return self._routers

    def d_bid_at(self, site: str) -> Address:
        """Return the instance of a site."""
        return self._addresses[site] + 9

    def _steer(self, ingress: str, number: int, work_s: float, now_s: float) -> None:
        router = self._routers[ingress]
        if now_s < self._silent_at_s or router.weighed(D_SID, now_s):
            super()._steer(ingress, number, work_s, now_s)
        else:
            only(router.on_packet(flow(number % 65536), now_s), RefusePacket)

    def _tick_of(self, site: str) -> Callable[[float], None]:
        def tick(now_s: float) -> None:
            self._perform(site, self._routers[site].on_timer(now_s), now_s)
            self._at(now_s + _TICK_S, tick)

        return tick

    def _report_of(self, site: str) -> Callable[[float], None]:
        d_bid = self._addresses[site] + 9
        sequence = count(1)
        controller = self.control.controller

        def report(now_s: float) -> None:
            raw = self._instances[d_bid].metrics(now_s)
            number = next(sequence)
            all_of_it = Report(site, number, now_s, (told(d_bid, raw),))
            if self.control.mode == "hybrid":
                load = Loads(site, number, now_s, (Load(D_SID, d_bid, now_s, raw),), by_agent=True)
                self._tell(site, controller, codec.encode(load), now_s)
                if number % _SLOW_INTERVALS == 1:
                    self._tell(site, site, codec.encode(all_of_it, wire_fields.SLOW), now_s)
            else:
                self._tell(site, controller or site, codec.encode(all_of_it), now_s)
            self._at(now_s + self._interval_s, report)

        return report

    def _tell(self, site: str, to: str, data: bytes, now_s: float) -> None:
        self._send(site, to, data, now_s)

    def _perform(self, site: str, actions: list[Action], now_s: float) -> None:
        if self._is_silent(site, now_s):
            return
        for action in actions:
            if isinstance(action, SendMessage):
                self.sent[action.kind, self._site_at[action.to]] += 1
        super()._perform(site, actions, now_s)

    def _send(self, site: str, to: str, data: bytes, now_s: float) -> None:
        if not self._is_silent(to, now_s):
            super()._send(site, to, data, now_s)

    def _is_silent(self, site: str, now_s: float) -> bool:
        return now_s >= self._silent_at_s and site == self.control.controller
