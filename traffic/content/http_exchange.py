"""One HTTP/1.1 request as bytes: what to send.

Pure; knows no sockets. What is received is `http_response`'s.
"""

from __future__ import annotations

import ipaddress

MAX_REQUEST_BYTES = 1 << 24

_MAX_HEADER_PADDING = 4096  # servers refuse long headers; what is longer goes into a body


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
