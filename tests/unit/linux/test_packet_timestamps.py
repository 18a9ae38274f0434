"""When packets came, by the kernel, however late they are read."""

from __future__ import annotations

import select
import socket
import time

from testbed.linux.packet_timestamps import ARRIVAL_BYTES, arrival_s, ask_for_arrivals


def test_a_packet_has_the_time_when_it_came_and_not_when_it_was_read() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 0))
        ask_for_arrivals(receiver)
        sent_s = time.monotonic()
        sender.sendto(b"x", receiver.getsockname())
        assert select.select([receiver], [], [], 5)[0]
        known_s = time.monotonic()
        while time.monotonic() < known_s + 0.02:
            pass
        _, ancillary, _, _ = receiver.recvmsg(1, ARRIVAL_BYTES)
        came_s = arrival_s(ancillary)
    assert sent_s - 1 < came_s < known_s + 0.001


def test_without_the_kernel_s_word_it_came_now() -> None:
    before_s = time.monotonic()
    assert before_s <= arrival_s([(0, 0, b"")]) <= time.monotonic()
