"""What the runtimes of this folder share: how they come to life and end, and the framing of their one peer's requests.

Runs inside a container, on its own interpreter and the standard library alone: a container sees this folder, and no
other of the testbed. A runtime takes a listening socket as descriptor 3, says by an octet into descriptor 4 that it is
ready, and ends when its standard input does, for then its cluster is no more. The peer is the cluster: one connection,
one request at a time, with a Content-Length; so a request is read in ten lines, and the standard library's server, slow
to import, stays out of cold starts.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import zipfile
from collections.abc import Iterator

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
MOST_UNPACKED_BYTES = 256 << 20
FOLDER = "/action"
_SOCKET, _READY = 3, 4
_HEAD_END = b"\r\n\r\n"


def come_alive() -> socket.socket:
    """Return the socket to serve at; from now on this process ends with its cluster."""
    alive = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    for descriptor in (_SOCKET, _READY):
        os.set_inheritable(descriptor, False)
    return socket.socket(fileno=_SOCKET)


def report_ready() -> None:
    """Report to the cluster that requests are served."""
    os.write(_READY, b"1")
    os.close(_READY)


def requests(connection: socket.socket) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (path, head, body) of each request on a connection, until the cluster closes it."""
    received = b""
    while True:
        while _HEAD_END not in received:
            part = connection.recv(1 << 16)
            if not part:
                return
            received += part
        head, _, received = received.partition(_HEAD_END)
        length = _content_length(head)
        parts, missing = [received], length - len(received)
        while missing > 0:
            part = connection.recv(min(missing, 1 << 20))
            if not part:
                return
            parts.append(part)
            missing -= len(part)
        whole = b"".join(parts)
        body, received = whole[:length], whole[length:]
        yield head.split(b" ", 2)[1].decode("ascii", "replace"), head + _HEAD_END, body


def respond(connection: socket.socket, status: int, document: object) -> None:
    """Answer a request."""
    body = json.dumps(document).encode("ascii")
    reason = "OK" if status == 200 else "Bad Gateway"
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode("ascii") + body)


def mark_end_of_logs() -> None:
    """Write the sentinel after all that an activation wrote."""
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or replaced by something else
            pass
        os.write(descriptor, SENTINEL)


def unpack(archive: bytes) -> None:
    """Unpack an archive of code into the folder of actions; raises ValueError for one that is no archive, or a bomb."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if sum(entry.file_size for entry in opened.infolist()) > MOST_UNPACKED_BYTES:
                raise ValueError(f"the archive unpacks to more than {MOST_UNPACKED_BYTES >> 20} MB")
            opened.extractall(FOLDER)
            _restore_modes(opened)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"the archive does not unpack: {error}") from error


def _restore_modes(opened: zipfile.ZipFile) -> None:
    for entry in opened.infolist():
        mode = entry.external_attr >> 16 & 0o777
        if mode and not entry.is_dir():
            os.chmod(os.path.join(FOLDER, entry.filename), mode | 0o400)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 1 << 10):
        pass
    os._exit(0)
