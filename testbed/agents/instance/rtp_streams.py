"""The RTP streams an instance receives: their statistics, their RTCP, their ends.

Owns the rows of the `rtp` table with direction `up`. Pure: packets come in parsed and with their arrival
time; rows and report blocks go out. A stream ends by BYE. One that has been silent for long gets its row, and another
if it goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from testbed.rtp.header import RtpHeader
from testbed.rtp.rtcp import Compound, ReportBlock, SenderReport
from testbed.rtp.statistics import StreamStatistics

ACTIVE_S = 2.0
IDLE_S = 30.0
_MOST_QUIET = 4096
Row = dict[str, object]
Key = tuple[str, int, int]  # source address, source port, SSRC


@dataclass
class _Stream:
    payload_type: int
    statistics: StreamStatistics
    received_s: float
    has_left: bool = False
    ntp_middle: int | None = None
    reported_s: float = 0.0
    cname: str | None = None  # of the call it belongs to, once its sender said so


class RtpStreams:
    """Every stream received recently, by source address, source port and SSRC."""

    def __init__(self, receiver: str) -> None:
        self._receiver = receiver
        self._streams: dict[Key, _Stream] = {}
        self._quiet: dict[Key, _Stream] = {}  # whose row is written, the longest silent first
        self.started = 0

    def receive(self, header: RtpHeader, src: str, src_port: int, arrival_s: float, size_bytes: int) -> None:
        """Account for one packet."""
        key = (src, src_port, header.ssrc)
        stream = self._streams.get(key)
        if stream is None:
            self.started += 1
            stream = self._quiet.pop(key, None) or _Stream(header.payload_type, StreamStatistics(), arrival_s)
            self._streams[key] = stream
        stream.received_s = arrival_s
        sent_s = None if header.sent_ns is None else header.sent_ns / 1e9
        stream.statistics.receive(header.sequence, header.timestamp, arrival_s, sent_s, size_bytes, header.payload_type)

    def active(self, now_s: float) -> int:
        """Return how many streams were received in the last two seconds and have not said goodbye."""
        return sum(now_s - stream.received_s <= ACTIVE_S and not stream.has_left for stream in self._streams.values())

    def control(self, compound: Compound, src: str, now_s: float) -> list[ReportBlock] | None:
        """Take in a compound packet; return the blocks of the report it deserves, None if it deserves none.

        Only a sender gets an answer, so that two receivers can never keep each other talking.
        """
        for ssrc in compound.bye_ssrcs:
            for stream in self._of(src, ssrc):
                stream.has_left = True
        for ssrc, cname in compound.cnames:
            for stream in self._of(src, ssrc):
                stream.cname = cname
        for report in compound.sender_reports:
            self._note_sender_report(report, src, now_s)
        asking = {*compound.receiver_ssrcs, *(report.ssrc for report in compound.sender_reports)}
        is_known_sender = any(self._of(src, ssrc) for ssrc in asking)
        if not compound.sender_reports and not is_known_sender:
            return None
        return [
            ReportBlock(key[2], stream.statistics.reception_report(), stream.ntp_middle, now_s - stream.reported_s)
            for key, stream in self._streams.items()
            if key[0] == src and key[2] in asking
        ]

    def due_rows(self, now_s: float) -> list[Row]:
        """Return, once, the rows of streams that left (a moment ago, for stragglers) or fell silent."""
        over = [
            key
            for key, stream in self._streams.items()
            if now_s - stream.received_s >= (ACTIVE_S if stream.has_left else IDLE_S)
        ]
        rows = []
        for key in over:
            stream = self._streams.pop(key)
            rows.append(self._row(key, stream))
            if not stream.has_left:
                self._keep(key, stream)
        return rows

    def all_rows(self) -> list[Row]:
        """Return, once, the rows of every stream there is."""
        rows = [self._row(key, stream) for key, stream in self._streams.items()]
        self._streams.clear()
        return rows

    def _keep(self, key: Key, stream: _Stream) -> None:
        """Keep in mind where a silent stream stopped: when it comes back, what is missing in between was lost."""
        stream.statistics.begin_part()
        self._quiet[key] = stream
        if len(self._quiet) > _MOST_QUIET:
            del self._quiet[next(iter(self._quiet))]

    def _of(self, src: str, ssrc: int) -> list[_Stream]:
        # RTCP comes from a port of its own, so the source port cannot be asked for.
        return [stream for key, stream in self._streams.items() if key[0] == src and key[2] == ssrc]

    def _note_sender_report(self, report: SenderReport, src: str, now_s: float) -> None:
        for stream in self._of(src, report.ssrc):
            stream.ntp_middle = report.ntp_middle
            stream.reported_s = now_s

    def _row(self, key: Key, stream: _Stream) -> Row:
        src, src_port, ssrc = key
        return {
            "call": stream.cname,
            "receiver": self._receiver,
            "direction": "up",
            "src": src,
            "src_port": src_port,
            "ssrc": ssrc,
            "payload_type": stream.payload_type,
            **asdict(stream.statistics.snapshot()),
        }
