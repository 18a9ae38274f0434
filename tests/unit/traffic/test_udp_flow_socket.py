"""A flow's socket: a datagram that cannot be handled is counted, and those after it are received."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from ipaddress import ip_address

from testbed.runtime.message_errors import MessageErrors
from traffic.sockets import SocketSource
from traffic.udp_flow_socket import UdpFlowSocket

_ADDRESS = ip_address(f"127.78.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}")


def test_an_error_in_one_datagram_ends_nothing() -> None:
    said: list[str] = []
    received: list[bytes] = []

    def take(data: bytes, _: float) -> None:
        if data == b"seeded":
            raise KeyError(data)
        received.append(data)

    async def exchange() -> Counter[str]:
        errors = MessageErrors(Counter(), said.append)
        source = SocketSource({4: _ADDRESS}, 8)
        opened, port = source.open(socket.SOCK_DGRAM, 4)
        flow = UdpFlowSocket(opened, source, asyncio.get_running_loop(), errors, take)
        with socket.socket(type=socket.SOCK_DGRAM) as server:
            server.bind((str(_ADDRESS), 0))
            flow.connect(_ADDRESS, server.getsockname()[1])
            for data in (b"seeded", b"seeded", b"good"):
                server.sendto(data, (str(_ADDRESS), port))
            while not received:
                await asyncio.sleep(0.001)
        flow.close()
        return errors.counters

    assert asyncio.run(exchange()) == {"unhandled_rtp": 2}
    assert received == [b"good"]
    assert len(said) == 1
