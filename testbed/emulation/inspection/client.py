"""Looking into D-Routers that are up on this machine: find their control processes, ask them, reset their bindings.

Owns the names of the sockets and the client's side of the conversation (docs/inspect.md). What a row means is said in
`testbed.dyncast.nodes.inspection`. Flows that the switch binds are unknown to the control process: they are read from
the switch, by this process, when flows are asked for.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from itertools import chain, islice
from types import TracebackType
from typing import Any

from testbed.emulation.inspection import binding_tables
from testbed.emulation.switches import bridges
from testbed.emulation.switches.bridges import RunningBridge
from testbed.errors import TestbedError
from testbed.linux.unix_peers import is_trusted, peer_user

_TIMEOUT_S = 10.0
_RESET_TIMEOUT_S = 300.0  # a million bindings

Row = dict[str, Any]


class InspectionError(TestbedError):
    """A control process does not answer, or refuses; one line."""


def socket_name(bridge: str) -> str:
    """Return the name of the abstract Unix socket at which the control process of a bridge is looked into."""
    return f"dyncast/{bridge}/inspect"


class ControlProcess:
    """A conversation with the control process of one D-Router. All methods raise InspectionError."""

    def __init__(self, bridge: RunningBridge) -> None:
        self._bridge = bridge
        self._where = f"D-Router {bridge.d_router} of run {bridge.tag}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_TIMEOUT_S)
        try:
            self._socket.connect(f"\0{socket_name(bridge.name)}")
        except OSError as error:
            self._socket.close()
            raise InspectionError(
                f"{self._where}: its control process does not answer ({error.strerror or error}); "
                "did it end? the run's folder has its log"
            ) from error
        if not is_trusted(self._socket):
            owner = peer_user(self._socket)
            self._socket.close()
            raise InspectionError(f"{self._where}: a process of user {owner} listens in its place")
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> ControlProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answers.close()
        self._socket.close()

    def rows(self, section: str) -> Iterator[Row]:
        """Return the rows of a section, asking for the next page when they are wanted."""
        start: int | None = 0
        while start is not None:
            answer = self._ask({"section": section, "start": start})
            yield from answer["rows"]
            start = answer["following"]

    def reset(self, service: str | None) -> int:
        """End all bindings, or those of one service; return how many there were."""
        self._socket.settimeout(_RESET_TIMEOUT_S)
        return int(self._ask({"reset": True, "service": service})["reset"])

    def flows(self) -> Iterator[Row]:
        """Return the binding table: what the D-Router bound, then what the switch did."""
        yield from self.rows("flows")
        by_switch = {row["d_sid"] for row in self.rows("services") if row["bound_by"] == "switch"}
        if by_switch:
            for row in binding_tables.rows(self._bridge, time.monotonic()):
                document = row.document()
                if document["d_sid"] in by_switch:
                    yield {key: value for key, value in document.items() if key not in ("run", "d_router")}

    def _ask(self, request: Row) -> Row:
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            line = self._answers.readline()
        except OSError as error:
            raise InspectionError(f"{self._where}: its control process stopped answering: {error}") from error
        if not line:
            raise InspectionError(f"{self._where}: its control process closed the conversation; is it busy or ending?")
        answer: Row = json.loads(line)
        if "error" in answer:
            raise InspectionError(f"{self._where}: {answer['error']}")
        return answer


def document(bridge: RunningBridge, sections: list[str], most_flows: int | None) -> Row:
    """Return the document of docs/inspect.md about one D-Router; of flows at most so many rows (None: all)."""
    found: Row = {"run": str(bridge.tag), "d_router": bridge.d_router, "time_s": round(time.monotonic(), 6)}
    with ControlProcess(bridge) as control:
        for section in sections:
            if section != "flows":
                found[section] = list(control.rows(section))
                continue
            flows = control.flows()
            found["flows"] = list(islice(flows, most_flows))
            found["more_flows"] = next(chain(flows, [None])) is not None
    return found


def reset(bridge: RunningBridge, service: str | None) -> int:
    """End the bindings of one D-Router, of all services or one; return how many there were.

    When it returns, no packet goes by an old binding any more. Raises InspectionError, BridgeError.
    """
    with ControlProcess(bridge) as control:
        ended = control.reset(service)
    bridges.wait_until_heeded()
    return ended
