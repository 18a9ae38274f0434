"""The API of a cluster that is up, asked from the runner's or another process on this machine.

Owns the conversation: from within the network namespace of the cluster's host, so that it crosses no emulated link.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from types import TracebackType
from typing import Any, NamedTuple

from testbed.emulation.netns.namespaces import socket_in
from testbed.errors import TestbedError
from testbed.net.addresses import Address

_TIMEOUT_S = 30.0


class ClusterApiError(TestbedError):
    """A cluster does not answer, or answers nonsense; one line."""


class Reply(NamedTuple):
    """What a cluster answered."""

    status: int
    document: Any

    @property
    def problem(self) -> str:
        """What it says went wrong."""
        return (
            str(self.document.get("error", "it does not say why")) if isinstance(self.document, dict) else "it is odd"
        )


class ClusterApi:
    """A conversation with a cluster in the network namespace of process `pid`. All methods raise ClusterApiError."""

    def __init__(
        self, name: str, pid: int, address: Address, port: int, auth: str, tls: ssl.SSLContext | None = None
    ) -> None:
        """Connect; with `tls` by HTTPS."""
        self._name = name
        shown = base64.b64encode(auth.encode()).decode()
        self._fields = {"Authorization": f"Basic {shown}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(str(address), port, timeout=_TIMEOUT_S)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            self._connection.sock = socket_in(pid, family, socket.SOCK_STREAM)
            self._connection.sock.settimeout(_TIMEOUT_S)
            self._connection.sock.connect((str(address), port))
            if tls is not None:
                self._connection.sock = tls.wrap_socket(self._connection.sock, server_hostname=str(address))
        except OSError as error:
            self._connection.close()
            raise self._failed(error) from error

    def ask(self, method: str, path: str, document: Any = None) -> Reply:
        """Send a request, and return its answer."""
        body = None if document is None else json.dumps(document).encode()
        try:
            self._connection.request(method, path, body, self._fields)
            response = self._connection.getresponse()
            return Reply(response.status, json.loads(response.read()))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(error) from error

    def __enter__(self) -> ClusterApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def _failed(self, error: Exception) -> ClusterApiError:
        return ClusterApiError(f"{self._name} does not answer: {error or type(error).__name__}")
