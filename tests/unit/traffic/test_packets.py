"""Media streams, taken apart by Scapy again."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from scapy.layers.rtp import RTP

from testbed.rtp import header as rtp_header
from traffic.content.g711 import encode_sample, tone
from traffic.content.packets import StreamError, build_stream
from traffic.content.stream_file import Stream, decode


def stream(media: str, duration_s: float, **parameters: float) -> Stream:
    return decode(build_stream(media, duration_s, **parameters))


def ulaw_to_linear(byte: int) -> int:
    """Decode as ITU-T G.711 table 2 has it."""
    byte = ~byte & 0xFF
    magnitude = (((byte & 0x0F) << 3) + 0x84) << (byte >> 4 & 7)
    return (0x84 - magnitude) if byte & 0x80 else (magnitude - 0x84)


@pytest.mark.parametrize(
    ("linear", "byte"), [(0, 0xFF), (-1, 0x7F), (32767, 0x80), (-32768, 0x00), (1000, 0xCE), (-1000, 0x4E), (8, 0xFE)]
)
def test_ulaw_of_known_samples(linear: int, byte: int):
    assert encode_sample(linear) == byte


def test_ulaw_is_true_to_its_segments():
    for linear in range(-32635, 32636, 7):
        assert abs(ulaw_to_linear(encode_sample(linear)) - linear) <= max(4, abs(linear) / 16)


def test_a_tone_has_its_frequency_and_amplitude():
    samples = [ulaw_to_linear(byte) for byte in tone(440, 8000, 0.5)]
    upward = sum(1 for before, after in pairwise(samples) if before < 0 <= after)
    assert upward in (439, 440)
    root_mean_square = math.sqrt(sum(sample**2 for sample in samples) / len(samples))
    assert root_mean_square == pytest.approx(0.5 * 32767 / math.sqrt(2), rel=0.02)


def test_audio_is_fifty_packets_a_second_of_g711():
    audio = stream("audio", 1.0)
    assert (audio.payload_type, audio.clock_rate_hz, audio.period_us, audio.period_ticks) == (0, 8000, 1_000_000, 8000)
    assert [packet.due_us for packet in audio.packets] == list(range(0, 1_000_000, 20_000))
    for index, packet in enumerate(audio.packets):
        parsed = RTP(packet.data)
        assert (parsed.version, parsed.payload_type, parsed.marker, parsed.extension) == (2, 0, 0, 1)
        assert (parsed.sequence, parsed.timestamp, parsed.sourcesync) == (index, 160 * index, 0)
        assert len(parsed.load) == 160
    assert b"".join(RTP(packet.data).load for packet in audio.packets) == tone(440, 8000)


def test_every_packet_has_room_for_its_sending_time():
    for media in ("audio", "video"):
        for packet in stream(media, 0.2).packets:
            parsed = RTP(packet.data)
            assert (parsed["RTPExtension"].header_id, parsed["RTPExtension"].header) == (0xDCA5, [0, 0])


def test_a_patched_packet_carries_the_call():
    data = bytearray(stream("audio", 0.1).packets[1].data)
    rtp_header.patch(data, sequence=65_536 + 7, timestamp=2**32 + 99, ssrc=0xCAFEBABE, sent_ns=2**40 + 5)
    parsed = RTP(bytes(data))
    assert (parsed.sequence, parsed.timestamp, parsed.sourcesync) == (7, 99, 0xCAFEBABE)
    assert parsed["RTPExtension"].header == [2**8, 5]
    assert parsed.load == tone(440, 320)[160:]


def test_video_frames_share_due_time_and_timestamp_and_end_with_the_marker():
    video = stream("video", 2.0)
    parsed = [RTP(packet.data) for packet in video.packets]
    assert (video.payload_type, video.clock_rate_hz, video.period_us, video.period_ticks) == (
        96,
        90_000,
        2_000_000,
        180_000,
    )
    assert [packet.sequence for packet in parsed] == list(range(len(parsed)))
    assert max(len(packet.load) for packet in parsed) == 1200
    frames: dict[int, list[int]] = {}
    for index, packet in enumerate(parsed):
        frames.setdefault(packet.timestamp, []).append(index)
    assert list(frames) == [3000 * frame for frame in range(60)]
    for frame, indices in enumerate(frames.values()):
        assert {video.packets[index].due_us for index in indices} == {round(frame * 1e6 / 30)}
        assert [parsed[index].marker for index in indices] == [0] * (len(indices) - 1) + [1]


def test_video_has_its_bitrate_and_its_pattern():
    video = stream("video", 2.0, bitrate_kbps=1500, frames_per_s=25, gop_frames=25, i_frame_ratio=6)
    sizes: dict[int, int] = {}
    for packet in video.packets:
        parsed = RTP(packet.data)
        sizes[parsed.timestamp] = sizes.get(parsed.timestamp, 0) + len(parsed.load)
    by_frame = list(sizes.values())
    assert len(by_frame) == 50
    assert sum(by_frame) * 8 / 2 == pytest.approx(1_500_000, rel=0.001)
    assert by_frame[0] == by_frame[25] == pytest.approx(6 * by_frame[1], rel=0.001)
    assert len({*by_frame[1:25], *by_frame[26:]}) == 1


def test_durations_are_rounded_up_to_frames():
    assert stream("audio", 0.021).period_us == 40_000
    assert stream("video", 0.1).period_ticks == 9_000
    assert stream("video", 0.101).period_ticks == 12_000


@pytest.mark.parametrize(
    ("media", "parameters", "message"),
    [
        ("smell", {}, "media: no medium 'smell'; there are: audio, video"),
        ("audio", {"duration_s": 0}, "duration_s: must be > 0"),
        ("video", {"bitrate_kbps": -1}, "bitrate_kbps: must be > 0, not -1"),
        ("audio", {"bitrate_kbps": 64}, "audio: .*bitrate_kbps"),
    ],
)
def test_errors_name_the_parameter(media: str, parameters: dict[str, float], message: str):
    with pytest.raises(StreamError, match=message):
        build_stream(media, **{"duration_s": 1.0, **parameters})
