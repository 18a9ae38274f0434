"""RTP calls: each sends its stream's packets at their due times from a socket of its own, and takes in the echo.

Owns the sockets of one workload's calls. Packets are patched in place in one shared template each: sequence,
timestamp and SSRC of the call, and the time of sending, which comes back in the echo as a round-trip time.
Arrival times are the kernel's, so that this process's own scheduling stays out of jitter and delay.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from dataclasses import asdict
from typing import NamedTuple

from testbed import rtp_header
from testbed.rtp_statistics import StreamStatistics
from traffic.config import RtpWorkload
from traffic.flow_log import FlowLog, Outcome
from traffic.schedule import Schedule
from traffic.sockets import NETWORK_UNREACHABLE_ERRORS, LocalLimitError, SocketSource, is_local_limit

_SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>; the socket module does not name it
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_RECEIVE_BYTES = 65_536
_READS_PER_TURN = 16  # then the other calls get their turn
_NO_RESTART = 32_767  # a call never starts over: whatever is missing between two sequence numbers is lost


class _Template(NamedTuple):
    due_s: float
    timestamp: int
    data: bytearray


class RtpLoad:
    """Begins the calls of one workload as they come due."""

    def __init__(
        self,
        workload: RtpWorkload,
        log: FlowLog,
        sockets: SocketSource,
        schedule: Schedule,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.workload = workload
        self.log = log
        self.sockets = sockets
        self.schedule = schedule
        self.loop = loop
        self.open_calls: set[_Call] = set()
        self.templates = [_template(packet.due_us, packet.data) for packet in workload.stream.packets]
        self._start_s = 0.0
        self._next = 0

    def begin(self, start_s: float) -> None:
        """Put the first arrival on the schedule; offsets count from `start_s`."""
        self._start_s = start_s
        if self.workload.arrivals:
            self.schedule.add(start_s + self.workload.arrivals[0].offset_s, self._begin_due)

    def interrupt(self, now_s: float) -> None:
        """Record the calls that are due by now and have not ended."""
        for call in list(self.open_calls):
            call.end(Outcome.INTERRUPTED, now_s)
        while (due_s := self._next_due_s()) is not None and due_s <= now_s:
            _Call(self, self._next, due_s).end(Outcome.INTERRUPTED, now_s)
            self._next += 1

    def _next_due_s(self) -> float | None:
        arrivals = self.workload.arrivals
        return self._start_s + arrivals[self._next].offset_s if self._next < len(arrivals) else None

    def _begin_due(self, now_s: float) -> float | None:
        while (due_s := self._next_due_s()) is not None and due_s <= now_s:
            number = self._next
            self._next += 1
            _Call(self, number, due_s).begin(now_s)
        return due_s


class _Call:
    """One call, from its due time to its rows in `flows` and `rtp`."""

    __slots__ = (
        "_bytes_sent",
        "_due_s",
        "_duration_s",
        "_first_sequence",
        "_first_timestamp",
        "_has_ended",
        "_icmp_errors",
        "_is_sending",
        "_last_due_s",
        "_last_sent_s",
        "_load",
        "_next",
        "_number",
        "_packets_due",
        "_packets_sent",
        "_periods",
        "_port",
        "_socket",
        "_ssrc",
        "_started_s",
        "_statistics",
    )

    def __init__(self, load: RtpLoad, number: int, due_s: float) -> None:
        # Random as RFC 3550 section 5.1 wants it, yet the same in each run of the same schedule.
        rng = random.Random(load.log.flow_id(number))
        self._load = load
        self._number = number
        self._due_s = due_s
        self._duration_s = load.workload.arrivals[number].amount or 0.0
        self._ssrc = rng.getrandbits(32)
        self._first_sequence = rng.getrandbits(16)
        self._first_timestamp = rng.getrandbits(32)
        self._statistics = StreamStatistics(load.workload.stream.clock_rate_hz, max_dropout=_NO_RESTART)
        self._socket: socket.socket | None = None
        self._port: int | None = None
        self._next = 0  # index of the next packet within the stream
        self._periods = 0  # how often the whole stream has been sent
        self._packets_due = 0
        self._packets_sent = 0
        self._bytes_sent = 0
        self._icmp_errors = 0
        self._started_s: float | None = None
        self._last_due_s = due_s
        self._last_sent_s = due_s
        self._is_sending = True
        self._has_ended = False

    def begin(self, now_s: float) -> None:
        """Open the socket and put the packets on the schedule."""
        load = self._load
        destination = (str(load.workload.d_sid), load.workload.port)
        try:
            opened, self._port = load.sockets.open(socket.SOCK_DGRAM, load.workload.d_sid.version)
        except LocalLimitError:
            self.end(Outcome.LOCAL_LIMIT, now_s)
            return
        self._socket = opened
        load.open_calls.add(self)
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            opened.connect(destination)
        except OSError as error:
            self.end(_outcome_of(error), now_s)
            return
        load.loop.add_reader(opened, self._on_readable)
        load.schedule.add(self._due_s, self._send_due)

    def end(self, outcome: Outcome, now_s: float) -> None:
        """Close the socket and write the rows."""
        load = self._load
        self._has_ended = True
        if self._socket is not None:
            load.loop.remove_reader(self._socket)
            load.sockets.close(self._socket)
            self._socket = None
            load.open_calls.discard(self)
        elapsed_s = min(self._duration_s, now_s - self._due_s) if outcome is Outcome.INTERRUPTED else self._duration_s
        if outcome is not Outcome.INTERRUPTED and not self._packets_sent:
            self._count_all_due()
        echo = self._statistics
        distinct = echo.packets_received - echo.duplicates
        late_s = max(0.0, self._last_sent_s - self._last_due_s)
        if self._packets_sent:
            self._write_echo(distinct)
        load.log.flow(
            self._number,
            outcome,
            {
                "src_port": self._port,
                "due_s": self._due_s,
                "started_s": self._started_s,
                "connected_s": echo.first_s,
                "finished_s": max(self._last_sent_s, echo.last_s or 0.0) if self._packets_sent else now_s,
                "bytes_sent": self._bytes_sent,
                "bytes_received": echo.bytes_received,
                "packets_sent": self._packets_sent,
                "packets_received": distinct,
                "requested_rate_pps": self._packets_due / elapsed_s if elapsed_s else None,
                "achieved_rate_pps": self._packets_sent / (elapsed_s + late_s) if elapsed_s else None,
            },
        )

    def _write_echo(self, distinct: int) -> None:
        # Sender and receiver are one process here: what is expected is what was sent, so that a lost tail, or a
        # stream that never came back, counts as lost, which RFC 3550's sequence numbers alone cannot show.
        lost = self._packets_sent - distinct
        self._load.log.echo(
            self._number,
            {
                **asdict(self._statistics.snapshot()),
                "src_port": self._port,
                "ssrc": self._ssrc,
                "payload_type": self._load.workload.stream.payload_type,
                "packets_expected": self._packets_sent,
                "packets_lost": lost,
                "loss_fraction": lost / self._packets_sent,
            },
        )

    def _count_all_due(self) -> None:
        """Count the packets of a call that could not begin as requested."""
        stream = self._load.workload.stream
        for _ in range(stream.packets_before(self._duration_s) - self._packets_due):
            self._load.log.pace.due(self._due_s)
            self._packets_due += 1

    def _send_due(self, now_s: float) -> float | None:
        if self._has_ended:
            return None
        load = self._load
        templates = load.templates
        stream = load.workload.stream
        while True:
            template = templates[self._next]
            offset_s = self._periods * stream.period_us / 1e6 + template.due_s
            if offset_s >= self._duration_s:
                self._finish_sending()
                return None
            due_s = self._due_s + offset_s
            if due_s > now_s:
                return due_s
            self._send(template, due_s)
            self._next += 1
            if self._next == len(templates):
                self._next = 0
                self._periods += 1

    def _send(self, template: _Template, due_s: float) -> None:
        log = self._load.log
        log.pace.due(due_s)
        sent_ns = time.monotonic_ns()
        rtp_header.patch(
            template.data,
            sequence=self._first_sequence + self._packets_due,
            timestamp=self._first_timestamp
            + template.timestamp
            + self._periods * self._load.workload.stream.period_ticks,
            ssrc=self._ssrc,
            sent_ns=sent_ns,
        )
        self._packets_due += 1
        if not self._put_on_wire(template.data):
            return
        sent_s = sent_ns / 1e9
        if self._started_s is None:
            self._started_s = sent_s
        self._last_due_s = due_s
        self._last_sent_s = sent_s
        self._packets_sent += 1
        self._bytes_sent += len(template.data)
        log.pace.sent(due_s, sent_s)

    def _put_on_wire(self, data: bytearray) -> bool:
        assert self._socket is not None
        for _ in range(2):
            try:
                self._socket.send(data)
                return True
            except OSError as error:
                # An ICMP error of an earlier packet is reported by the next call, which then sends nothing.
                if not self._note_icmp(error):
                    break
        self._load.log.counts["packets_not_sent"] += 1
        return False

    def _note_icmp(self, error: OSError) -> bool:
        """Count an error that came from the network; tell whether it did."""
        is_icmp = isinstance(error, ConnectionRefusedError) or error.errno in NETWORK_UNREACHABLE_ERRORS
        if is_icmp:
            self._icmp_errors += 1
            self._load.log.counts["icmp_errors"] += 1
        return is_icmp

    def _finish_sending(self) -> None:
        """End the call if every packet has come back; otherwise wait for them."""
        self._is_sending = False
        if self._is_all_back():
            self.end(Outcome.OK, time.monotonic())
        else:
            self._load.schedule.add(time.monotonic() + self._load.workload.timeout_s, self._expire)

    def _expire(self, now_s: float) -> None:
        if self._has_ended:
            return
        if self._statistics.packets_received:
            self.end(Outcome.OK, now_s)
        elif self._icmp_errors:
            self.end(Outcome.UNREACHABLE, now_s)
        else:
            self.end(Outcome.NO_ANSWER if self._packets_sent else Outcome.ERROR, now_s)

    def _is_all_back(self) -> bool:
        echo = self._statistics
        return 0 < self._packets_sent <= echo.packets_received - echo.duplicates

    def _on_readable(self) -> None:
        for _ in range(_READS_PER_TURN):
            if self._socket is None:
                return
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if not self._note_icmp(error):
                    self._load.log.counts["receive_errors"] += 1
                return
            self._receive(data, _arrival_s(ancillary))
        # What is left makes the socket readable again in the next turn.

    def _receive(self, data: bytes, arrival_s: float) -> None:
        header = rtp_header.parse(data)
        if header is None or header.ssrc != self._ssrc:
            self._load.log.counts["malformed_packets"] += 1
            return
        sent_s = None if header.sent_ns is None else header.sent_ns / 1e9
        self._statistics.receive(header.sequence, header.timestamp, arrival_s, sent_s, len(data))
        if not self._is_sending and self._is_all_back():
            self.end(Outcome.OK, time.monotonic())


def _template(due_us: int, data: bytes) -> _Template:
    header = rtp_header.parse(data)
    return _Template(due_us / 1e6, header.timestamp if header else 0, bytearray(data))


def _arrival_s(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Return when the kernel took a packet in, on CLOCK_MONOTONIC; now, if it does not say."""
    now_s = time.monotonic()
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(content) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(content)
            # The kernel stamps CLOCK_REALTIME; only the age since then is used, so that clock steps do no harm.
            age_ns: int = time.time_ns() - seconds * 1_000_000_000 - nanoseconds
            return now_s - max(0, age_ns) / 1e9
    return now_s


def _outcome_of(error: OSError) -> Outcome:
    if is_local_limit(error):
        return Outcome.LOCAL_LIMIT
    return Outcome.UNREACHABLE if error.errno in NETWORK_UNREACHABLE_ERRORS else Outcome.ERROR
