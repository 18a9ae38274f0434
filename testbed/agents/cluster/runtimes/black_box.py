"""The runtime `blackbox`: any program that serves the contract by HTTP at $PORT. Runs inside a container.

The program is `exec` of a layer, started with the container, or `exec` of the action's archive, started by /init. It
sees the contract alone: what comes from the cluster goes on to its port octet by octet, and back.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import contract  # type: ignore[import-not-found]

PORT = 8080
_PROGRAM = "exec"
_LOOK_EVERY_S = 0.005
_INIT_WAIT_S = 60.0


def main() -> None:
    """Forward between the cluster and the program, until either is gone."""
    listening = contract.come_alive()
    layer = sys.argv[1] if len(sys.argv) > 1 else ""
    if layer:
        _start(os.path.join("/layers", layer))
        _wait_until_served(None)
    contract.report_ready()
    while True:
        connection, _ = listening.accept()
        with connection:
            if not layer and not _has_started(connection):
                continue
            _forward(connection)


_started: list[subprocess.Popen[bytes]] = []
_pending: list[bytes] = []  # the request to /init, which the program itself shall have, too


def _has_started(connection: socket.socket) -> bool:
    """Take in the request that brings the program, and start it; return whether it runs."""
    if _started:
        return True
    for path, head, body in contract.requests(connection):
        try:
            if path != "/init":
                raise ValueError("the container was not initialised")
            value = json.loads(body)["value"]
            os.environ.update({key: str(content) for key, content in (value.get("env") or {}).items()})
            contract.unpack(base64.b64decode(value["code"]))
            _start(contract.FOLDER)
            _wait_until_served(time.monotonic() + _INIT_WAIT_S)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            contract.mark_end_of_logs()
            contract.respond(connection, 502, {"error": f"the program does not start: {error}"})
            continue
        _pending.append(head + body)
        return True
    return False


def _start(folder: str) -> None:
    program = os.path.join(folder, _PROGRAM)
    process = subprocess.Popen([program], cwd=folder, env={**os.environ, "PORT": str(PORT)}, stdin=subprocess.DEVNULL)
    _started.append(process)
    threading.Thread(target=lambda: (process.wait(), os._exit(1)), daemon=True).start()


def _wait_until_served(until_s: float | None) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
            return
        except OSError:
            if until_s is not None and time.monotonic() > until_s:
                raise
            time.sleep(_LOOK_EVERY_S)


def _forward(connection: socket.socket) -> None:
    with socket.create_connection(("127.0.0.1", PORT)) as program:
        program.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _pending:
            program.sendall(_pending.pop())
        back = threading.Thread(target=_copy, args=(program, connection), daemon=True)
        back.start()
        _copy(connection, program)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while part := source.recv(1 << 16):
            sink.sendall(part)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


if __name__ == "__main__":
    main()
