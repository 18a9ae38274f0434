"""How long messages of a switch to its control process wait: echo requests that queue with the Packet-Ins.

Owns the sending of OpenFlow echo requests, and `<name>.control_delay.csv` with one line for each that was due: when,
and after how many milliseconds its answer was handled. The switch answers in the order in which it sends Packet-Ins,
and the answer goes through the same socket and event queue. So under load the figure is what the first packet of a flow
waits, there and back; at rest it is the switch's turnaround.

From its first switch on, requests are due whether or not the process runs and the switch is there: five a second
while flows arrive or are bound, one a second while there are none whose packets could wait. One that is sent late
stands for all that were due meanwhile: a packet that came then would have waited as long.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Any

from testbed.records.file_names import file_name

COLUMNS = "due_s,delay_ms"
_INTERVAL_S = 0.2
_IDLE_INTERVAL_S = 1.0
_EARLY_SHARE = 0.25  # of the interval: one may be sent so much sooner
EARLY_S = _EARLY_SHARE * _IDLE_INTERVAL_S
_REQUEST = Struct("=8sd")
_OURS = b"dyncast."  # the framework sends echo requests of its own, without data


class ControlDelay:
    """Ask the switch again and again, whether or not it has answered.

    `has_flows`: whether flows are bound, whose packets may come any time.
    """

    def __init__(self, folder: Path, name: str, has_flows: Callable[[], bool]) -> None:
        # A process that comes back goes on with the file of the one before.
        path = folder / f"{file_name(name)}.control_delay.csv"
        self._stream = path.open("a", encoding="ascii")
        if not self._stream.tell():
            self._stream.write(f"{COLUMNS}\n")
        self._unanswered: deque[float] = deque()  # when each was due
        self._has_flows = has_flows
        self._interval_s = _INTERVAL_S
        self._next_s = 0.0
        self._asked_s = -math.inf  # when the last one was due
        self._packet_s = -math.inf
        self._has_begun = False

    def next_timer_s(self) -> float:
        """Return when the next echo request is due."""
        return self._next_s

    def on_timer(self, datapath: Any | None, now_s: float) -> None:
        """Send the next echo request if it is time and the switch is there."""
        if now_s < self._next_s - _EARLY_SHARE * self._interval_s:
            return
        if not self._has_begun and datapath is None:
            self._next_s = now_s + _INTERVAL_S
            return
        if not self._has_begun:
            self._has_begun, self._next_s = True, now_s
        self._on_due(min(self._next_s, now_s), now_s)
        while self._next_s <= now_s:
            self._on_due(self._next_s, now_s)
        if datapath is not None:
            data = _REQUEST.pack(_OURS, self._unanswered[-1])
            datapath.send_msg(datapath.ofproto_parser.OFPEchoRequest(datapath, data=data))

    def _on_due(self, due_s: float, now_s: float) -> None:
        is_idle = not self._has_flows() and now_s - self._packet_s > _IDLE_INTERVAL_S
        self._interval_s = _IDLE_INTERVAL_S if is_idle else _INTERVAL_S
        self._unanswered.append(due_s)
        self._asked_s = due_s
        self._next_s = (due_s if is_idle else self._next_s) + self._interval_s

    def on_packet(self, now_s: float) -> None:
        """Take note that the switch sent a packet: more may come at any time, and wait."""
        self._packet_s = now_s
        self._interval_s = _INTERVAL_S
        self._next_s = min(self._next_s, max(now_s, self._asked_s + _INTERVAL_S))

    def on_answer(self, data: bytes, now_s: float) -> None:
        """Take in an answer: to a request, and to all that were due before it."""
        if len(data) != _REQUEST.size or not data.startswith(_OURS):
            return
        last_s = _REQUEST.unpack(data)[1]
        while self._unanswered and self._unanswered[0] <= last_s:
            self._write(self._unanswered.popleft(), now_s)

    def flush(self) -> None:
        """Push what is buffered to the file."""
        self._stream.flush()

    def close(self, now_s: float) -> None:
        """Write down what still waits as having waited until now, and close."""
        for due_s in self._unanswered:
            self._write(due_s, now_s)
        self._unanswered.clear()
        self._stream.close()

    def _write(self, due_s: float, now_s: float) -> None:
        self._stream.write(f"{due_s:.6f},{(now_s - due_s) * 1e3:.3f}\n")
