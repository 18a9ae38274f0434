"""The process that the benchmark asks: an ALTO server, and beside it what its HTTP library does alone with such a body.

Both are on the same loop, and one is asked at a time. Orders come in as lines, answers go out as lines of JSON:
`change`: one cost becomes another; `memory`: what the process has.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from aiohttp import web

from testbed.agents.alto_server.server import AltoServer, Place
from testbed.alto.media_types import COST_MAP
from testbed.alto.network import directories
from testbed.alto.network.static_knowledge import NETWORK_MAP
from testbed.benchmarks.alto import known_costs
from testbed.benchmarks.instruments.process_cost import memory
from testbed.terminal import console as terminal


class _Serving:
    def __init__(self, pids: int) -> None:
        self._empty_mib = memory(os.getpid()).rss
        self._known = known_costs.knowledge(pids)
        self._directory = directories.directory([known_costs.COST_TYPE])
        self._changes = 0
        self._server: AltoServer

    async def begin(self) -> dict[str, Any]:
        """Serve; return where, and how long a body is."""
        cost_map = self._known.cost_map(self._known.network_maps[NETWORK_MAP], known_costs.COST_TYPE)
        octets = cost_map.octets

        async def static(_request: web.BaseRequest) -> web.Response:
            return web.Response(body=octets, content_type=COST_MAP)

        alone = await asyncio.get_running_loop().create_server(web.Server(static, access_log=None), "127.0.0.1", 0)
        self._server = AltoServer(Place(), self._known, self._directory, directories.DIRECTORY_PATH)
        url = await self._server.begin()
        return {
            "port": int(url.rsplit(":", 1)[1].partition("/")[0]),
            "static_port": alone.sockets[0].getsockname()[1],
            "octets": len(octets),
            "empty_mib": self._empty_mib,
        }

    def obey(self, order: str) -> dict[str, Any]:
        """Do what a line says."""
        if order == "memory":
            return {"mib": memory(os.getpid()).rss}
        self._changes += 1
        begun_s = time.monotonic()
        self._known = known_costs.changed(self._known, self._changes)
        self._server.update(self._known)
        return {"begun_s": begun_s, "took_ms": 1000 * (time.monotonic() - begun_s)}


async def _serve(pids: int) -> None:
    serving = _Serving(pids)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _say(await serving.begin())
    while line := await orders.readline():
        _say(serving.obey(line.decode().strip()))


def _say(document: dict[str, Any]) -> None:
    terminal.document(json.dumps(document) + "\n")


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
