"""An OpenFlow session of our own at a bridge's management socket, beside the one that the switch opened.

For what the framework's session cannot do, or does slowly. Owns the socket, the greeting and the reading of whole
messages; knows nothing of what is asked. The caller waits for the answer, and others must wait for their turn.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from struct import pack, unpack

from ryu_apps.openflow.framework import ofproto_v1_3 as ofp  # what is used of it is the same in all later versions
from testbed.errors import TestbedError

_TIMEOUT_S = 5.0
_HEADER = 8


class SessionError(TestbedError):
    """The switch does not answer; one line."""


class VersionRefused(SessionError):
    """The switch does not speak this version of OpenFlow; asking again would not help."""


class ManagementSession:
    """A session of one version of OpenFlow. Opened when first used, and again after it broke."""

    def __init__(self, management_socket: Path, version: int) -> None:
        self._path = management_socket
        self._version = version
        self._session: socket.socket | None = None
        self._xid = 0

    def ask(self, messages: bytes) -> list[tuple[int, bytes]]:
        """Have the switch carry out messages; return its answers (errors are among them), each as a kind and a body.

        Raises SessionError, VersionRefused.
        """
        try:
            return self._ask(messages)
        except OSError as error:
            self.close()
            raise SessionError(f"{self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            with suppress(OSError):
                self._session.close()
            self._session = None

    def _ask(self, messages: bytes) -> list[tuple[int, bytes]]:
        session = self._opened()
        session.sendall(messages + self._message(ofp.OFPT_BARRIER_REQUEST))
        answers: list[tuple[int, bytes]] = []
        while True:
            kind, body = _receive(session)
            if kind == ofp.OFPT_BARRIER_REPLY:
                return answers
            if kind == ofp.OFPT_ECHO_REQUEST:
                session.sendall(self._message(ofp.OFPT_ECHO_REPLY, body))
            else:
                answers.append((kind, body))

    def _opened(self) -> socket.socket:
        if self._session is None:
            session = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            session.settimeout(_TIMEOUT_S)
            session.connect(str(self._path))
            session.sendall(self._message(ofp.OFPT_HELLO))
            kind, _ = _receive(session)
            if kind != ofp.OFPT_HELLO:
                session.close()
                raise VersionRefused(f"{self._path}: the switch does not speak OpenFlow version {self._version}")
            self._session = session
        return self._session

    def _message(self, kind: int, body: bytes = b"") -> bytes:
        self._xid += 1
        return pack("!BBHI", self._version, kind, _HEADER + len(body), self._xid) + body


def _receive(session: socket.socket) -> tuple[int, bytes]:
    _, kind, length, _ = unpack("!BBHI", _exactly(session, _HEADER))
    return kind, _exactly(session, length - _HEADER)


def _exactly(session: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = session.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the switch closed the session")
        data += part
    return bytes(data)
