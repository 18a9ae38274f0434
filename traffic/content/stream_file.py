"""Stream files: RTP packets built once, each with the time it is due. Read and written by the stdlib alone.

Scapy builds packets in the runner; generators inside namespaces only read them here. Pure: bytes in, bytes
out. All numbers are big-endian:

    header   8 bytes   magic "DCRTP\\x00\\x00\\x01"
             u8        RTP payload type
             u32       clock rate, Hz
             u64       period, µs: how long the stream lasts
             u32       period, RTP timestamp units
             u32       number of packets
    packet   u32       due time from the start of the stream, µs, ascending
             u16       length
             bytes     the RTP packet: sequence from 0, timestamp from 0, SSRC 0, sending time 0

A call that outlasts its stream sends it again: sequence and timestamp go on by one period.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from testbed.errors import InputError

MAGIC = b"DCRTP\x00\x00\x01"
_HEADER = struct.Struct("!8sBIQII")
_PACKET = struct.Struct("!IH")


class StreamFileError(InputError):
    """Bytes that are not a stream file; one line saying where."""


@dataclass(frozen=True)
class StreamPacket:
    """One RTP packet and when it is due, in µs from the start of its stream."""

    due_us: int
    data: bytes


@dataclass(frozen=True)
class Stream:
    """RTP packets of one media stream over one period, in due order."""

    payload_type: int
    clock_rate_hz: int
    period_us: int
    period_ticks: int
    packets: tuple[StreamPacket, ...]

    def packets_before(self, duration_s: float) -> int:
        """Return how many packets a call of this duration sends, the stream repeating as often as needed."""
        periods, rest_us = divmod(round(duration_s * 1e6), self.period_us)
        return periods * len(self.packets) + sum(packet.due_us < rest_us for packet in self.packets)


def encode(stream: Stream) -> bytes:
    """Return the file of a stream."""
    parts = [
        _HEADER.pack(
            MAGIC,
            stream.payload_type,
            stream.clock_rate_hz,
            stream.period_us,
            stream.period_ticks,
            len(stream.packets),
        )
    ]
    for packet in stream.packets:
        parts.append(_PACKET.pack(packet.due_us, len(packet.data)))
        parts.append(packet.data)
    return b"".join(parts)


def decode(content: bytes) -> Stream:
    """Read a stream file's content; raise StreamFileError."""
    if len(content) < _HEADER.size or not content.startswith(MAGIC):
        raise StreamFileError("not an RTP stream file (wrong magic bytes); build it with traffic.content.packets")
    _, payload_type, clock_rate_hz, period_us, period_ticks, count = _HEADER.unpack_from(content)
    if not (clock_rate_hz and period_us and count):
        raise StreamFileError("an RTP stream needs a clock rate, a period and at least one packet")
    packets: list[StreamPacket] = []
    offset = _HEADER.size
    for index in range(count):
        if offset + _PACKET.size > len(content):
            raise StreamFileError(f"cut off at packet {index} of {count}")
        due_us, length = _PACKET.unpack_from(content, offset)
        offset += _PACKET.size
        if offset + length > len(content):
            raise StreamFileError(f"cut off within packet {index} of {count}")
        packets.append(StreamPacket(due_us, content[offset : offset + length]))
        offset += length
    if offset != len(content):
        raise StreamFileError(f"{len(content) - offset} bytes too many after packet {count - 1}")
    _check_order(packets, period_us)
    return Stream(payload_type, clock_rate_hz, period_us, period_ticks, tuple(packets))


def _check_order(packets: Iterable[StreamPacket], period_us: int) -> None:
    earlier_us = 0
    for index, packet in enumerate(packets):
        if not earlier_us <= packet.due_us < period_us:
            raise StreamFileError(
                f"packet {index} is due at {packet.due_us} µs, not within {earlier_us}..{period_us} µs"
            )
        earlier_us = packet.due_us
