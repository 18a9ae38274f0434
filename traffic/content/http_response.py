"""An HTTP/1.1 answer as a client receives it: when it is whole, and when what came is none (RFC 9112).

Pure; knows no sockets. Owns the framing of answers: lengths, chunks with extensions and trailers, answers that end with
the connection, interim ones before, and those without a body. The body is counted, not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum, auto

from testbed.errors import TestbedError

_MAX_LINES_BYTES = 65_536  # of a header, of a chunk's size with its extensions, of trailers
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")  # RFC 9112 section 2.2: a single LF ends a line, too
_END_OF_LINE = re.compile(rb"\r?\n")
_FOLDED = re.compile(rb"\r?\n[ \t]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([0-9]{3})(?: .*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)", re.DOTALL)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_INTERIM, _SWITCHING, _NO_CONTENT, _NOT_MODIFIED = range(100, 200), 101, 204, 304

Fields = Mapping[bytes, list[bytes]]


class MalformedResponseError(TestbedError, ValueError):
    """An answer that is not HTTP."""


class _Part(Enum):
    """What comes next of an answer."""

    HEADER = auto()
    BODY = auto()  # of known length
    REST = auto()  # a body that ends with the connection
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    NOTHING = auto()


class Response:
    """An answer to a request with `method`, as it comes in.

    `status` and `instance` are known once its header is complete. What comes after it is no part of it, and no fault.
    """

    __slots__ = ("_buffer", "_left", "_method", "_part", "_trailer_bytes", "instance", "received_bytes", "status")

    def __init__(self, method: str = "GET") -> None:
        self.received_bytes = 0
        self.status: int | None = None
        self.instance = ""
        self._method = method
        self._part = _Part.HEADER
        self._buffer = b""
        self._left = 0  # octets of the body, or of its present chunk
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bool:
        """Take in what was received; tell whether the answer is complete. Raises MalformedResponseError."""
        self.received_bytes += len(data)
        self._buffer += data
        while self._part is not _Part.NOTHING and _READERS[self._part](self):
            pass
        return self._part is _Part.NOTHING

    def ends_well(self) -> bool:
        """Tell whether the answer is complete if the connection ends now."""
        return self._part in (_Part.REST, _Part.NOTHING)

    # Each reader takes its part from the buffer and says what comes next; False: it needs more octets.

    def _read_header(self) -> bool:
        end = _END_OF_HEADER.search(self._buffer)
        if end is None:
            self._limit(self._buffer, "the header")
            return False
        header, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
        version, status, fields = _parsed(header)
        if status in _INTERIM:
            if status == _SWITCHING:
                raise MalformedResponseError("it switches to a protocol that nobody asked for")
            return True  # an interim answer: the header of the next one follows
        self.status = status
        self.instance = fields.get(b"x-dyncast-instance", [b""])[-1].decode("latin-1")
        self._part = self._body_of(version, status, fields)
        return True

    def _body_of(self, version: int, status: int, fields: Fields) -> _Part:
        """Return what follows the header, by the rules of RFC 9112 section 6.3 in their order."""
        if self._method == "HEAD" or status in (_NO_CONTENT, _NOT_MODIFIED):
            return _Part.NOTHING
        codings = [coding.lower() for coding in _listed(fields.get(b"transfer-encoding", []))]
        if codings:
            if version == 0 or b"chunked" in codings[:-1]:
                raise MalformedResponseError(f"faulty framing: {b', '.join(codings)[:80]!r}")
            return _Part.CHUNK_SIZE if codings[-1] == b"chunked" else _Part.REST
        if b"content-length" not in fields:
            return _Part.REST
        lengths = b"|".join(set(_listed(fields[b"content-length"])))  # the same one may stand there several times
        if not _LENGTH.fullmatch(lengths):
            raise MalformedResponseError(f"not a Content-Length: {lengths[:80]!r}")
        self._left = int(lengths)
        return _Part.BODY

    def _read_body(self) -> bool:
        if self._take():
            self._part = _Part.NOTHING
        return False

    def _read_rest(self) -> bool:
        self._buffer = b""
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line("a chunk's size")
        if line is None:
            return False
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise MalformedResponseError(f"not the size of a chunk: {line[:80]!r}")
        self._left = int(size[1], 16)
        self._part = _Part.CHUNK if self._left else _Part.TRAILERS
        return True

    def _read_chunk(self) -> bool:
        if not self._take():
            return False
        self._part = _Part.CHUNK_END
        return True

    def _read_chunk_end(self) -> bool:
        line = self._line("a chunk")
        if line is None:
            return False
        if line:
            raise MalformedResponseError(f"a chunk goes on beyond its size: {line[:80]!r}")
        self._part = _Part.CHUNK_SIZE
        return True

    def _read_trailers(self) -> bool:
        line = self._line("trailers")
        if line is None:
            return False
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MAX_LINES_BYTES:
            raise MalformedResponseError("the trailers do not end")
        if not line:
            self._part = _Part.NOTHING
        return True

    def _take(self) -> bool:
        """Pass over what is left of a body or chunk; tell whether that was all."""
        taken = min(self._left, len(self._buffer))
        self._left -= taken
        self._buffer = self._buffer[taken:]
        return not self._left

    def _line(self, what: str) -> bytes | None:
        end = _END_OF_LINE.search(self._buffer)
        self._limit(self._buffer[: end.start()] if end else self._buffer, what)
        if end is None:
            return None
        line, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
        return line

    def _limit(self, lines: bytes, what: str) -> None:
        if len(lines) > _MAX_LINES_BYTES:
            raise MalformedResponseError(f"{what} does not end")


def _parsed(header: bytes) -> tuple[int, int, Fields]:
    """Return the minor version, the status and the fields of a header."""
    first, *lines = _END_OF_LINE.split(_FOLDED.sub(b" ", header))
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None:
        raise MalformedResponseError(f"not an HTTP status line: {first[:80]!r}")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise MalformedResponseError(f"not a header field: {line[:80]!r}")
        fields.setdefault(field[1].lower(), []).append(field[2].strip(b" \t"))
    return int(status_line[1]), int(status_line[2]), fields


def _listed(values: list[bytes]) -> list[bytes]:
    """Return the elements of a field that is a list, on one line or several."""
    return [item for value in values for element in value.split(b",") if (item := element.strip(b" \t"))]


_READERS: Mapping[_Part, Callable[[Response], bool]] = {
    _Part.HEADER: Response._read_header,
    _Part.BODY: Response._read_body,
    _Part.REST: Response._read_rest,
    _Part.CHUNK_SIZE: Response._read_chunk_size,
    _Part.CHUNK: Response._read_chunk,
    _Part.CHUNK_END: Response._read_chunk_end,
    _Part.TRAILERS: Response._read_trailers,
}
