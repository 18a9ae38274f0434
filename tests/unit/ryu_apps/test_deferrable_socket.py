"""Deferrable messages lie in their socket until it is read; the kernel says when each came."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from ryu_apps.dyncast.config.deferrable import DeferrableConfig
from ryu_apps.dyncast.deferrable_socket import DeferrableSocket
from testbed.runtime.polling import wait_until


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.2", 0))
        ours.settimeout(10)
        yield ours


@pytest.fixture
def deferrable(peer: socket.socket) -> DeferrableSocket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port = peer.getsockname()[1]
    bound.bind(("127.0.0.1", port))
    return DeferrableSocket(DeferrableConfig(bound.detach(), port))


def test_messages_come_in_order_with_their_sender_and_the_time_at_which_they_came(
    deferrable: DeferrableSocket, peer: socket.socket
) -> None:
    def came_when_sent() -> bool:
        begin_s = time.monotonic()
        for data in (b"first", b"second"):
            peer.sendto(data, ("127.0.0.1", peer.getsockname()[1]))
        sent_s = time.monotonic()
        time.sleep(0.05)
        received = list(deferrable.received(time.monotonic()))
        assert [(data, sender) for data, sender, _ in received] == [(b"first", "127.0.0.2"), (b"second", "127.0.0.2")]
        return all(begin_s - 0.01 <= came_s <= sent_s + 0.01 for _, _, came_s in received)

    # Where nobody had asked before, the kernel begins to stamp a moment later; until then a packet comes when read.
    wait_until(came_when_sent, what="the kernel to stamp packets when they come")


def test_nothing_that_came_is_nothing(deferrable: DeferrableSocket) -> None:
    assert list(deferrable.received(1.0)) == []


@pytest.mark.root  # others get as much as the system allows
def test_reports_of_thousands_of_instances_are_kept(deferrable: DeferrableSocket, peer: socket.socket) -> None:
    for _ in range(500):
        peer.sendto(bytes(1400), ("127.0.0.1", peer.getsockname()[1]))
    assert len(list(deferrable.received(1.0))) == 500


def test_it_must_be_read_a_third_of_a_second_after_it_was(deferrable: DeferrableSocket) -> None:
    assert deferrable.next_timer_s() < time.monotonic()
    list(deferrable.received(7.0))
    assert deferrable.next_timer_s() == 7.35


def test_a_message_goes_to_the_port_at_which_all_have_theirs(deferrable: DeferrableSocket, peer: socket.socket) -> None:
    deferrable.send(b"probe", "127.0.0.2")
    assert peer.recv(100) == b"probe"
