"""Where an instance is asked to drain, and to take new flows again: a Unix socket that answers the run's user alone.

Clients of the emulated network, and programs of a scenario, reach every port of an instance; what they send must not
change its state. The socket is an abstract one, of the instance's network namespace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from testbed.linux.unix_peers import is_trusted
from testbed.runtime.lifecycle import ProcessFailure

NAME = "\0dyncast/instance/{admin_port}"
STATES = ("up", "draining")
_LONGEST_LINE = 64
_PATIENCE_S = 5.0


class StateSocket:
    """Take a line with one of STATES, and answer with the same line; others are answered `refused`."""

    def __init__(self, set_state: Callable[[str], None]) -> None:
        self._set_state = set_state
        self._server: asyncio.AbstractServer | None = None

    async def serve(self, admin_port: int) -> None:
        """Serve from now on. Raises ProcessFailure."""
        name = NAME.format(admin_port=admin_port)
        try:
            self._server = await asyncio.start_unix_server(self._converse, name, limit=_LONGEST_LINE)
        except OSError as error:
            raise ProcessFailure(f"the socket @{name[1:]} cannot be had: {error.strerror}") from error

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if is_trusted(writer.get_extra_info("socket")):
                with suppress(OSError, ValueError, asyncio.TimeoutError):
                    line = await asyncio.wait_for(reader.readline(), _PATIENCE_S)
                    writer.write(self._answer(line.decode("ascii", "replace").strip()) + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    def _answer(self, state: str) -> bytes:
        if state not in STATES:
            return b"refused"
        self._set_state(state)
        return state.encode()
