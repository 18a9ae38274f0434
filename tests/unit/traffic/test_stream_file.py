"""Stream files: what is written is read, what is broken is named."""

from __future__ import annotations

import pytest

from traffic.content.stream_file import Stream, StreamFileError, StreamPacket, decode, encode

STREAM = Stream(
    payload_type=0,
    clock_rate_hz=8000,
    period_us=60_000,
    period_ticks=480,
    packets=(StreamPacket(0, b"a" * 20), StreamPacket(20_000, b"b" * 30), StreamPacket(40_000, b"c" * 40)),
)


def test_what_is_written_is_read():
    assert decode(encode(STREAM)) == STREAM


def test_every_truncation_is_an_error():
    content = encode(STREAM)
    for length in range(len(content)):
        with pytest.raises(StreamFileError):
            decode(content[:length])


def test_errors_say_what_is_wrong():
    content = encode(STREAM)
    with pytest.raises(StreamFileError, match="wrong magic"):
        decode(b"RIFF" + content[4:])
    with pytest.raises(StreamFileError, match="cut off within packet 2 of 3"):
        decode(content[:-1])
    with pytest.raises(StreamFileError, match="1 bytes too many"):
        decode(content + b"x")
    with pytest.raises(StreamFileError, match=r"packet 1 is due at 0 µs, not within 5\.\.60000"):
        decode(encode(Stream(0, 8000, 60_000, 480, (StreamPacket(5, b""), StreamPacket(0, b"")))))
    with pytest.raises(StreamFileError, match="at least one packet"):
        decode(encode(Stream(0, 8000, 60_000, 480, ())))


@pytest.mark.parametrize(
    ("duration_s", "packets"), [(0.001, 1), (0.02, 1), (0.020001, 2), (0.06, 3), (0.0601, 4), (6.0, 300), (6.05, 303)]
)
def test_calls_repeat_the_stream(duration_s: float, packets: int):
    assert STREAM.packets_before(duration_s) == packets
