"""Source ports of flows: each its own, in turn, and free again as soon as a connection has ended."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address

import pytest

from traffic.sockets import FIRST_PORT, PORT_COUNT, BoundSocket, LocalLimitError, SocketSource

# Of the loopback interface, and of this process alone: an ended connection keeps its port for a minute.
_ADDRESS = f"127.77.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"


def _source(max_sockets: int = 8) -> SocketSource:
    return SocketSource({4: ip_address(_ADDRESS)}, max_sockets)


def test_ports_come_in_turn() -> None:
    source = _source()
    opened = [source.open(socket.SOCK_DGRAM, 4) for _ in range(3)]
    assert [port for _, port in opened] == [FIRST_PORT, FIRST_PORT + 1, FIRST_PORT + 2]
    for each, _ in opened:
        source.close(each)
    assert source.open_count == 0


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_passed_over(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((_ADDRESS, FIRST_PORT))
        source = _source()
        opened, port = source.open(kind, 4)
        source.close(opened)
    assert port == FIRST_PORT + 1


def test_the_port_of_an_ended_connection_serves_again_at_once() -> None:
    with socket.create_server((_ADDRESS, 0)) as listening:
        source = _source()
        client, port = source.open(socket.SOCK_STREAM, 4)
        client.setblocking(True)
        client.connect(listening.getsockname())
        with listening.accept()[0]:
            client.shutdown(socket.SHUT_WR)  # who closes first is left with TIME_WAIT
        assert client.recv(1) == b""
        source.close(client)
        again = _source()
        opened, same_port = again.open(socket.SOCK_STREAM, 4)
        again.close(opened)
    assert same_port == port


def test_no_more_sockets_than_allowed() -> None:
    source = _source(max_sockets=1)
    opened, _ = source.open(socket.SOCK_DGRAM, 4)
    with pytest.raises(LocalLimitError, match="1 sockets are open"):
        source.open(socket.SOCK_DGRAM, 4)
    source.close(opened)


def test_the_ports_of_a_call_are_neighbours_from_a_multiple_of_the_block() -> None:
    source = _source(max_sockets=100)
    single, _ = source.open(socket.SOCK_DGRAM, 4)
    blocks = [[port for _, port in _closed(source.open_block(4, 4, 8))] for _ in range(2)]
    _, after = source.open(socket.SOCK_DGRAM, 4)
    single.close()
    assert blocks == [list(range(first, first + 4)) for first in (FIRST_PORT + 8, FIRST_PORT + 16)]
    assert after == FIRST_PORT + 24  # none of a call's block
    assert source.open_count == 10


def test_a_block_with_a_port_in_use_is_passed_over_and_nothing_of_it_closed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((_ADDRESS, FIRST_PORT + 2))
        source = _source()
        block = _closed(source.open_block(4, 4, 4))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third:
            third.bind((_ADDRESS, FIRST_PORT))
    assert [port for _, port in block] == list(range(FIRST_PORT + 4, FIRST_PORT + 8))


def test_blocks_come_round_again() -> None:
    source = _source()
    for _ in range(PORT_COUNT // 4096 + 1):
        block = source.open_block(4, 4, 4096)
        for each, _ in block:
            source.close(each)
    assert block[0].port == FIRST_PORT


def test_a_call_takes_all_its_sockets_or_none() -> None:
    source = _source(max_sockets=7)
    _closed(source.open_block(4, 4, 4))
    with pytest.raises(LocalLimitError, match="4 of 7 sockets are open"):
        source.open_block(4, 4, 4)
    assert source.open_count == 4


def _closed(block: list[BoundSocket]) -> list[BoundSocket]:
    for each, _ in block:
        each.close()
    return block
