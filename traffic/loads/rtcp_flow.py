"""The RTCP of one stream of a call: sender reports at RFC 3550's pace, and the goodbye, on a flow of their own.

Owns the flow's socket and its row in `flows`: its packets are the compound packets sent and the reports that came back.
The first goes out at once, as RFC 3550 section 6.2 allows in a session of two; of the media, it knows what it reports.
"""

from __future__ import annotations

import math
import random
import socket
import time
from collections.abc import Callable

from testbed.net.addresses import Address
from testbed.rtp import rtcp
from testbed.rtp.rtcp import SenderInfo
from traffic.flow_log import Outcome, PartLog
from traffic.loads.rtp_load import RtpLoad, outcome_of
from traffic.udp_flow_socket import UdpFlowSocket

_LEAST_INTERVAL_S = 5.0  # of two participants that is longer than what 5 % of the session's bandwidth would allow
_COMPENSATION = math.e - 1.5  # RFC 3550 section 6.3.1


class RtcpFlow:
    """One flow of reports, from its due time to its row. `media` is the load whose stream it reports on."""

    def __init__(self, media: RtpLoad, log: PartLog, port: int, number: int, due_s: float) -> None:
        self._media = media
        self._log = log
        self._dst_port = port
        self._number = number
        self._due_s = due_s
        self._duration_s = media.workload.arrivals[number].amount or 0.0
        self._rng = random.Random(log.flow_id(number))
        self._socket: UdpFlowSocket | None = None
        self._address: Address | None = None
        self._src_port: int | None = None
        self._sender_info: Callable[[float], SenderInfo] | None = None
        self._end_s = due_s
        self._started_s: float | None = None
        self._last_s: float | None = None
        self._sent = self._bytes_sent = self._received = self._bytes_received = 0
        self._is_sending = True
        self.has_ended = False

    def note_destination(self, address: Address | None) -> None:
        """Take note of where the reports go."""
        self._address = address

    def send_from(
        self, opened: socket.socket, port: int, address: Address, sender_info: Callable[[float], SenderInfo]
    ) -> None:
        """Report from a socket that is bound to `port`, from now on and as long as the stream lasts."""
        media, now_s = self._media, time.monotonic()
        self._src_port, self._sender_info = port, sender_info
        self._socket = UdpFlowSocket(opened, media.sockets, media.loop, self._log.errors, self._receive)
        self._end_s = max(now_s, self._due_s) + self._duration_s
        try:
            self._socket.connect(address, self._dst_port)
        except OSError as error:
            self.end(outcome_of(error), now_s)
            return
        media.schedule.add(now_s, self._send_due)

    def end(self, outcome: Outcome, now_s: float) -> None:
        """Close the socket and write the row, once."""
        if self.has_ended:
            return
        self.has_ended = True
        if self._socket is not None:
            self._socket.close()
        self._log.flow(
            self._number,
            outcome,
            {
                "src_port": self._src_port,
                "dst": self._address,
                "due_s": self._due_s,
                "started_s": self._started_s,
                "finished_s": self._last_s or now_s,
                "bytes_sent": self._bytes_sent,
                "bytes_received": self._bytes_received,
                "packets_sent": self._sent,
                "packets_received": self._received,
            },
        )

    def _send_due(self, now_s: float) -> float | None:
        if self.has_ended:
            return None
        is_last = now_s >= self._end_s
        self._report(now_s, is_last=is_last)
        if is_last:
            self._is_sending = False
            self._end_if_answered()
            self._media.schedule.add(now_s + self._media.workload.timeout_s, self._expire)
            return None
        return min(now_s + self._rng.uniform(0.5, 1.5) * _LEAST_INTERVAL_S / _COMPENSATION, self._end_s)

    def _report(self, now_s: float, *, is_last: bool) -> None:
        assert self._socket is not None
        assert self._sender_info is not None
        cname = self._log.call(self._number)
        packet = rtcp.sender_report(self._sender_info(now_s), time.time(), cname, is_last=is_last)
        if self._socket.send(packet):
            self._started_s = self._started_s or now_s
            self._last_s = now_s
            self._sent += 1
            self._bytes_sent += len(packet)

    def _receive(self, data: bytes, arrival_s: float) -> None:
        if rtcp.parse(data) is None:
            self._log.counts["malformed_packets"] += 1
            return
        self._last_s = arrival_s
        self._received += 1
        self._bytes_received += len(data)
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if not self._is_sending and 0 < self._sent <= self._received:
            self.end(Outcome.OK, time.monotonic())

    def _expire(self, now_s: float) -> None:
        if self._received:
            self.end(Outcome.OK, now_s)
        elif self._socket is not None and self._socket.icmp_errors:
            self.end(Outcome.UNREACHABLE, now_s)
        else:
            self.end(Outcome.NO_ANSWER if self._sent else Outcome.ERROR, now_s)
