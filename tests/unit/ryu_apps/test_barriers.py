"""What waits for a switch is done when its answer comes, once, or when the switch goes away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ryu_apps.openflow.barriers import Barriers


class Session:
    """A session with a switch: it numbers messages and keeps what is sent."""

    def __init__(self) -> None:
        self.ofproto_parser = SimpleNamespace(OFPBarrierRequest=lambda _: SimpleNamespace(xid=None))
        self.sent: list[int] = []
        self._xid = 0

    def set_xid(self, message: Any) -> None:
        self._xid += 1
        message.xid = self._xid

    def send_msg(self, message: Any) -> None:
        self.sent.append(message.xid)


def test_each_answer_has_done_what_waited_for_it_and_once() -> None:
    barriers, session, done = Barriers(), Session(), list[str]()
    for what in ("first", "second"):
        barriers.request(session, lambda what=what: done.append(what))  # type: ignore[misc]
    first, second = session.sent
    assert done == []
    barriers.on_reply(second)
    barriers.on_reply(second)
    assert done == ["second"]
    barriers.on_reply(first)
    assert done == ["second", "first"]
    barriers.on_reply(4711)  # of nobody here


def test_a_switch_that_goes_away_keeps_nobody_waiting() -> None:
    barriers, session, done = Barriers(), Session(), list[str]()
    barriers.request(session, lambda: done.append("waited"))
    barriers.on_switch_gone()
    assert done == ["waited"]
    barriers.on_reply(session.sent[0])
    assert done == ["waited"]
