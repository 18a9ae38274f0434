"""Server-sent events as octets: what an ALTO server sends (WHATWG HTML, section 9.2; RFC 8895, 5.1 and 6.8).

Owns the lines. An event is `event:` and `data:` lines and an empty one; `id:` and `retry:` are not used. The data is
JSON, which may be broken into lines at any comma between values: RFC 8895 (9.1) recommends at most 2,000 characters a
line, for clients that read line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

KEEP_ALIVE = b": keep-alive\n\n"
LINE_OCTETS = 2000
_PREFIX = b"data: "
_ENDS = re.compile(rb"\r\n|\r|\n")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|,|[^",]+', re.DOTALL)


@dataclass(frozen=True)
class Event:
    """An event as it comes out of a stream: its type, and the lines of its data joined by LF."""

    kind: str
    data: str


def head(kind: str) -> bytes:
    """Return the first line of an event."""
    if "\n" in kind or "\r" in kind:
        raise ValueError(f"an event's type is one line, not {kind!r}")
    return f"event: {kind}\n".encode()


def data_of_json(text: bytes, line_octets: int = LINE_OCTETS) -> bytes:
    """Return JSON as the data lines of an event and the empty line that ends it."""
    parts: list[bytes] = []
    for line in _ENDS.split(text):
        parts += _lines(line, line_octets - len(_PREFIX))
    return b"".join(_PREFIX + part + b"\n" for part in parts) + b"\n"


def encode(kind: str, text: bytes) -> bytes:
    """Return a whole event whose data is JSON."""
    return head(kind) + data_of_json(text)


def _lines(line: bytes, most: int) -> Iterator[bytes]:
    """Break a line behind commas that are in no string; a string longer than a line stays whole."""
    start, end = 0, len(line)
    while end - start > most:
        cut = _comma_before(line, start, start + most)
        yield line[start:cut]
        start = cut
    yield line[start:]


def _comma_before(line: bytes, start: int, most: int) -> int:
    """Return where the last comma between values is passed, before `most` if there is one; `start` is in no string."""
    if line.find(b"\\", start, most) < 0:
        comma = line.rfind(b",", start, most)
        while comma >= 0:
            if line.count(b'"', start, comma) % 2 == 0:
                return comma + 1
            comma = line.rfind(b",", start, comma)
    return _first_commas(line, start, most)


def _first_commas(line: bytes, start: int, most: int) -> int:
    cut = start
    for token in _TOKEN.finditer(line, start):
        if token.group() == b",":
            if token.end() > most and cut > start:
                return cut
            cut = token.end()
            if cut >= most:
                return cut
        elif token.start() > most and cut > start:
            return cut
    return cut if cut > start else len(line)
