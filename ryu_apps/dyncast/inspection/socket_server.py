"""The Unix socket at which a control process is looked into: requests and answers of one line of JSON each.

Owns the socket and the conversation (docs/inspect.md), not what is said. Each answer is made between two packets, in a
few milliseconds; a client that wants more asks again. The socket is an abstract one: it has no file that could stay
behind, and is seen in this network namespace only. It answers root and the owner of this process, nobody else.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ryu_apps.openflow.framework import hub
from testbed import json_documents
from testbed.errors import TestbedError
from testbed.linux.unix_peers import is_trusted
from testbed.runtime.config import ConfigError
from testbed.runtime.message_errors import MessageErrors

_LONGEST_REQUEST = 4096
_PATIENCE_S = 30.0
_CONVERSATIONS = 8

Answer = Callable[[Mapping[str, Any]], Mapping[str, object]]


class RequestError(TestbedError, ValueError):
    """A request that cannot be answered, in one line."""


class InspectionSocket:
    """Answer requests with what `answer` returns; it may raise RequestError. Raises ConfigError for a taken name."""

    def __init__(self, name: str, answer: Answer, errors: MessageErrors) -> None:
        self._answer = answer
        self._errors = errors
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
            if self._open < _CONVERSATIONS and is_trusted(connection):
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
            request = json_documents.parse(line)
            if not isinstance(request, dict):
                raise RequestError("a request must be a JSON object")
            return self._answer(request)
        except ValueError as error:
            return {"error": str(error)}
        except Exception as error:
            # An inspection must not end the D-Router that is looked at.
            self._errors.note("inspection", error)
            return {"error": f"{type(error).__name__}: {error}"}
