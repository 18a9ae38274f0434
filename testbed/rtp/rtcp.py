"""RTCP compound packets: what a sender says, and the receiver report that answers it (RFC 3550 section 6).

Owns the layout. A sender names its streams by a CNAME: those of one call have the same (section 6.5.1). Pure: bytes in,
bytes out. A malformed compound packet is None, for the receiver to count and drop.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from testbed.rtp.statistics import ReceptionReport

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
BYE = 203
PACKET_TYPES = range(192, 224)  # RFC 5761: what distinguishes RTCP from RTP on one port
MAX_REPORT_BLOCKS = 31

_VERSION = 2
_CNAME = 1
_END_OF_ITEMS = 0
_NTP_ERA_S = 2_208_988_800  # from 1900 to 1970
_DLSR_UNITS_PER_S = 65536
_HEADER = struct.Struct("!BBH")
_WORD = struct.Struct("!I")
_BLOCK = struct.Struct("!IIIIII")


class SenderReport(NamedTuple):
    """The part of an SR that its answer needs: who, and the middle 32 bits of its NTP time stamp."""

    ssrc: int
    ntp_middle: int


class Compound(NamedTuple):
    """What a compound packet says, as far as a receiver acts on it."""

    sender_reports: tuple[SenderReport, ...]
    receiver_ssrcs: tuple[int, ...]
    bye_ssrcs: tuple[int, ...]
    cnames: tuple[tuple[int, str], ...] = ()  # with the SSRC of each


class SenderInfo(NamedTuple):
    """What a sender report says of its stream: the RTP timestamp of now, and what was sent so far."""

    ssrc: int
    timestamp: int
    packets: int
    payload_bytes: int


class ReportBlock(NamedTuple):
    """One report block to send; `ntp_middle` and `since_report_s` of the last SR received, None if there was none."""

    ssrc: int
    reception: ReceptionReport
    ntp_middle: int | None
    since_report_s: float


def parse(packet: bytes) -> Compound | None:
    """Read a compound packet; None if a length, a version or a count in it is wrong.

    As in RFC 5506, a lone packet of any type is accepted too.
    """
    senders: list[SenderReport] = []
    receivers: list[int] = []
    leaving: list[int] = []
    cnames: list[tuple[int, str]] = []
    position, length = 0, len(packet)
    if length < 4 or length % 4:
        return None
    while position < length:
        first, kind, words = _HEADER.unpack_from(packet, position)
        end = position + 4 * (words + 1)
        count = first & 0x1F
        if first >> 6 != _VERSION or kind not in PACKET_TYPES or end > length:
            return None
        body = position + 4
        if kind == SENDER_REPORT:
            if end - body < 24 * (count + 1):
                return None
            ssrc, seconds, fraction = struct.unpack_from("!III", packet, body)
            senders.append(SenderReport(ssrc, (seconds & 0xFFFF) << 16 | fraction >> 16))
        elif kind == RECEIVER_REPORT:
            if end - body < 4 + 24 * count:
                return None
            receivers.append(_WORD.unpack_from(packet, body)[0])
        elif kind == SOURCE_DESCRIPTION:
            described = _cnames(packet[body:end], count)
            if described is None:
                return None
            cnames += described
        elif kind == BYE:
            if end - body < 4 * count:
                return None
            leaving.extend(struct.unpack_from(f"!{count}I", packet, body))
        position = end
    return Compound(tuple(senders), tuple(receivers), tuple(leaving), tuple(cnames))


def _cnames(chunks: bytes, count: int) -> list[tuple[int, str]] | None:
    """Return the CNAMEs in so many chunks of a source description; None if they are not whole."""
    found: list[tuple[int, str]] = []
    position = 0
    for _ in range(count):
        if position + _WORD.size > len(chunks):
            return None
        (ssrc,) = _WORD.unpack_from(chunks, position)
        position += _WORD.size
        while position < len(chunks) and chunks[position] != _END_OF_ITEMS:
            text = position + 2
            if text > len(chunks) or text + chunks[position + 1] > len(chunks):
                return None
            if chunks[position] == _CNAME:
                found.append((ssrc, chunks[text : text + chunks[position + 1]].decode("utf-8", "replace")))
            position = text + chunks[position + 1]
        position += 4 - position % 4
    return found


def sender_report(info: SenderInfo, wallclock_s: float, cname: str, *, is_last: bool) -> bytes:
    """Return a compound SR + SDES without report blocks; and BYE, if it is the last. `wallclock_s` counts from 1970."""
    ntp = round((wallclock_s + _NTP_ERA_S) * (1 << 32))
    words = (info.ssrc, ntp >> 32, ntp, info.timestamp, info.packets, info.payload_bytes)
    report = _head(SENDER_REPORT, 0, len(words)) + b"".join(_WORD.pack(word & 0xFFFFFFFF) for word in words)
    goodbye = _head(BYE, 1, 1) + _WORD.pack(info.ssrc) if is_last else b""
    return report + _source_description(info.ssrc, cname) + goodbye


def receiver_report(ssrc: int, cname: str, blocks: Sequence[ReportBlock]) -> bytes:
    """Return a compound RR + SDES of `ssrc`; of more than 31 blocks, the first 31."""
    blocks = blocks[:MAX_REPORT_BLOCKS]
    parts = [_head(RECEIVER_REPORT, len(blocks), 1 + 6 * len(blocks)), _WORD.pack(ssrc)]
    parts.extend(_pack_block(block) for block in blocks)
    return b"".join([*parts, _source_description(ssrc, cname)])


def _source_description(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    item = _WORD.pack(ssrc) + bytes([_CNAME, len(text)]) + text
    item += bytes(4 - len(item) % 4)  # at least one null ends the list of items
    return _head(SOURCE_DESCRIPTION, 1, len(item) // 4) + item


def _head(kind: int, count: int, words: int) -> bytes:
    return _HEADER.pack(_VERSION << 6 | count, kind, words)


def _pack_block(block: ReportBlock) -> bytes:
    reception = block.reception
    lost = reception.fraction_lost << 24 | (reception.cumulative_lost & 0xFFFFFF)
    delay = 0 if block.ntp_middle is None else min(round(block.since_report_s * _DLSR_UNITS_PER_S), 0xFFFFFFFF)
    return _BLOCK.pack(
        block.ssrc,
        lost,
        reception.extended_highest_sequence,
        reception.jitter_timestamp_units,
        block.ntp_middle or 0,
        delay,
    )
