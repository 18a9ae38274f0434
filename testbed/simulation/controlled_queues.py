"""The queues of `steered_queues` under any mode of control: the same requests, the same delays.

Agents report to the node that the mode says; D-Routers have their timers every 50 ms of virtual time, as in their
processes. The controller may fall silent: from then on nothing leaves its D-Router and nothing arrives there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from random import Random

from testbed.dyncast.actions import Output, RefusePacket, SendMessage
from testbed.dyncast.control.role import Control
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import Load, Loads
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.nodes.d_router import DRouter
from testbed.net.addresses import Address
from testbed.simulation.network import Network
from testbed.simulation.steered_queues import D_SID, SteeredQueues, binding_report, flow_of

_TICK_S = 0.05
_SLOW_INTERVALS = 4  # of the others: how often slow-moving metrics are reported


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
            (_refused,) = (
                action for action in router.on_packet(flow_of(number), now_s) if isinstance(action, RefusePacket)
            )

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
            whole = Report(site, number, now_s, (binding_report(d_bid, raw),))
            if self.control.mode == "hybrid":
                load = Loads(site, number, now_s, (Load(D_SID, d_bid, now_s, raw),), by_agent=True)
                self._report_to(site, controller, codec.encode(load), now_s)
                if number % _SLOW_INTERVALS == 1:
                    self._report_to(site, site, codec.encode(whole, wire_fields.SLOW), now_s)
            else:
                self._report_to(site, controller or site, codec.encode(whole), now_s)
            self._at(now_s + self._interval_s, report)

        return report

    def _report_to(self, site: str, to: str, data: bytes, now_s: float) -> None:
        self._send(site, to, data, now_s)

    def _perform(self, site: str, outputs: Sequence[Output], now_s: float) -> None:
        if self._is_silent(site, now_s):
            return
        for output in outputs:
            if isinstance(output, SendMessage):
                self.sent[output.kind, self._site_at[output.to]] += 1
        super()._perform(site, outputs, now_s)

    def _send(self, site: str, to: str, data: bytes, now_s: float) -> None:
        if not self._is_silent(to, now_s):
            super()._send(site, to, data, now_s)

    def _is_silent(self, site: str, now_s: float) -> bool:
        return now_s >= self._silent_at_s and site == self.control.controller
