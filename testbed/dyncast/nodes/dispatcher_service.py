"""The CFN node's side of its CFN Dispatchers: it selects for them, sends the result, and keeps nothing of their flows.

Pure. Section 4.5 of the CFN-Dyncast architecture; why so: docs/decisions/0015. There are two ways of signalling a
selection:

* *explicit*: an `Assignment`, in band, signed with the key that the Dispatcher and its CFN node share;
* *implicit*: the first packet goes back to the Dispatcher, rewritten to the D-BID; if no instance takes the flow, as it
  was.

Instances that serve nobody any more go into `Withdrawal`s in both, at once and then again and again: nobody answers
them, and it does not matter how many of them get lost. What the policies choose from is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from testbed.dyncast.actions import Output, RefusePacket, ReturnPacket, SendMessage
from testbed.dyncast.events import Decided
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator, Identity, Role
from testbed.dyncast.messages.dispatch_messages import MOST_WITHDRAWN, Assignment, Cause, Withdrawal, Withdrawn
from testbed.dyncast.selection.node_state import NodeState
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey

SIGNALLING = ("explicit", "implicit")
_AGAIN_S = 1.0


@dataclass(frozen=True)
class DispatcherPeer:
    """A CFN Dispatcher of this CFN node: where messages to it go, and the port of the switch that it is behind."""

    name: str
    """Its name."""
    address: Address
    """Where messages to it go."""
    port: int
    """The port of the switch that it is behind."""
    tells: str = "explicit"
    """How the selection is said to it: by a message, or by the packet that goes back to it."""


class Dispatching:
    """The messages of one CFN node to its Dispatchers."""

    def __init__(
        self, state: NodeState, peers: Collection[DispatcherPeer], authenticator: Authenticator | None
    ) -> None:
        self._state = state
        self._by_port = {peer.port: peer for peer in peers}
        self._authenticator = authenticator
        self._sequence = 0
        self._last_withdrawn: tuple[Withdrawn, ...] = ()
        self._next_s = 0.0

    def at(self, port: int) -> DispatcherPeer | None:
        """Return the Dispatcher behind a port of the switch."""
        return self._by_port.get(port)

    def assign(
        self, peer: DispatcherPeer, flow: FlowKey, timeout_s: int, decided: Decided | None, now_s: float
    ) -> list[Output]:
        """Assign a flow whose first packet is here; `decided` None: no instance takes it, and it is refused."""
        d_bid, egress = (decided.d_bid, decided.egress) if decided else (None, "")
        self._state.counters["flows_dispatched" if decided else "refused_no_instance"] += 1
        also: Output = decided or RefusePacket("no_instance")
        if peer.tells == "implicit":
            return [ReturnPacket(d_bid), also]
        self._sequence += 1
        message = Assignment(self._state.site, self._sequence, now_s, flow, d_bid, egress, timeout_s)
        return [self._send(peer, message), also]

    def next_timer_s(self) -> float:
        """Return when withdrawals are due again."""
        return self._next_s if self._by_port else math.inf

    def withdraw(self, has_failed: Callable[[Address, Address], bool], now_s: float) -> list[Output]:
        """Withdraw instances that serve nobody any more, if there are others than before or it is time again."""
        if not self._by_port:
            return []
        withdrawn = tuple(self._withdrawn(has_failed))
        if not set(withdrawn) - set(self._last_withdrawn) and now_s < self._next_s:
            return []
        self._last_withdrawn, self._next_s = withdrawn, now_s + _AGAIN_S
        return [self._send(peer, message) for peer in self._by_port.values() for message in self._messages(now_s)]

    def _withdrawn(self, has_failed: Callable[[Address, Address], bool]) -> Iterator[Withdrawn]:
        for binding in self._state.bindings.all():
            path = self._state.paths.get(binding.site)
            if has_failed(binding.d_sid, binding.d_bid):
                yield Withdrawn(binding.d_sid, binding.d_bid, Cause.DIED)
            elif path is not None and not path.is_reachable:
                yield Withdrawn(binding.d_sid, binding.d_bid, Cause.UNREACHABLE)

    def _messages(self, now_s: float) -> Iterator[Withdrawal]:
        rest = iter(self._last_withdrawn)
        while part := tuple(islice(rest, MOST_WITHDRAWN)):
            self._sequence += 1
            yield Withdrawal(self._state.site, self._sequence, now_s, part)

    def _send(self, peer: DispatcherPeer, message: Assignment | Withdrawal) -> SendMessage:
        data = codec.encode(message)
        if self._authenticator is not None:
            data = self._authenticator.sign(data, peer.name, Identity(Role.DISPATCHER, peer.name))
        return SendMessage(peer.address, data, type(message).__name__.lower())
