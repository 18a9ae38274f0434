"""When packets came, by the kernel, however late they are read."""

from __future__ import annotations

import select
import socket
import time

from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals
from testbed.runtime.polling import wait_until


def _known_and_came_s(sender: socket.socket, receiver: socket.socket) -> tuple[float, float]:
    """When a packet was known to be there, 20 ms before it was read, and when it came by its stamp."""
    sender.sendto(b"x", receiver.getsockname())
    assert select.select([receiver], [], [], 5)[0]
    known_s = time.monotonic()
    while time.monotonic() < known_s + 0.02:
        pass
    _, ancillary, _, _ = receiver.recvmsg(1, ARRIVAL_BYTES)
    return known_s, arrival_s(ancillary)


def _stamped_in_time(sender: socket.socket, receiver: socket.socket) -> tuple[float, float] | None:
    known_s, came_s = _known_and_came_s(sender, receiver)
    return (known_s, came_s) if came_s < known_s + 0.001 else None


def test_a_packet_has_the_time_when_it_came_and_not_when_it_was_read() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 0))
        ask_for_arrivals(receiver)
        sent_s = time.monotonic()
        # Where nobody had asked before, the kernel begins to stamp a moment later; until then a packet comes when read.
        known_s, came_s = wait_until(
            lambda: _stamped_in_time(sender, receiver),
            what="the kernel to stamp packets when they come",
        )
    assert sent_s - 1 < came_s < known_s + 0.001


def test_without_the_kernel_s_word_it_came_now() -> None:
    before_s = time.monotonic()
    assert before_s <= arrival_s([(0, 0, b"")]) <= time.monotonic()
