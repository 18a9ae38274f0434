"""RTCP compound packets, and the streams they speak of."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.agents.instance.rtp_streams import ACTIVE_S, IDLE_S, RtpStreams
from testbed.rtp import rtcp
from testbed.rtp.header import RtpHeader
from testbed.rtp.statistics import ReceptionReport

SSRC = 0xCAFE
SDES = struct.pack("!BBHI", 0x81, 202, 3, SSRC) + b"\x01\x04name\0\0"


def sender_report(ssrc: int = SSRC, blocks: int = 0) -> bytes:
    words = 6 + 6 * blocks
    return (
        struct.pack("!BBHI", 0x80 | blocks, 200, words, ssrc)
        + struct.pack("!IIIII", 0x11112222, 0x33334444, 0, 1, 160)
        + bytes(24 * blocks)
    )


def bye(ssrc: int = SSRC) -> bytes:
    return struct.pack("!BBHI", 0x81, 203, 1, ssrc)


def test_a_compound_is_read() -> None:
    compound = rtcp.parse(sender_report(blocks=1) + SDES + bye())
    assert compound == rtcp.Compound((rtcp.SenderReport(SSRC, 0x22223333),), (), (SSRC,), ((SSRC, "name"),))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc8",
        sender_report()[:-4],
        sender_report() + b"\0\0\0",
        b"\x40" + sender_report()[1:],
        struct.pack("!BBHI", 0x82, 203, 1, SSRC),
        struct.pack("!BBHI", 0x81, 201, 1, SSRC),
        struct.pack("!BBHI", 0x80, 100, 1, SSRC),
        struct.pack("!BBHI", 0x82, 202, 1, SSRC),
        struct.pack("!BBHI", 0x81, 202, 2, SSRC) + b"\x01\x03na",
    ],
)
def test_what_is_malformed_is_none(data: bytes) -> None:
    assert rtcp.parse(data) is None


@given(st.binary(max_size=80))
def test_no_bytes_raise(data: bytes) -> None:
    rtcp.parse(data)
    rtcp.parse(b"\x81\xc8" + data)


def test_a_receiver_report_says_what_it_should() -> None:
    reception = ReceptionReport(64, -2, 70_000, 12)
    report = rtcp.receiver_report(1, "render-1@x", [rtcp.ReportBlock(SSRC, reception, 0x22223333, 1.5)])
    assert rtcp.parse(report) == rtcp.Compound((), (1,), (), ((1, "render-1@x"),))
    first, kind, words, own = struct.unpack_from("!BBHI", report)
    assert (first, kind, words, own) == (0x81, 201, 7, 1)
    block = struct.unpack_from("!IIIIII", report, 8)
    assert block == (SSRC, 64 << 24 | 0xFFFFFE, 70_000, 12, 0x22223333, 3 * 65536 // 2)
    assert len(report) % 4 == 0
    assert report[32:34] == b"\x81\xca"
    assert report[40:42] == bytes([1, 10])
    assert report[42:52] == b"render-1@x"
    assert report[52:] and not any(report[52:])


def test_a_sender_says_what_it_sent_whose_stream_it_is_and_goodbye() -> None:
    info = rtcp.SenderInfo(SSRC, (1 << 32) + 160, 50, 8000)
    report = rtcp.sender_report(info, 1.5, "calls/client-1@x/7", is_last=False)
    told = (rtcp.SenderReport(SSRC, (2_208_988_801 & 0xFFFF) << 16 | 0x8000),)
    assert rtcp.parse(report) == rtcp.Compound(told, (), (), ((SSRC, "calls/client-1@x/7"),))
    assert struct.unpack_from("!BBH6I", report) == (
        0x80, 200, 6, SSRC, 2_208_988_801, 1 << 31, 160, 50, 8000,
    )  # fmt: skip
    last = rtcp.parse(rtcp.sender_report(info, 1.5, "x", is_last=True))
    assert last is not None
    assert last.bye_ssrcs == (SSRC,)


def test_a_source_description_may_have_many_chunks_and_other_items() -> None:
    chunks = struct.pack("!I", 1) + b"\x02\x03Ann\x01\x01a\0\0\0\0" + struct.pack("!I", 2) + b"\x01\x02bc" + bytes(4)
    compound = rtcp.parse(struct.pack("!BBH", 0x82, 202, len(chunks) // 4) + chunks)
    assert compound is not None
    assert compound.cnames == ((1, "a"), (2, "bc"))


def test_no_more_than_31_blocks_fit() -> None:
    block = rtcp.ReportBlock(1, ReceptionReport(0, 0, 0, 0), None, 0.0)
    report = rtcp.receiver_report(1, "x", [block] * 40)
    assert report[0] & 0x1F == 31
    assert rtcp.parse(report) is not None


def header(sequence: int) -> RtpHeader:
    return RtpHeader(0, False, sequence, sequence * 160, SSRC, 12, 160, None)


def streams_after(packets: int) -> RtpStreams:
    streams = RtpStreams("render-1@x")
    for number in range(packets):
        streams.receive(header(number), "10.0.0.1", 4000, number * 0.02, 172)
    return streams


def test_a_sender_gets_a_block_about_its_stream() -> None:
    blocks = streams_after(10).control(rtcp.Compound((rtcp.SenderReport(SSRC, 5),), (), ()), "10.0.0.1", 1.0)
    assert blocks is not None
    assert [(block.ssrc, block.ntp_middle, block.since_report_s) for block in blocks] == [(SSRC, 5, 0.0)]
    assert blocks[0].reception.extended_highest_sequence == 9


def test_a_sender_nobody_heard_gets_an_empty_report() -> None:
    streams = RtpStreams("x")
    assert streams.control(rtcp.Compound((rtcp.SenderReport(SSRC, 5),), (), ()), "10.0.0.1", 1.0) == []


def test_a_stream_has_the_call_that_its_sender_names() -> None:
    streams = streams_after(5)
    streams.control(rtcp.Compound((), (), (SSRC,), ((SSRC, "a call"), (99, "another"))), "10.0.0.1", 0.2)
    assert [row["call"] for row in streams.all_rows()] == ["a call"]


def test_a_mere_receiver_gets_no_answer() -> None:
    """Else two receivers would answer each other for ever."""
    assert streams_after(1).control(rtcp.Compound((), (99,), ()), "10.0.0.1", 1.0) is None


def test_a_stream_is_active_until_silence_or_bye() -> None:
    streams = streams_after(1)
    assert streams.active(ACTIVE_S) == 1
    assert streams.active(ACTIVE_S + 0.01) == 0
    streams = streams_after(1)
    streams.control(rtcp.Compound((), (), (SSRC,)), "10.0.0.2", 0.1)
    assert streams.active(0.1) == 1  # somebody else's goodbye
    streams.control(rtcp.Compound((), (), (SSRC,)), "10.0.0.1", 0.1)
    assert streams.active(0.1) == 0


def test_rows_come_once_after_bye_or_silence() -> None:
    streams = streams_after(5)
    assert streams.due_rows(IDLE_S) == []
    rows = streams.due_rows(IDLE_S + 1)
    assert [(row["ssrc"], row["packets_received"], row["direction"]) for row in rows] == [(SSRC, 5, "up")]
    assert streams.all_rows() == []
    streams = streams_after(5)
    streams.control(rtcp.Compound((), (), (SSRC,)), "10.0.0.1", 0.2)
    assert len(streams.due_rows(0.08 + ACTIVE_S)) == 1
