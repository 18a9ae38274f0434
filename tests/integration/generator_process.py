"""The generator process, and what it talks to: a TCP server and a UDP peer that answer as a test says."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.records.parts import whole_rows
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival
from traffic.content.packets import build_stream

REPOSITORY = Path(__file__).parents[2]
ANSWER = b"HTTP/1.1 200 OK\r\nX-Dyncast-Instance: one@here\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextmanager
def running(begin: Callable[[], Coroutine[Any, Any, Any]]) -> Iterator[Any]:
    """Run an event loop in a thread for as long as the block lasts; yield what `begin` returns there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(cancel_others(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class TcpPeer:
    """A TCP server that answers each request as `mode` says, and keeps the requests."""

    def __init__(self, mode: str, address: str = "127.0.0.1") -> None:
        self.mode = mode
        self.address = address
        self.port = 0
        self.requests: list[bytes] = []

    async def begin(self) -> TcpPeer:
        server = await asyncio.start_server(self._serve, self.address, 0, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        if self.mode == "silent":
            await asyncio.Event().wait()
        elif self.mode == "reset":
            linger_none = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
        else:
            writer.write(
                {
                    "answer": ANSWER,
                    "busy": b"HTTP/1.1 503 Busy\r\nX-Dyncast-Instance: one@here\r\nContent-Length: 0\r\n\r\n",
                    "short": ANSWER[:-1],
                    "missing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                    "garbage": b"\x00\x01\x02\r\n\r\n",
                }[self.mode]
            )
        writer.close()


class UdpPeer(asyncio.DatagramProtocol):
    """A UDP peer: `answers` maps the how-manieth packet of a source, and the packet, to what goes back."""

    def __init__(self, answers: Callable[[int, bytes], list[bytes]], address: str = "127.0.0.1") -> None:
        self._answers = answers
        self.address = address
        self.port = 0
        self.received: dict[Any, list[bytes]] = {}

    async def begin(self) -> UdpPeer:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(self.address, 0)
        )
        self.port = transport.get_extra_info("sockname")[1]
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        of_source = self.received.setdefault(address, [])
        of_source.append(data)
        for answer in self._answers(len(of_source) - 1, data):
            self._transport.sendto(answer, address)  # type: ignore[attr-defined]


def echo(_: int, data: bytes) -> list[bytes]:
    return [data]


class Client:
    """A generator's configuration, its process and its results."""

    def __init__(self, folder: Path, source: dict[str, str] | None = None, **keys: object) -> None:
        self.folder = folder
        self.keys = {"source": source or {"4": "127.0.0.1"}, **keys}
        self.workloads: list[dict[str, Any]] = []

    def http(
        self, port: int, arrivals: list[Arrival], name: str = "jobs", d_sid: str = "127.0.0.1", **keys: object
    ) -> None:
        path = self.folder / f"{name}.csv"
        arrivals_file.write(path, "work_ms", arrivals)
        common = {"kind": "http", "name": name, "service": "render", "d_sid": d_sid, "port": port}
        self.workloads.append(
            {**common, "arrivals_file": str(path), "request_bytes": 200, "response_bytes": 2000, **keys}
        )

    def rtp(
        self,
        port: int,
        arrivals: list[Arrival],
        media: str = "audio",
        name: str = "calls",
        d_sid: str = "127.0.0.1",
        **keys: object,
    ) -> None:
        path, stream = self.folder / f"{name}.csv", self.folder / f"{name}.stream"
        arrivals_file.write(path, "duration_s", arrivals)
        stream.write_bytes(build_stream(media, 0.2))
        common = {"kind": "rtp", "name": name, "service": "conference", "d_sid": d_sid, "port": port}
        self.workloads.append(
            {**common, "arrivals_file": str(path), "stream_file": str(stream), "media": media, **keys}
        )

    def start(self, delay_s: float = 0.3, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        config = {
            "name": "client-1",
            "client": "client-1",
            "site": "here",
            "start_s": time.monotonic() + delay_s,
            "out_dir": str(self.folder),
            "workloads": self.workloads,
            **self.keys,
        }
        path = self.folder / "client-1.json"
        path.write_text(json.dumps(config))
        command = [*prefix, sys.executable, "-m", "traffic.generator", str(path)]
        return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)

    def run(self, prefix: tuple[str, ...] = ()) -> None:
        process = self.start(prefix=prefix)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")

    def rows(self, table: str) -> list[dict[str, str]]:
        return list(whole_rows(self.folder / f"{table}.client-1.part.csv"))

    def summary(self) -> dict[str, Any]:
        return json.loads((self.folder / "client-1.generator.json").read_text())


def outcomes(rows: list[dict[str, str]]) -> Counter[str]:
    return Counter(row["outcome"] for row in rows)


def closed_port(kind: socket.SocketKind, above: int = 9000 + os.getpid() % 6000) -> int:
    """Return a port nobody listens on, below those that clients take."""
    for port in range(above, 16_000):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")
