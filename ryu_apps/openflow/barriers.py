"""Barriers: what is to be done once a switch has carried out all that was sent to it.

Owns what waits for which barrier. Nobody waits here: who reads the switch's answers does what is due. Knows nothing of
what was sent before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Barriers:
    """The barriers of a switch's session that were not answered yet."""

    def __init__(self) -> None:
        self._waiting: dict[int, Callable[[], object]] = {}

    def request(self, datapath: Any, then: Callable[[], object]) -> None:
        """Have something done when the switch has carried out all messages so far."""
        barrier = datapath.ofproto_parser.OFPBarrierRequest(datapath)
        datapath.set_xid(barrier)
        self._waiting[barrier.xid] = then
        datapath.send_msg(barrier)

    def on_reply(self, xid: int) -> None:
        """Handle the switch's answer."""
        then = self._waiting.pop(xid, None)
        if then is not None:
            then()

    def on_switch_gone(self) -> None:
        """Do all that waits: a switch that is away has nothing more to do."""
        waiting, self._waiting = self._waiting, {}
        for then in waiting.values():
            then()
