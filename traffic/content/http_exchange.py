"""One HTTP/1.1 request and its answer as bytes: what to send, and what was received so far.

Pure; knows no sockets. Reads no more of HTTP than a load generator needs: status, length, `X-Dyncast-Instance`.
"""

from __future__ import annotations

import ipaddress

from testbed.errors import TestbedError

MAX_REQUEST_BYTES = 1 << 24

_MAX_RESPONSE_HEADER_BYTES = 65_536
_MAX_HEADER_PADDING = 4096  # servers refuse long headers; what is longer goes into a body
_END_OF_HEADER = b"\r\n\r\n"


class MalformedResponseError(TestbedError, ValueError):
    """An answer that is not HTTP."""


def request(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    port: int,
    *,
    work_ms: float | None,
    response_bytes: int | None,
    request_bytes: int,
    host_name: str | None = None,
) -> bytes:
    """Return a GET for so much work, padded to `request_bytes` (within 14 bytes; never shorter than a bare request).

    It names the host by its name, if it is known by one.
    """
    query = []
    if work_ms is not None:
        query.append(f"work_ms={work_ms:.9g}")
    if response_bytes is not None:
        query.append(f"bytes={response_bytes}")
    host = host_name or (f"[{address}]" if address.version == 6 else str(address))
    target = "/?" + "&".join(query) if query else "/"
    head = f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
    missing = request_bytes - len(head) - len("\r\n")
    body = b""
    if missing > _MAX_HEADER_PADDING:
        length = missing - len("Content-Length: \r\n") - len(str(missing))
        head += f"Content-Length: {length:0{len(str(missing))}}\r\n"
        body = bytes(length)
    elif missing >= len("X-Padding: \r\n"):
        head += f"X-Padding: {'.' * (missing - len('X-Padding: ') - 2)}\r\n"
    return f"{head}\r\n".encode("ascii") + body


class Response:
    """An answer as it comes in. `status` and `instance` are known once its header is complete."""

    __slots__ = ("_header", "_length", "instance", "received_bytes", "status")

    def __init__(self) -> None:
        self.received_bytes = 0
        self.status: int | None = None
        self.instance = ""
        self._header = b""
        self._length: int | None = None  # header and body; None: until the connection ends

    def feed(self, data: bytes) -> bool:
        """Take in what was received; tell whether the answer is complete. Raises MalformedResponseError."""
        self.received_bytes += len(data)
        if self.status is None:
            self._header += data
            end = self._header.find(_END_OF_HEADER)
            if end < 0:
                if len(self._header) > _MAX_RESPONSE_HEADER_BYTES:
                    raise MalformedResponseError("the header does not end")
                return False
            self._parse(self._header[:end], end + len(_END_OF_HEADER))
            self._header = b""
        return self._length is not None and self.received_bytes >= self._length

    def ends_well(self) -> bool:
        """Tell whether the answer is complete if the connection ends now."""
        return self.status is not None and self._length is None

    def _parse(self, header: bytes, header_bytes: int) -> None:
        first, *lines = header.split(b"\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise MalformedResponseError(f"not an HTTP status line: {first[:80]!r}")
        for line in lines:
            name, _, value = line.partition(b":")
            name = name.strip().lower()
            if name == b"content-length":
                if not value.strip().isdigit():
                    raise MalformedResponseError(f"not a Content-Length: {value[:80]!r}")
                self._length = header_bytes + int(value)
            elif name == b"x-dyncast-instance":
                self.instance = value.strip().decode("latin-1")
        self.status = int(words[1])
