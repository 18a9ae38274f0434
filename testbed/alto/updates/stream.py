"""One update stream: substreams in the order of their dependencies, control updates before them, and its end.

Owns what goes out next. Only what is being sent is held as octets; the rest is known to be lacking, and is made when
the transport takes it. So a client that falls behind costs the server no memory but for patches, which are bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.events.control_updates import ControlUpdate
from testbed.alto.updates.events.sse_events import KEEP_ALIVE
from testbed.alto.updates.substream import EncodedPatch, FullReplacements, Substream


class Phase(Enum):
    """Of a stream. ENDING: it says that it ends, and no data follows."""

    OPEN = "open"
    ENDING = "ending"
    FINISHED = "finished"
    CUT = "cut"


_TRANSITIONS = {
    (Phase.OPEN, "end"): Phase.ENDING,
    (Phase.ENDING, "drained"): Phase.FINISHED,
    (Phase.ENDING, "overdue"): Phase.CUT,
}


@dataclass(frozen=True)
class Taken:
    """Octets to be sent now. `is_last`: the stream ends with them."""

    octets: bytes
    is_last: bool


class Stream:
    """A stream and its client."""

    def __init__(self, bounds: Bounds, replacements: FullReplacements, now_s: float) -> None:
        self.phase = Phase.OPEN
        self.reason: str | None = None  # why it ended
        self.substreams: dict[str, Substream] = {}  # when it ends, those that it had
        self._bounds, self._replacements = bounds, replacements
        self._control: deque[bytes] = deque()
        self._sending: deque[memoryview] = deque()
        self._silent_since_s = now_s
        self._lacks_since_s = now_s  # its client takes nothing of what there is; of no meaning when there is nothing
        self._ends_s = now_s

    # -- what is to be sent

    def add(self, substream: Substream, now_s: float) -> None:
        """Begin to send a resource."""
        self._touch(now_s)
        self.substreams[substream.substream_id] = substream

    def control(self, update: ControlUpdate, now_s: float) -> None:
        """Have a control update sent, before any data that is not being sent already."""
        self._touch(now_s)
        self._control.append(update.encoded())
        if len(self._control) > self._bounds.control_updates and self.phase is Phase.OPEN:
            self.end("its client does not read what it is sent about its substreams", now_s)

    def publish(self, substream: Substream, patch: EncodedPatch | None, now_s: float) -> None:
        """Have a new version of a substream's resource sent."""
        if self.phase is not Phase.OPEN:
            return
        self._touch(now_s)
        substream.publish(patch, self._bounds)
        if substream.rounds_behind > self._bounds.rounds_behind:
            self.end(f"its client reads more slowly than {substream.resource_id} changes", now_s)

    def end(self, reason: str, now_s: float) -> None:
        """Stop all substreams, say why, and end."""
        if self.phase is Phase.OPEN:
            self._touch(now_s)
            self.phase, self.reason, self._ends_s = _TRANSITIONS[self.phase, "end"], reason, now_s
            last = ControlUpdate(stopped=tuple(self.substreams), description=f"The stream ends: {reason}")
            self._control.append(last.encoded())

    # -- what the transport does

    @property
    def has_output(self) -> bool:
        """Return whether there is anything to take."""
        return bool(self._sending or self._control) or any(self._pending())

    def take(self, most_octets: int, now_s: float) -> Taken:
        """Take what is to be sent next, at most so many octets."""
        parts, room = [], most_octets
        while room > 0 and (self._sending or self._load()):
            part = self._sending.popleft()
            if len(part) > room:
                self._sending.appendleft(part[room:])
                part = part[:room]
            parts.append(part)
            room -= len(part)
        octets = b"".join(parts)
        if octets:
            self._silent_since_s = self._lacks_since_s = now_s
        if not self.has_output:
            self._drained()
        return Taken(octets, self.phase is Phase.FINISHED)

    def _load(self) -> bool:
        """Make the next event, the first that is due, and put it where it is sent from."""
        if self._control:
            self._sending.append(memoryview(self._control.popleft()))
            return True
        for substream in sorted(self._pending(), key=lambda pending: pending.rank):
            event = substream.next_event(self._replacements)
            if event is not None:
                self._sending += (memoryview(event.head), memoryview(event.data))
                return True
        return False

    def _pending(self) -> Iterator[Substream]:
        return (item for item in self.substreams.values() if self.phase is Phase.OPEN and item.has_pending)

    def _drained(self) -> None:
        for substream in self.substreams.values():
            substream.drained()
        if self.phase is Phase.ENDING:
            self.phase = _TRANSITIONS[self.phase, "drained"]

    # -- time

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` is due; None: never."""
        if self.phase is Phase.OPEN:
            if self.has_output:
                return self._lacks_since_s + self._bounds.stalled_s
            return self._silent_since_s + self._bounds.keep_alive_s
        return self._ends_s + self._bounds.grace_s if self.phase is Phase.ENDING else None

    def on_timer(self, now_s: float) -> None:
        """Do what is due: a comment into a silence, the end of a stream that is stalled, a cut."""
        due_s = self.next_timer_s()
        if due_s is None or now_s < due_s:
            return
        if self.phase is Phase.ENDING:
            self.phase = _TRANSITIONS[self.phase, "overdue"]
        elif self.has_output:
            self.end(f"its client has taken nothing for {self._bounds.stalled_s:g} s", now_s)
        else:
            self._touch(now_s)
            self._sending.append(memoryview(KEEP_ALIVE))

    def _touch(self, now_s: float) -> None:
        """Begin to count a stall: until now there was nothing to take."""
        if not self.has_output:
            self._lacks_since_s = now_s
