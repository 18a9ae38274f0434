"""What an ALTO server of 1,000 PIDs sends: the whole map, one changed cost, costs of 100 endpoints; and its memory.

The map is served from octets that were made once, so the baseline is the HTTP library that hands out a body which
somebody has in memory. A changed cost counts from when the server's process is told of it until a client that follows
the map has the event decoded.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from testbed.alto import media_types
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest
from testbed.benchmarks.alto import known_costs
from testbed.benchmarks.alto.asking import Connection, Stream, Unanswered, request
from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, compare, measure
from testbed.benchmarks.instruments.process_cost import cpu_s
from testbed.runtime import caller

PIDS, ENDPOINTS = 1000, 100
_WHOLE_MAP = request("GET", known_costs.MAP_PATH, Accept=media_types.COST_MAP)
_MAP_GOAL = Goal(0.8, Better.HIGHER)
_PATCH_GOAL = Goal(1.0, Better.LOWER)
_PUSHED_GOAL = Goal(10.0, Better.LOWER)
_ENDPOINTS_GOAL = Goal(2000.0, Better.HIGHER)


class _Server:
    """The process that is asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        said = self._read()
        self.port, self.static_port = int(said["port"]), int(said["static_port"])
        self.octets, self.empty_mib = int(said["octets"]), float(said["empty_mib"])

    @property
    def cpu_s(self) -> float:
        """How much of a core it has used so far."""
        return cpu_s(self._process.pid)

    def order(self, what: str) -> dict[str, Any]:
        """Have it do something; return what it says of that."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Unanswered("the server's process ended")
        document: dict[str, Any] = json.loads(line)
        return document


@contextmanager
def _serving(pids: int) -> Iterator[_Server]:
    command = caller.python_module("testbed.benchmarks.alto.serving", str(pids))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Server(process)
    finally:
        process.terminate()
        process.communicate()


def _rows(settings: Settings) -> Iterator[Row]:
    with _serving(PIDS) as server:
        yield _whole_map(server, settings)
        yield _memory(server)
        yield from _one_change(server, settings)
        yield from _endpoint_costs(server, settings)


def _whole_map(server: _Server, settings: Settings) -> Row:
    maps = 5 if settings.quick else 20

    def rate(connection: Connection) -> float:
        begun_s = time.perf_counter()
        for _ in range(maps):
            if len(connection.ask(_WHOLE_MAP).body) != server.octets:
                raise Unanswered("the map has another length")
        return maps / (time.perf_counter() - begun_s)

    ours, static = (Connection(port, server.octets) for port in (server.port, server.static_port))
    for connection in (ours, static):
        connection.ask(_WHOLE_MAP)
    row = compare(
        f"the whole cost map of {PIDS:,} PIDs", "1/s", lambda: rate(ours), lambda: rate(static), 2 * settings.rounds,
        note=f"{_mib(server.octets):.1f} MiB each; baseline: aiohttp, a body in memory", goal=_MAP_GOAL,
    )  # fmt: skip
    for connection in (ours, static):
        connection.close()
    return row


def _memory(server: _Server) -> Row:
    """Return what the server has that was just asked for the map it has; the baseline's body is the same octets."""
    held_mib = server.order("memory")["mib"]
    each = (held_mib - server.empty_mib) * (1 << 20) / PIDS**2
    note = f"{server.empty_mib:.0f} MiB before it knew anything, then {each:.0f} bytes a cost"
    return measure(f"memory of a server of {PIDS:,} PIDs", "MiB", [held_mib], note=note)


def _after_a_change(server: _Server, connection: Connection) -> float:
    server.order("change")
    begun_s = time.perf_counter()
    connection.ask(_WHOLE_MAP)
    return 1000 * (time.perf_counter() - begun_s)


def _one_change(server: _Server, settings: Settings) -> Iterator[Row]:
    body = StreamRequest(add={"1": AddSubstream(known_costs.MAP_ID)}).encoded()
    asked = request("POST", "/updates", body, Content_Type=media_types.UPDATE_STREAM_PARAMS)
    connection = Connection(server.port)
    stream = connection.follow(asked)
    while not stream.next().kind.startswith(media_types.COST_MAP):
        pass
    changes = 20 if settings.quick else 100
    rounds = [_changes(server, stream, changes) for _ in range(settings.rounds)]
    connection.close()
    yield measure(
        "one changed cost, until a client has it", "ms", [median(ms for ms, _, _ in found) for found in rounds],
        note=f"p50; the server takes {median(took for found in rounds for _, took, _ in found):.2g} ms of it",
        goal=_PUSHED_GOAL,
    )  # fmt: skip
    share = [100 * max(octets for _, _, octets in found) / server.octets for found in rounds]
    yield measure("one changed cost, of the map's octets", "%", share, note="the event's data", goal=_PATCH_GOAL)
    again = Connection(server.port, server.octets)
    whole_ms = [_after_a_change(server, again) for _ in range(2 * settings.rounds)]
    again.close()
    yield measure("the whole map after a change", "ms", whole_ms, note="put together again; one row is new")


def _changes(server: _Server, stream: Stream, count: int) -> list[tuple[float, float, int]]:
    """Have costs change one after another; return of each how long it took, the server's part, and the octets."""
    found = []
    for _ in range(count):
        said = server.order("change")
        event = stream.next()
        had_s = time.monotonic()
        if not event.kind.startswith(media_types.MERGE_PATCH):
            raise Unanswered(f"no patch was pushed, but {event.kind}")
        found.append((1000 * (had_s - said["begun_s"]), said["took_ms"], len(event.data)))
    return found


def _endpoint_costs(server: _Server, settings: Settings) -> Iterator[Row]:
    source, *destinations = known_costs.endpoints(PIDS, ENDPOINTS + 1)
    document = {
        "cost-type": known_costs.COST_TYPE.document(),
        "endpoints": {"srcs": [source], "dsts": destinations},
    }
    body = json.dumps(document).encode()
    asked = request("POST", "/endpoints/costs", body, Content_Type=media_types.ENDPOINT_COST_PARAMS)
    connection = Connection(server.port)
    answer = json.loads(bytes(connection.ask(asked).body))
    if len(next(iter(answer["endpoint-cost-map"].values()))) != ENDPOINTS:
        raise Unanswered("costs are missing")
    requests = 500 if settings.quick else 2000

    def per_core() -> float:
        before_s = server.cpu_s
        for _ in range(requests):
            if connection.ask(asked).status != 200:
                raise Unanswered("a request was refused")
        return requests / (server.cpu_s - before_s)

    rates = [per_core() for _ in range(settings.rounds)]
    connection.close()
    yield measure(
        f"costs to {ENDPOINTS} endpoints, requests on a core", "1/s", rates,
        note="by the CPU time of the server's process", goal=_ENDPOINTS_GOAL,
    )  # fmt: skip


def _mib(octets: int) -> float:
    return octets / (1 << 20)


BENCHMARK = Benchmark("alto", "what an ALTO server of 1,000 PIDs sends, how soon, and its memory", _rows)
