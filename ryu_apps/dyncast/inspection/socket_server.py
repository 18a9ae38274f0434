"""The Unix socket at which a control process is looked into: requests and answers of one line of JSON each.

Owns the socket and the conversation (docs/inspect.md), not what is said. Each answer is made between two packets, in a
few milliseconds; a client that wants more asks again. The socket is an abstract one: it has no file that could stay
behind, and is seen in this network namespace only. It talks to root and to who owns this process, to nobody else.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from struct import Struct
from typing import Any

from ryu_apps.openflow.framework import hub
from testbed.errors import TestbedError
from testbed.runtime.config import ConfigError

_LONGEST_REQUEST = 4096
_PATIENCE_S = 30.0
_CONVERSATIONS = 8
_CREDENTIALS = Struct("=3i")  # pid, uid, gid

Answer = Callable[[Mapping[str, Any]], Mapping[str, object]]


class RequestError(TestbedError, ValueError):
    """A request that cannot be answered, in one line."""


class InspectionSocket:
    """Answer requests with what `answer` returns; it may raise RequestError. Raises ConfigError for a taken name."""

    def __init__(self, name: str, answer: Answer, logger: logging.Logger) -> None:
        self._answer = answer
        self._logger = logger
        self._open = 0
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listening.bind(f"\0{name}")
        except OSError as error:
            raise ConfigError(f"inspection_socket: {name!r} cannot be used: {error.strerror}") from error
        self._listening.listen(_CONVERSATIONS)

    def serve(self) -> None:
        """Serve until the thread is killed."""
        while True:
            connection, _ = self._listening.accept()
            if self._open < _CONVERSATIONS and _is_trusted(connection):
                self._open += 1
                hub.spawn(self._converse, connection)
            else:
                connection.close()

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_S)
        try:
            with connection, connection.makefile("rb") as requests, suppress(OSError):
                while line := requests.readline(_LONGEST_REQUEST):
                    connection.sendall(json.dumps(self._respond(line)).encode() + b"\n")
        finally:
            self._open -= 1

    def _respond(self, line: bytes) -> Mapping[str, object]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise RequestError("a request must be a JSON object")
            return self._answer(request)
        except ValueError as error:
            return {"error": str(error)}
        except Exception as error:
            # Whoever looks must not end the D-Router that is looked at.
            self._logger.exception("a request could not be answered")
            return {"error": f"{type(error).__name__}: {error}"}


def _is_trusted(connection: socket.socket) -> bool:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1] in (0, os.geteuid())
