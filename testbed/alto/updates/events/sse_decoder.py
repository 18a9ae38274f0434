"""Server-sent events out of octets, however these were cut on their way (WHATWG HTML, section 9.2).

Owns the state between two pieces and the bounds on lines and events. A stream past a bound is of no use any more: what
follows could not be told from the middle of what was refused. So nothing more is taken from it, and `broken` says why.
"""

from __future__ import annotations

from testbed.alto.updates.events.sse_events import Event

MOST_OCTETS = 64 << 20  # four times a cost map of a million entries
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseDecoder:
    """Takes octets, returns the events that they complete. An event that the stream ends in is none."""

    def __init__(self, most_line_octets: int = MOST_OCTETS, most_event_octets: int = MOST_OCTETS) -> None:
        self._most_line, self._most_event = most_line_octets, most_event_octets
        self._line = bytearray()  # what there is of a line that has not ended
        self._skips_lf = False  # the last octets ended with CR
        self._is_first_line = True
        self._kind = b""
        self._data = bytearray()  # each line with its LF
        self.comments = 0
        self.broken: str | None = None

    def feed(self, octets: bytes) -> list[Event]:
        """Return the events that these octets complete."""
        if not octets:
            return []
        if self._skips_lf:
            octets = octets.removeprefix(b"\n")
        self._skips_lf = octets.endswith(b"\r")
        events: list[Event] = []
        for piece in octets.splitlines(keepends=True):  # of octets: at CR, LF and CRLF only
            if self.broken is not None:
                break
            event = self._add(piece)
            if event is not None:
                events.append(event)
        return events

    def _add(self, piece: bytes) -> Event | None:
        content = piece.rstrip(b"\r\n")
        self._line += content
        if len(self._line) > self._most_line:
            self._break(f"a line of more than {self._most_line} octets")
        elif len(content) < len(piece):
            line = bytes(self._line)
            self._line.clear()
            return self._take(line)
        return None

    def _take(self, line: bytes) -> Event | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not name:
            self.comments += 1
        elif name == b"event":
            self._kind = value
        elif name == b"data":
            self._data += value + b"\n"
            if len(self._data) > self._most_event + 1:
                self._break(f"an event of more than {self._most_event} octets")
        return None  # id, retry and what there is not yet: ignored

    def _dispatch(self) -> Event | None:
        kind, data = self._kind or b"message", bytes(self._data[:-1])
        has_data = bool(self._data)
        self._kind = b""
        self._data.clear()
        return Event(kind.decode("utf-8", "replace"), data.decode("utf-8", "replace")) if has_data else None

    def _break(self, reason: str) -> None:
        self.broken = reason
        self._line.clear()
        self._data.clear()
