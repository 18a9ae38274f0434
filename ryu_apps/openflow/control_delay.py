"""How long what a switch tells its control process waits: echo requests that queue with the Packet-Ins.

Owns the sending of OpenFlow echo requests, and `<name>.control_delay.csv` with one line for each: when it was sent, and
after how many milliseconds its answer was handled. The switch answers in the order in which it sends Packet-Ins, and
the answer goes through the same socket and event queue. So under load the figure is what the first packet of a flow
waits, there and back; at rest it is the switch's turnaround.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from struct import Struct
from typing import Any

COLUMNS = "sent_s,delay_ms"
_INTERVAL_S = 0.2
EARLY_S = 0.05  # it may be sent so much sooner
_SENT = Struct("=8sd")
_OURS = b"dyncast."  # the framework sends echo requests of its own, without data


class ControlDelay:
    """Ask the switch again and again, whether or not it has answered."""

    def __init__(self, folder: Path, name: str) -> None:
        # A process that comes back goes on with the file of the one before.
        path = folder / f"{name}.control_delay.csv"
        self._stream = path.open("a", encoding="ascii")
        if not self._stream.tell():
            self._stream.write(f"{COLUMNS}\n")
        self._unanswered: deque[float] = deque()
        self._next_s = 0.0

    def next_timer_s(self) -> float:
        """Return when the next echo request is due."""
        return self._next_s

    def on_timer(self, datapath: Any | None, now_s: float) -> None:
        """Send the next echo request if it is time; forget those that a switch which went away will not answer."""
        if datapath is None:
            self._unanswered.clear()
        if now_s < self._next_s - EARLY_S:
            return
        self._next_s = now_s + _INTERVAL_S
        if datapath is not None:
            self._unanswered.append(now_s)
            datapath.send_msg(datapath.ofproto_parser.OFPEchoRequest(datapath, data=_SENT.pack(_OURS, now_s)))

    def on_answer(self, data: bytes, now_s: float) -> None:
        """Take in an answer, in the order of the requests."""
        if len(data) != _SENT.size or not data.startswith(_OURS):
            return
        sent_s = _SENT.unpack(data)[1]
        while self._unanswered and self._unanswered[0] <= sent_s:
            self._unanswered.popleft()
        self._write(sent_s, now_s)

    def flush(self) -> None:
        """Push what is buffered to the file."""
        self._stream.flush()

    def close(self, now_s: float) -> None:
        """Write down what still waits as having waited until now, and close."""
        for sent_s in self._unanswered:
            self._write(sent_s, now_s)
        self._unanswered.clear()
        self._stream.close()

    def _write(self, sent_s: float, now_s: float) -> None:
        self._stream.write(f"{sent_s:.6f},{(now_s - sent_s) * 1e3:.3f}\n")
