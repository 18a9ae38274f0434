"""A service instance at its plainest, started as a program: `echo_server.py NAME READY_FILE LOG_FILE ADDRESS…`.

TCP port 80 and UDP ports 5004 to 5007 of each address answer what they get, with the instance's name in front. A UDP
datagram `stream` starts one datagram every 50 ms to its sender, until `stop` comes. The log has one line for each
connection and datagram: what a test may trust to say which instance saw what.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, TextIO

TCP_PORT = 80
UDP_PORTS = range(5004, 5008)  # audio, video, and the RTCP of each
UDP_PORT = UDP_PORTS[0]
_STREAM_INTERVAL_S = 0.05


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, name: str, log: TextIO) -> None:
        self._name = name.encode()
        self._log = log
        self._streams: dict[Any, asyncio.Task[None]] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        print("udp", *address[:2], data.decode(), file=self._log)
        if data == b"stream":
            self._streams[address] = asyncio.get_running_loop().create_task(self._stream(address))
        elif data == b"stop":
            self._streams.pop(address).cancel()
        else:
            self._transport.sendto(self._name + b" " + data, address)

    async def _stream(self, address: Any) -> None:
        while True:
            self._transport.sendto(self._name + b" streams", address)
            await asyncio.sleep(_STREAM_INTERVAL_S)


async def _serve(name: str, ready: Path, log: TextIO, addresses: list[str]) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        print("tcp", *writer.get_extra_info("peername")[:2], file=log)
        while line := await reader.readline():
            writer.write(name.encode() + b" " + line)
        writer.close()

    loop = asyncio.get_running_loop()
    for address in addresses:
        await asyncio.start_server(converse, address, TCP_PORT)
        for port in UDP_PORTS:
            await loop.create_datagram_endpoint(lambda: _Datagrams(name, log), (address, port))
    ready.touch()
    await loop.create_future()


if __name__ == "__main__":
    with Path(sys.argv[3]).open("w", buffering=1) as stream:
        asyncio.run(_serve(sys.argv[1], Path(sys.argv[2]), stream, sys.argv[4:]))
