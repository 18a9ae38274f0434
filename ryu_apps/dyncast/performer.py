"""Performs what a node puts out: one table says for each kind of action and event what is done about it.

Owns the order and the one write to the switch; what there is to do is said by `entries` (messages to the switch),
`datapath_mode`, `journal` and the in-band socket. A new kind is a line in the table of one of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ryu_apps.dyncast.entries.wording import Wording
from ryu_apps.openflow.packet_in import NO_PACKET, PacketIn
from testbed.dyncast.actions import Output

Handler = Callable[[Any], Iterable[Output] | None]
"""Does something about an action or an event; may return what there is to do in consequence."""


class Performer:
    """Performs by `wording`, what the switch does, and by `handlers`, all else; `send` takes messages to the switch."""

    def __init__(
        self,
        wording: Mapping[type, Wording],
        handlers: Mapping[type, Handler],
        send: Callable[[bytes], None],
    ) -> None:
        self._wording = wording
        self._handlers = handlers
        self._send = send

    @property
    def kinds(self) -> set[type]:
        """The kinds of output that can be performed."""
        return {*self._wording, *self._handlers}

    def perform(self, outputs: Iterable[Output], packet: PacketIn = NO_PACKET) -> None:
        """Perform in order, what follows from a handler behind the rest; the switch gets its messages in one write."""
        queue = deque(outputs)
        for_switch: list[bytes] = []
        try:
            while queue:
                output = queue.popleft()
                word = self._wording.get(type(output))
                if word is not None:
                    for_switch.append(word(output, packet))
                else:
                    queue.extend(self._handlers[type(output)](output) or ())
        finally:  # a handler that fails takes nothing from the switch that stands in the node's tables already
            if for_switch:
                self._send(b"".join(for_switch))
