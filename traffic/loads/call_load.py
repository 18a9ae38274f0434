"""Calls of audio and video: four UDP flows of one client that belong together, RTP and RTCP of each medium.

Owns how they belong together: neighbouring ports from a multiple of the block, audio on `port`, its RTCP one above,
then video and its RTCP, alike at both ends (RFC 3550 section 11); one CNAME, the call's id, in all sender reports. What
a stream sends and gets back is `rtp_load`'s business, what RTCP says is `rtcp_flow`'s.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from testbed.net.addresses import Address
from traffic.arrivals.due_arrivals import DueArrivals
from traffic.arrivals.schedule import Schedule
from traffic.config import CALL_MEDIA, PORTS_PER_CALL
from traffic.destination import Destination
from traffic.flow_log import FlowLog, Outcome, PartLog
from traffic.loads.rtcp_flow import RtcpFlow
from traffic.loads.rtp_load import RtpLoad, RtpStream
from traffic.sockets import BoundSocket, LocalLimitError, SocketSource
from traffic.workloads import CallWorkload


@dataclass(frozen=True)
class _Medium:
    """One medium of all calls: the load of its streams, and where their RTCP goes."""

    load: RtpLoad
    rtcp_log: PartLog
    rtcp_port: int


class CallLoad:
    """Begins the calls of one workload as they come due."""

    def __init__(
        self,
        workload: CallWorkload,
        log: FlowLog,
        sockets: SocketSource,
        schedule: Schedule,
        loop: asyncio.AbstractEventLoop,
        destination: Destination,
    ) -> None:
        self._workload = workload
        self._sockets = sockets
        self._destination = destination
        self._media = []
        for medium in CALL_MEDIA:
            of_medium = workload.medium(medium)
            stream_log = PartLog(log, medium, of_medium.kind, of_medium.port)
            rtcp_port = of_medium.port + 1
            self._media.append(
                _Medium(
                    RtpLoad(of_medium, stream_log, sockets, schedule, loop, destination),
                    PartLog(log, f"{medium}-rtcp", "rtcp", rtcp_port),
                    rtcp_port,
                )
            )
        self._open: set[_Call] = set()
        self._due_arrivals = DueArrivals(workload.arrivals, schedule, self._begin)

    def begin(self, start_s: float) -> None:
        """Put the first arrival on the schedule; offsets count from `start_s`."""
        self._due_arrivals.begin(start_s)

    def interrupt(self, now_s: float) -> None:
        """Record the calls that are due by now and have not ended."""
        for call in list(self._open):
            call.end(Outcome.INTERRUPTED, now_s)
        for number, due_s in self._due_arrivals.due(now_s):
            _Call(self._media, number, due_s).end(Outcome.INTERRUPTED, now_s)

    def _begin(self, number: int, due_s: float) -> None:
        call = _Call(self._media, number, due_s)
        self._open = {other for other in self._open if not other.has_ended}
        self._open.add(call)
        self._destination.ask(partial(self._connect, call))

    def _connect(self, call: _Call, address: Address | None, resolution_s: float | None) -> None:
        if call.has_ended:  # interrupted while it waited
            return
        call.note_destination(address, resolution_s)
        if address is None:
            call.end(Outcome.UNRESOLVED, time.monotonic())
            return
        try:
            opened = self._sockets.open_block(address.version, PORTS_PER_CALL, self._workload.port_block)
        except LocalLimitError:
            call.end(Outcome.LOCAL_LIMIT, time.monotonic())
            return
        call.send_from(opened, address)


class _Call:
    """One call: its streams and their RTCP, in the order of their ports."""

    def __init__(self, media: list[_Medium], number: int, due_s: float) -> None:
        self._parts = [
            (RtpStream(item.load, number, due_s), RtcpFlow(item.load, item.rtcp_log, item.rtcp_port, number, due_s))
            for item in media
        ]

    @property
    def has_ended(self) -> bool:
        return all(stream.has_ended and reports.has_ended for stream, reports in self._parts)

    def note_destination(self, address: Address | None, resolution_s: float | None) -> None:
        for stream, reports in self._parts:
            stream.note_destination(address, resolution_s)
            reports.note_destination(address)

    def send_from(self, opened: list[BoundSocket], address: Address) -> None:
        """Begin; `opened` has two sockets per medium. A stream's first packet goes out before its first report."""
        pairs = zip(opened[::2], opened[1::2], strict=True)
        for (stream, reports), (media_socket, rtcp_socket) in zip(self._parts, pairs, strict=True):
            stream.send_from(*media_socket, address)
            reports.send_from(*rtcp_socket, address, stream.sender_info)

    def end(self, outcome: Outcome, now_s: float) -> None:
        for stream, reports in self._parts:
            if not stream.has_ended:
                stream.end(outcome, now_s)
            if not reports.has_ended:
                reports.end(outcome, now_s)
