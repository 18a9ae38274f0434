"""The RTP header on the wire: parse it, patch it in place, and read the testbed's sending time out of it.

Owns the layout of RFC 3550 sections 5.1 and 5.3.1 and of the testbed's one header extension: profile
0xDCA5, two words, the CLOCK_MONOTONIC time of sending as unsigned nanoseconds, big-endian. Pure, stdlib
only; knows no sockets. A malformed packet is None, never an exception: it is the receiver's to count.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

VERSION = 2
MIN_HEADER_BYTES = 12
SENT_EXTENSION_PROFILE = 0xDCA5
SENT_EXTENSION_WORDS = 2
BYTES_WITH_SENT_EXTENSION = MIN_HEADER_BYTES + 4 + 4 * SENT_EXTENSION_WORDS

# RFC 5761 section 4: with the marker bit, these are the second bytes of RTCP packets, never of RTP.
_RTCP_PACKET_TYPES = range(192, 224)

_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_SEQUENCE = struct.Struct("!H")
_WORD = struct.Struct("!I")
_SENT_NS = struct.Struct("!Q")


class RtpHeader(NamedTuple):
    """What a packet's header says; `payload_offset` and `payload_length` in bytes, padding taken off."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload_offset: int
    payload_length: int
    sent_ns: int | None


def parse(packet: bytes | bytearray | memoryview) -> RtpHeader | None:
    """Read an RTP packet's header; None if it is not version 2, is RTCP, or is shorter than it claims."""
    length = len(packet)
    if length < MIN_HEADER_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    if first >> 6 != VERSION or second in _RTCP_PACKET_TYPES:
        return None
    payload = MIN_HEADER_BYTES + 4 * (first & 0x0F)
    stamp_ns = None
    if first & 0x10:
        if payload + 4 > length:
            return None
        profile, words = _EXTENSION.unpack_from(packet, payload)
        extension = payload + 4
        payload = extension + 4 * words
        if payload > length:
            return None
        if profile == SENT_EXTENSION_PROFILE and words == SENT_EXTENSION_WORDS:
            (stamp_ns,) = _SENT_NS.unpack_from(packet, extension)
    if payload > length:
        return None
    padding = 0
    if first & 0x20:
        padding = packet[length - 1]
        if padding == 0 or payload + padding > length:
            return None
    return RtpHeader(
        second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, payload, length - payload - padding, stamp_ns
    )


def sent_ns(packet: bytes | bytearray | memoryview) -> int | None:
    """Return the sending time a packet carries, in CLOCK_MONOTONIC nanoseconds; None if it carries none."""
    offset = _sent_offset(packet)
    return None if offset is None else int(_SENT_NS.unpack_from(packet, offset)[0])


def patch(
    packet: bytearray | memoryview,
    *,
    sequence: int | None = None,
    timestamp: int | None = None,
    ssrc: int | None = None,
    sent_ns: int | None = None,
) -> None:
    """Overwrite the given fields of a well-formed packet in place; numbers wrap to their fields' widths.

    Raises ValueError when `sent_ns` is given and the packet has no extension to hold it.
    """
    if sequence is not None:
        _SEQUENCE.pack_into(packet, 2, sequence & 0xFFFF)
    if timestamp is not None:
        _WORD.pack_into(packet, 4, timestamp & 0xFFFF_FFFF)
    if ssrc is not None:
        _WORD.pack_into(packet, 8, ssrc & 0xFFFF_FFFF)
    if sent_ns is not None:
        offset = _sent_offset(packet)
        if offset is None:
            raise ValueError(f"RTP packet has no header extension 0x{SENT_EXTENSION_PROFILE:X} to hold a sending time")
        _SENT_NS.pack_into(packet, offset, sent_ns & 0xFFFF_FFFF_FFFF_FFFF)


def sent_extension(sent_ns: int = 0) -> bytes:
    """Return the extension block (its own header included) to follow the CSRCs of a packet with the X bit set."""
    return _EXTENSION.pack(SENT_EXTENSION_PROFILE, SENT_EXTENSION_WORDS) + _SENT_NS.pack(sent_ns)


def _sent_offset(packet: bytes | bytearray | memoryview) -> int | None:
    """Find the eight bytes of sending time, if the packet has them."""
    if len(packet) < MIN_HEADER_BYTES or packet[0] >> 6 != VERSION or not packet[0] & 0x10:
        return None
    extension = MIN_HEADER_BYTES + 4 * (packet[0] & 0x0F)
    if extension + 12 > len(packet):
        return None
    if _EXTENSION.unpack_from(packet, extension) != (SENT_EXTENSION_PROFILE, SENT_EXTENSION_WORDS):
        return None
    return extension + 4
