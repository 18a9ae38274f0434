"""HTTP/1.1 as bytes: requests out of a stream, responses into one (RFC 9112).

Owns framing: request line, header fields, Content-Length and chunked bodies, keep-alive. Pure: bytes come
in, requests come out. The content of a body is counted, not kept, for no service here reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from testbed.errors import TestbedError

MAX_HEAD_BYTES = 16 * 1024
_MAX_LINE_BYTES = 1024  # of a chunk's size line

REASONS = {
    100: "Continue",
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class HttpError(TestbedError):
    """A request that cannot be served; `status` is what to answer. The connection is of no more use."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Request(NamedTuple):
    """A request whose body has passed. `path` and `query` are as sent, not decoded."""

    method: str
    path: str
    query: str
    keep_alive: bool
    body_bytes: int


@dataclass
class _Head:
    method: str
    path: str
    query: str
    keep_alive: bool
    chunked: bool
    content_length: int
    expects_continue: bool


class RequestParser:
    """Cut a byte stream into requests. `feed` bytes, then call `next_request` until it returns None."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._body_bytes = 0
        self._left = 0  # octets of the body, or of its present chunk, still to come
        self._in_trailer = False
        self._trailer_bytes = 0
        self.wants_continue = False

    @property
    def buffered_bytes(self) -> int:
        """How many bytes wait to be parsed."""
        return len(self._buffer)

    @property
    def is_idle(self) -> bool:
        """Return whether the stream stands between two requests."""
        return self._head is None and not self._buffer

    def feed(self, data: bytes) -> None:
        """Append what was received."""
        self._buffer += data

    def next_request(self) -> Request | None:
        """Return the next request that is complete, None if more bytes are needed. Raises HttpError."""
        if self._head is None:
            self._head = self._take_head()
            if self._head is None:
                return None
            self._body_bytes = 0
            self._in_trailer = False
            self._left = self._head.content_length
            self.wants_continue = self._head.expects_continue and not self._buffer
        if not (self._skip_chunks() if self._head.chunked else self._skip_content()):
            return None
        head, self._head = self._head, None
        self.wants_continue = False
        return Request(head.method, head.path, head.query, head.keep_alive, self._body_bytes)

    def _take_head(self) -> _Head | None:
        while self._buffer[:2] == b"\r\n":  # RFC 9112 section 2.2: be lenient with an empty line before a request
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD_BYTES:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise HttpError(431, f"the header is larger than {MAX_HEAD_BYTES} bytes")
            self._reject_non_http()
            return None
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        return _parse_head(lines)

    def _reject_non_http(self) -> None:
        """Notice early that this is no HTTP: a client that speaks otherwise would wait for ever."""
        line_end = self._buffer.find(b"\r\n")
        start = self._buffer[:64] if line_end < 0 else self._buffer[:line_end]
        method = start.split(b" ", 1)[0]
        if not all(octet in _TOKEN for octet in method):
            raise HttpError(400, "the request line is malformed")

    def _skip_content(self) -> bool:
        taken = min(self._left, len(self._buffer))
        del self._buffer[:taken]
        self._left -= taken
        self._body_bytes += taken
        return self._left == 0

    def _skip_chunks(self) -> bool:
        """Pass over a chunked body (RFC 9112 section 7.1) as far as it has come; return whether it is over."""
        while True:
            if self._left:
                # The line end after the data counts as part of the chunk while it is skipped.
                if not self._skip_content():
                    return False
                self._body_bytes -= 2
            line = self._take_line()
            if line is None:
                return False
            if self._in_trailer:
                self._trailer_bytes += len(line)
                if self._trailer_bytes > MAX_HEAD_BYTES:
                    raise HttpError(431, f"the trailer is larger than {MAX_HEAD_BYTES} bytes")
                if not line:
                    return True
                continue
            digits = line.split(b";", 1)[0].strip()
            if not digits or len(digits) > 15 or not all(octet in b"0123456789abcdefABCDEF" for octet in digits):
                raise HttpError(400, "a chunk size is malformed")
            size = int(digits, 16)
            if size:
                self._left = size + 2
            else:
                self._in_trailer = True
                self._trailer_bytes = 0

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        limit = MAX_HEAD_BYTES if self._in_trailer else _MAX_LINE_BYTES
        if end < 0:
            if len(self._buffer) > limit:
                raise HttpError(400, "a line of the chunked body is too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


def _parse_head(lines: list[bytes]) -> _Head:
    """Read the request line and the fields that matter. Raises HttpError."""
    words = lines[0].split(b" ")
    if len(words) != 3 or not words[0] or not all(octet in _TOKEN for octet in words[0]) or not words[1]:
        raise HttpError(400, "the request line is malformed")
    if words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise HttpError(505 if words[2].startswith(b"HTTP/") else 400, "only HTTP/1.0 and HTTP/1.1 are served")
    fields = _parse_fields(lines[1:])
    is_1_1 = words[2] == b"HTTP/1.1"
    if is_1_1 and b"host" not in fields:
        raise HttpError(400, "an HTTP/1.1 request needs one Host field")
    options = [option.strip().lower() for option in fields.get(b"connection", b"").split(b",")]
    encoding = fields.get(b"transfer-encoding", b"").strip().lower()
    if encoding not in (b"", b"chunked"):
        raise HttpError(501, "the only transfer coding served is chunked")
    length = fields.get(b"content-length", b"0").strip()
    if not length.isdigit() or len(length) > 18 or (encoding and b"content-length" in fields):
        raise HttpError(400, "the Content-Length field is malformed")
    target, _, query = words[1].decode("latin-1").partition("?")
    return _Head(
        method=words[0].decode("ascii"),
        path=target,
        query=query.partition("#")[0],
        keep_alive=b"close" not in options and (is_1_1 or b"keep-alive" in options),
        chunked=bool(encoding),
        content_length=int(length),
        expects_continue=is_1_1 and fields.get(b"expect", b"").strip().lower() == b"100-continue",
    )


def _parse_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not all(octet in _TOKEN for octet in name):
            raise HttpError(400, "a header field is malformed")
        key = name.lower()
        if key in fields and key in (b"host", b"content-length"):
            raise HttpError(400, f"the field {name.decode('ascii')} is there twice")
        fields[key] = fields[key] + b"," + value if key in fields else value
    return fields


def response_head(status: int, fields: Mapping[str, str], content_length: int, *, keep_alive: bool) -> bytes:
    """Return status line and header of a response, up to the empty line."""
    lines = [f"HTTP/1.1 {status} {REASONS[status]}"]
    lines.extend(f"{name}: {value}" for name, value in fields.items())
    lines.append(f"Content-Length: {content_length}")
    lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
