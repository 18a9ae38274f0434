"""Measure links from end to end, each direction by itself: frames from one interface of a link to the other.

Owns the frames, the sockets and the order of sending. All links are measured side by side. A frame is addressed to a
group that no bridge forwards (IEEE 802.1Q, table 8-1) and has an Ethertype for local experiments: neither Open vSwitch
nor a host does anything with it, so that it matters little what else goes on. When it arrived, the kernel says; on a
busy machine single frames are late all the same, so several are sent, and the fastest counts.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from testbed.emulation.links.backend import LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.link_measure import (
    PROBE_BYTES,
    TRAIN_FRAME_BYTES,
    MeasuredDirection,
    frame_ms,
    train_frames,
    train_rate_mbps,
)
from testbed.emulation.netns.namespaces import NamespaceError, entered
from testbed.linux.packet_filter import JEQ, LDH, RET, attach
from testbed.linux.packet_timestamps import ARRIVAL_BYTES, ask_for_arrivals, stamp_ns

PROBES, INTERVAL_S = 10, 0.06

_TRAINS = 3
_ETHERTYPE = 0x88B5
_ETH_P_ALL = 0x0003
_SO_RCVBUFFORCE = 33
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23
_HEADER = bytes.fromhex("0180c200000e" + "020000000000") + _ETHERTYPE.to_bytes(2, "big")
_BODY = struct.Struct("!8sIIQ")  # this measurement, direction, train (0: none, a frame by itself), when that was sent
_ONLY_OURS = [(LDH, 0, 0, 12), (JEQ, 0, 1, _ETHERTYPE), (RET, 0, 0, 128), (RET, 0, 0, 0)]
_BUFFER_BYTES = 1 << 23
_GRACE_S = 0.25  # after the last frame should have arrived


@dataclass
class _Direction:
    """One direction that is being measured; `trains`: when frames of each arrived, in ms after it was sent."""

    request: LinkRequest
    name: str
    sender: LinkEnd
    sent: int = 0
    received: int = 0
    least_ns: int | None = None
    trains: Mapping[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def measured(self) -> MeasuredDirection:
        return MeasuredDirection(
            label=self.request.label,
            direction=self.name,
            spec=self.request.spec,
            sent=self.sent,
            received=self.received,
            least_ms=None if self.least_ns is None else self.least_ns / 1e6,
            rate_mbps=train_rate_mbps(self.trains.values()),
        )


def measure(
    requests: Sequence[LinkRequest], *, probes: int = PROBES, interval_s: float = INTERVAL_S
) -> list[MeasuredDirection]:
    """Measure both directions of links that stand; takes a second or so, whatever their number. Raises LinkError.

    Each direction is sent `probes` small frames, one per interval, and then trains of large ones if it has a rate.
    """
    directions = [
        _Direction(request, name, sender)
        for request in requests
        for name, sender in (("a_to_b", request.a), ("b_to_a", request.b))
    ]
    if directions:
        with ExitStack() as stack:
            _Measurement(directions, stack).run(probes, interval_s)
    return [direction.measured() for direction in directions]


class _Measurement:
    """The sockets of one measurement, one for each namespace, and what goes through them."""

    def __init__(self, directions: Sequence[_Direction], stack: ExitStack) -> None:
        self._directions = directions
        self._token = os.urandom(8)
        self._poll = stack.enter_context(select.epoll())
        self._sockets: dict[int | None, socket.socket] = {}
        for pid in {end.netns_pid for each in directions for end in (each.request.a, each.request.b)}:
            opened = stack.enter_context(_packet_socket(pid))
            self._sockets[pid] = opened
            self._poll.register(opened, select.EPOLLIN)
        self._by_descriptor = {opened.fileno(): opened for opened in self._sockets.values()}

    def run(self, probes: int, interval_s: float) -> None:
        begun_s = time.monotonic()
        for at_s, direction, train in self._schedule(probes, interval_s):
            self._receive_until(begun_s + at_s)
            self._send(direction, train)
        deadline_s = time.monotonic() + max(map(_longest_s, self._directions)) + _GRACE_S
        while time.monotonic() < deadline_s and not all(map(_is_whole, self._directions)):
            self._receive_until(min(deadline_s, time.monotonic() + 0.01))

    def _schedule(self, probes: int, interval_s: float) -> Iterator[tuple[float, int, int]]:
        """Yield what is sent when: the directions one after the other, evenly over each interval."""
        everyone = range(len(self._directions))
        rated = [number for number in everyone if train_frames(self._directions[number].request.spec)]
        for probe in range(probes):
            yield from ((interval_s * (probe + number / len(everyone)), number, 0) for number in everyone)
        if not rated:
            return
        slot_s = interval_s + max(_train_s(self._directions[number]) for number in rated)
        for train in range(_TRAINS):
            begin_s = interval_s * probes + slot_s * train
            for index, number in enumerate(rated):
                yield begin_s + interval_s * index / len(rated), number, train + 1

    def _send(self, number: int, train: int) -> None:
        direction = self._directions[number]
        opened, interface = self._sockets[direction.sender.netns_pid], direction.sender.interface
        length_bytes, frames = (TRAIN_FRAME_BYTES, train_frames(direction.request.spec)) if train else (PROBE_BYTES, 1)
        begun_ns = time.time_ns()
        try:
            for _ in range(frames):
                body = _BODY.pack(self._token, number, train, begun_ns)
                opened.sendto((_HEADER + body).ljust(length_bytes, b"\0"), (interface, 0))
        except OSError as error:
            raise LinkError(
                f"cannot measure link {direction.request.label!r}: {interface}: {error.strerror}"
            ) from error
        direction.sent += 0 if train else 1

    def _receive_until(self, until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left_s):
                with suppress(BlockingIOError):
                    while True:
                        frame, ancillary, _, _ = self._by_descriptor[descriptor].recvmsg(128, ARRIVAL_BYTES)
                        self._take(frame, stamp_ns(ancillary) or time.time_ns())

    def _take(self, frame: bytes, arrived_ns: int) -> None:
        token, number, train, sent_ns = _BODY.unpack_from(frame, len(_HEADER))
        if token != self._token:  # somebody else measures, too
            return
        direction = self._directions[number]
        took_ns = arrived_ns - sent_ns
        if train:
            direction.trains[train].append(took_ns / 1e6)
            return
        direction.received += 1
        direction.least_ns = took_ns if direction.least_ns is None else min(took_ns, direction.least_ns)


def _packet_socket(pid: int | None) -> socket.socket:
    # All protocols: a frame that is taken by a bridge is seen by nobody who asks for its own protocol alone.
    try:
        with entered(pid):
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ETH_P_ALL))
    except NamespaceError as error:
        raise LinkError(error.strerror or str(error)) from error
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    ask_for_arrivals(opened)
    attach(opened, _ONLY_OURS)
    return opened


def _train_s(direction: _Direction) -> float:
    spec = direction.request.spec
    return train_frames(spec) * (frame_ms(TRAIN_FRAME_BYTES, spec) or 0.0) / 1e3


def _longest_s(direction: _Direction) -> float:
    spec = direction.request.spec
    return (spec.delay_ms + spec.jitter_ms) / 1e3 + _train_s(direction)


def _is_whole(direction: _Direction) -> bool:
    frames = train_frames(direction.request.spec)
    trains = [len(direction.trains[train + 1]) for train in range(_TRAINS)] if frames else []
    return direction.received == direction.sent and all(count == frames for count in trains)
