"""The RTP header: parsing, patching, the extension that carries the sending time."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.rtp import header as rtp_header


def packet(
    *,
    version: int = 2,
    payload_type: int = 0,
    marker: bool = False,
    csrcs: int = 0,
    extension: bytes = b"",
    payload: bytes = b"x" * 160,
    padding: int = 0,
) -> bytes:
    """Build an RTP packet by hand."""
    first = version << 6 | bool(padding) << 5 | bool(extension) << 4 | csrcs
    head = struct.pack("!BBHII", first, marker << 7 | payload_type, 7, 1120, 0xCAFE) + bytes(4 * csrcs)
    tail = bytes(padding - 1) + bytes([padding]) if padding else b""
    return head + extension + payload + tail


def test_a_plain_packet() -> None:
    header = rtp_header.parse(packet(payload_type=8, marker=True))
    assert header == rtp_header.RtpHeader(8, True, 7, 1120, 0xCAFE, 12, 160, None)


def test_csrcs_extension_and_padding_are_not_payload() -> None:
    header = rtp_header.parse(packet(csrcs=2, extension=rtp_header.sent_extension(5), padding=4))
    assert header is not None
    assert (header.payload_offset, header.payload_length, header.sent_ns) == (12 + 8 + 12, 160, 5)


def test_another_extension_is_passed_over() -> None:
    header = rtp_header.parse(packet(extension=struct.pack("!HHI", 0xBEDE, 1, 1)))
    assert header is not None
    assert (header.payload_offset, header.sent_ns) == (20, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        packet()[:11],
        packet(version=1),
        packet(version=3),
        packet(csrcs=15, payload=b"")[:30],
        packet(extension=struct.pack("!HH", 0xDCA5, 200)),
        packet(extension=b"\xdc")[:13],
        packet(payload=b"", padding=13)[:-1] + b"\x20",
        packet(padding=4)[:-1] + b"\x00",
        packet(payload_type=72, marker=True),  # 200: an RTCP sender report
    ],
)
def test_what_is_no_rtp_is_none(data: bytes) -> None:
    assert rtp_header.parse(data) is None


@given(st.binary(max_size=64))
def test_no_bytes_at_all_raise(data: bytes) -> None:
    header = rtp_header.parse(data)
    assert header is None or header.payload_offset + header.payload_length <= len(data)
    sent_ns = rtp_header.sent_ns(data)
    assert header is None or header.sent_ns == sent_ns


@given(
    st.integers(0, 2**20), st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**64 - 1), st.integers(0, 15)
)
def test_what_is_patched_is_what_is_parsed(sequence: int, timestamp: int, ssrc: int, sent_ns: int, csrcs: int) -> None:
    data = bytearray(packet(csrcs=csrcs, extension=rtp_header.sent_extension(), payload=b"voice"))
    rtp_header.patch(data, sequence=sequence, timestamp=timestamp, ssrc=ssrc, sent_ns=sent_ns)
    header = rtp_header.parse(data)
    assert header is not None
    assert header.sequence == sequence % 2**16
    assert (header.timestamp, header.ssrc) == (timestamp % 2**32, ssrc % 2**32)
    assert header.sent_ns == rtp_header.sent_ns(data) == sent_ns
    assert data[header.payload_offset :] == b"voice"


def test_patching_one_field_leaves_the_others() -> None:
    data = bytearray(packet(extension=rtp_header.sent_extension(9)))
    before = bytes(data)
    rtp_header.patch(data, ssrc=1)
    assert data[:8] == before[:8]
    assert data[12:] == before[12:]


def test_a_sending_time_needs_its_extension() -> None:
    with pytest.raises(ValueError, match="0xDCA5"):
        rtp_header.patch(bytearray(packet()), sent_ns=1)
