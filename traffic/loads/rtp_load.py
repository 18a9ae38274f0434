"""RTP calls: each sends its stream's packets at their due times from a socket of its own, and takes in the echo.

Owns the sockets of one workload's calls. Packets are patched in place in one shared template each: sequence,
timestamp and SSRC of the call, and the time of sending, which comes back in the echo as a round-trip time.
A call of several streams is `call_load`'s business: it begins each here, on a socket of its choice.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from dataclasses import asdict
from typing import NamedTuple

from testbed.net.addresses import Address
from testbed.rtp import header as rtp_header
from testbed.rtp.rtcp import SenderInfo
from testbed.rtp.statistics import StreamStatistics
from traffic.arrivals.due_arrivals import DueArrivals
from traffic.arrivals.schedule import Schedule
from traffic.destination import Destination
from traffic.flow_log import FlowLog, Outcome, PartLog
from traffic.sockets import NETWORK_UNREACHABLE_ERRORS, LocalLimitError, SocketSource, is_local_limit
from traffic.udp_flow_socket import UdpFlowSocket
from traffic.workloads import RtpWorkload


class _Template(NamedTuple):
    due_s: float
    timestamp: int
    data: bytearray


class RtpLoad:
    """Begins the calls of one workload as they come due."""

    def __init__(
        self,
        workload: RtpWorkload,
        log: FlowLog | PartLog,
        sockets: SocketSource,
        schedule: Schedule,
        loop: asyncio.AbstractEventLoop,
        destination: Destination,
    ) -> None:
        self.workload = workload
        self.log = log
        self.sockets = sockets
        self.schedule = schedule
        self.loop = loop
        self.destination = destination
        self.open_calls: set[RtpStream] = set()
        self.templates = [_template(packet.due_us, packet.data) for packet in workload.stream.packets]
        self._due_arrivals = DueArrivals(workload.arrivals, schedule, self._begin)

    def begin(self, start_s: float) -> None:
        """Put the first arrival on the schedule; offsets count from `start_s`."""
        self._due_arrivals.begin(start_s)

    def interrupt(self, now_s: float) -> None:
        """Record the calls that are due by now and have not ended."""
        for call in list(self.open_calls):
            call.end(Outcome.INTERRUPTED, now_s)
        for number, due_s in self._due_arrivals.due(now_s):
            RtpStream(self, number, due_s).end(Outcome.INTERRUPTED, now_s)

    def _begin(self, number: int, due_s: float) -> None:
        RtpStream(self, number, due_s).begin()


class RtpStream:
    """One stream, from its due time to its rows in `flows` and `rtp`."""

    __slots__ = (
        "_address",
        "_begins_s",
        "_bytes_sent",
        "_due_s",
        "_duration_s",
        "_first_sequence",
        "_first_timestamp",
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
        "_resolution_s",
        "_socket",
        "_ssrc",
        "_started_s",
        "_statistics",
        "has_ended",
    )

    def __init__(self, load: RtpLoad, number: int, due_s: float) -> None:
        # Random as RFC 3550 section 5.1 wants it, yet the same in each run of the same schedule.
        rng = random.Random(load.log.flow_id(number))
        self._load = load
        self._number = number
        self._due_s = due_s
        self._begins_s = due_s  # later, if its destination has to be found out first
        self._address: Address | None = None
        self._resolution_s: float | None = None
        self._duration_s = load.workload.arrivals[number].amount or 0.0
        self._ssrc = rng.getrandbits(32)
        self._first_sequence = rng.getrandbits(16)
        self._first_timestamp = rng.getrandbits(32)
        self._statistics = StreamStatistics(load.workload.stream.clock_rate_hz)
        self._socket: UdpFlowSocket | None = None
        self._port: int | None = None
        self._next = 0  # index of the next packet within the stream
        self._periods = 0  # how often the whole stream has been sent
        self._packets_due = 0
        self._packets_sent = 0
        self._bytes_sent = 0
        self._started_s: float | None = None
        self._last_due_s = due_s
        self._last_sent_s = due_s
        self._is_sending = True
        self.has_ended = False

    def begin(self) -> None:
        """Find out where to go, then open the socket and put the packets on the schedule."""
        self._load.open_calls.add(self)
        self._load.destination.ask(self._connect)

    def _connect(self, address: Address | None, resolution_s: float | None) -> None:
        if self.has_ended:  # interrupted while it waited
            return
        self.note_destination(address, resolution_s)
        if address is None:
            self.end(Outcome.UNRESOLVED, time.monotonic())
            return
        try:
            opened, port = self._load.sockets.open(socket.SOCK_DGRAM, address.version)
        except LocalLimitError:
            self.end(Outcome.LOCAL_LIMIT, time.monotonic())
            return
        self.send_from(opened, port, address)

    def note_destination(self, address: Address | None, resolution_s: float | None) -> None:
        """Take note of where the stream goes, and of how long it took to find out."""
        self._address, self._resolution_s = address, resolution_s

    def send_from(self, opened: socket.socket, port: int, address: Address) -> None:
        """Put the packets on the schedule, to be sent from a socket that is bound to `port`."""
        load = self._load
        load.open_calls.add(self)
        self._port = port
        self._begins_s += self._resolution_s or 0.0
        self._last_due_s = self._last_sent_s = self._begins_s
        self._socket = UdpFlowSocket(opened, load.sockets, load.loop, load.log.errors, self._receive)
        try:
            self._socket.connect(address, load.workload.port)
        except OSError as error:
            self.end(outcome_of(error), time.monotonic())
            return
        load.schedule.add(self._begins_s, self._send_due)

    def end(self, outcome: Outcome, now_s: float) -> None:
        """Close the socket and write the rows."""
        load = self._load
        self.has_ended = True
        if self._socket is not None:
            self._socket.close()
        load.open_calls.discard(self)
        elapsed_s = self._duration_s
        if outcome is Outcome.INTERRUPTED:
            elapsed_s = min(elapsed_s, max(0.0, now_s - self._begins_s))
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
                "dst": self._address,
                "resolution_ms": None if self._resolution_s is None else self._resolution_s * 1e3,
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

    def sender_info(self, now_s: float) -> SenderInfo:
        """Return what a sender report says of the stream (RFC 3550 section 6.4.1)."""
        stream = self._load.workload.stream
        ticks = round((now_s - self._begins_s) * stream.clock_rate_hz)
        payload_bytes = self._bytes_sent - self._packets_sent * rtp_header.BYTES_WITH_SENT_EXTENSION
        return SenderInfo(self._ssrc, self._first_timestamp + ticks, self._packets_sent, payload_bytes)

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
            self._load.log.accuracy.due(self._begins_s)
            self._packets_due += 1

    def _send_due(self, now_s: float) -> float | None:
        if self.has_ended:
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
            due_s = self._begins_s + offset_s
            if due_s > now_s:
                return due_s
            self._send(template, due_s)
            self._next += 1
            if self._next == len(templates):
                self._next = 0
                self._periods += 1

    def _send(self, template: _Template, due_s: float) -> None:
        log = self._load.log
        log.accuracy.due(due_s)
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
        assert self._socket is not None
        if not self._socket.send(template.data):
            return
        sent_s = sent_ns / 1e9
        if self._started_s is None:
            self._started_s = sent_s
        self._last_due_s = due_s
        self._last_sent_s = sent_s
        self._packets_sent += 1
        self._bytes_sent += len(template.data)
        log.accuracy.sent(due_s, sent_s)

    def _finish_sending(self) -> None:
        """End the call if every packet has come back; otherwise wait for them."""
        self._is_sending = False
        if self._is_all_back():
            self.end(Outcome.OK, time.monotonic())
        else:
            self._load.schedule.add(time.monotonic() + self._load.workload.timeout_s, self._expire)

    def _expire(self, now_s: float) -> None:
        if self.has_ended:
            return
        if self._statistics.packets_received:
            self.end(Outcome.OK, now_s)
        elif self._socket is not None and self._socket.icmp_errors:
            self.end(Outcome.UNREACHABLE, now_s)
        else:
            self.end(Outcome.NO_ANSWER if self._packets_sent else Outcome.ERROR, now_s)

    def _is_all_back(self) -> bool:
        echo = self._statistics
        return 0 < self._packets_sent <= echo.packets_received - echo.duplicates

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


def outcome_of(error: OSError) -> Outcome:
    """Return how a flow ended that could not begin."""
    if is_local_limit(error):
        return Outcome.LOCAL_LIMIT
    return Outcome.UNREACHABLE if error.errno in NETWORK_UNREACHABLE_ERRORS else Outcome.ERROR
