"""The hybrid mode: slow-moving metrics go to every D-Router, volatile ones to the controller, which distributes them.

Pure. Owns the reports of either pace and puts both together in the binding table, where each ingress's own decision
finds them: state, capacity, service time and scores by reports, as in the distributed mode; queue, busy workers and
sessions by `Loads`. Volatile metrics not renewed for a lifetime are dropped, and decisions go on by the slow ones
and by what the ingress expects itself (`session_model`). "Hybrid Model" of the CATS framework.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.control.role import InstanceChange, Role, RoleContext, unexpected
from testbed.dyncast.messages.codec import Message
from testbed.dyncast.messages.control_messages import Load, Loads, loads_parts
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.metrics.wire_fields import with_volatile
from testbed.dyncast.monitoring.binding_table import Binding
from testbed.net.addresses import Address

_MOST_LOADS = 10_000  # of instances that may not be known yet


class _Received(NamedTuple):
    load: Load
    received_s: float


class _Slow(NamedTuple):
    raw: RawMetrics
    measured_s: float


class Hybrid(Role):
    """The role of any D-Router; that at the controller's site hands out, too."""

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._is_controller = context.state.site == context.control.controller
        self._received: dict[tuple[Address, Address], _Received] = {}
        self._slow: dict[tuple[Address, Address], _Slow] = {}
        self._sequence = 1
        self._next_s: float | None = None

    def on_report(self, report: Report, now_s: float) -> None:
        """Put the volatile metrics back that a report stands in place of; it says nothing of sessions."""
        for binding in report.bindings:
            key = (binding.d_sid, binding.d_bid)
            if binding.raw is None:  # it is down; when it comes up again, it has other sessions
                self._slow.pop(key, None)
                self._received.pop(key, None)
                continue
            self._slow[key] = _Slow(binding.raw, report.sent_s)
            received = self._received.get(key)
            if received is not None and now_s - received.received_s <= self._context.control.lifetime_s:
                self._put_together(key, received.load)

    def on_message(self, message: Message, epoch: int, now_s: float) -> list[InstanceChange]:  # noqa: ARG002
        """Take in volatile metrics: of an agent, at the controller, or of the controller."""
        if not isinstance(message, Loads) or message.by_agent is not self._is_controller:
            raise unexpected(message)
        if not message.by_agent and message.site != self._context.control.controller:
            raise unexpected(message)
        changes = []
        for load in message.loads:
            binding = self._take(load, now_s)
            if binding is not None:
                changes.append(InstanceChange(load.d_sid, load.d_bid, binding.state))
        return changes

    def _take(self, load: Load, now_s: float) -> Binding | None:
        """Keep a load; one that is no newer than what is known says only that it still holds."""
        key = (load.d_sid, load.d_bid)
        known = self._received.get(key)
        if known is None and (load.d_sid not in self._context.services or len(self._received) >= _MOST_LOADS):
            self._state.counters["loads_not_kept"] += 1
            return None
        if known is not None and load.measured_s <= known.load.measured_s:
            if not self._is_controller:
                self._received[key] = known._replace(received_s=now_s)
            return None
        self._received[key] = _Received(load, now_s)
        binding = self._put_together(key, load)
        if binding is not None and binding.raw is not None:
            self._learn(load.d_sid, load.d_bid, binding.site, binding.raw, load.measured_s)
        return binding

    def _put_together(self, key: tuple[Address, Address], load: Load) -> Binding | None:
        binding, slow = self._state.bindings.get(*key), self._slow.get(key)
        if binding is None or slow is None:
            return None
        together = replace(binding, raw=with_volatile(slow.raw, load.raw), measured_s=load.measured_s)
        self._state.bindings.put(together)
        return together

    def next_timer_s(self) -> float:
        """Return when loads are due."""
        return -math.inf if self._next_s is None else self._next_s

    def on_timer(self, now_s: float) -> list[SendMessage]:
        """Drop what nobody renewed; at the controller, hand out at the interval."""
        if self._next_s is not None and now_s < self._next_s:
            return []
        self._next_s = now_s + self._context.control.interval_s
        self._expire(now_s)
        return self._hand_out(now_s) if self._is_controller else []

    def _expire(self, now_s: float) -> None:
        lifetime_s = self._context.control.lifetime_s
        for key in [key for key, received in self._received.items() if now_s - received.received_s > lifetime_s]:
            del self._received[key]
            self._state.counters["loads_expired"] += 1
            binding, slow = self._state.bindings.get(*key), self._slow.get(key)
            if binding is not None and slow is not None:
                self._state.bindings.put(replace(binding, raw=slow.raw, measured_s=slow.measured_s))

    def _hand_out(self, now_s: float) -> list[SendMessage]:
        loads = [received.load for received in self._received.values()]
        actions = []
        for site in self._context.peers if loads else ():
            parts = loads_parts(self._state.site, self._sequence, now_s, loads)
            self._sequence += len(parts)
            actions += [self._context.outgoing.message(site, part, "loads") for part in parts]
        return actions
