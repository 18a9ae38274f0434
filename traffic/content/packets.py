"""RTP media streams, built by Scapy: G.711 audio and a frame-patterned video (RFC 3550, RFC 3551).

Runs in the runner, before a run. Owns what the packets of a medium are and
when they are due; knows no sockets. Every packet carries the testbed's header extension, in which the
sender leaves its sending time (`testbed.rtp.header`). A new medium is one function under `@medium`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from testbed.errors import InputError
from testbed.rtp.header import SENT_EXTENSION_PROFILE, SENT_EXTENSION_WORDS
from traffic.content import g711, scapy_packets
from traffic.content.scapy_packets import RtpPacket
from traffic.content.stream_file import Stream, StreamPacket, encode

AUDIO_PAYLOAD_TYPE = 0
AUDIO_PACKET_MS = 20
VIDEO_PAYLOAD_TYPE = 96
VIDEO_CLOCK_HZ = 90_000

MEDIA: dict[str, Callable[..., Stream]] = {}


class StreamError(InputError):
    """A stream that cannot be built; one line naming the parameter and the way out."""


def medium(function: Callable[..., Stream]) -> Callable[..., Stream]:
    """Register a medium under its function's name."""
    MEDIA[function.__name__] = function
    return function


def build_stream(media: str, duration_s: float, **parameters: float) -> bytes:
    """Return the stream file of a medium, lasting `duration_s` rounded up to whole frames.

    `parameters`: those of `audio` or `video`. Calls may be longer: they repeat the stream. Raises StreamError.
    """
    if media not in MEDIA:
        raise StreamError(f"media: no medium {media!r}; there are: {', '.join(MEDIA)}")
    for name, value in (("duration_s", duration_s), *parameters.items()):
        if not value > 0:
            raise StreamError(f"{name}: must be > 0, not {value!r}")
    try:
        return encode(MEDIA[media](duration_s, **parameters))
    except TypeError as error:
        raise StreamError(f"{media}: {error}") from None


@medium
def audio(duration_s: float, *, tone_hz: float = 440, amplitude: float = 0.5) -> Stream:
    """G.711 µ-law: 50 packets/s of 160 samples of a tone. No marker: there are no talk spurts (RFC 3551, 4.1)."""
    samples = g711.SAMPLE_RATE_HZ * AUDIO_PACKET_MS // 1000
    count = _whole_frames(duration_s, 1000 / AUDIO_PACKET_MS)
    payload = g711.tone(tone_hz, samples * count, amplitude)
    described = [
        _rtp(
            AUDIO_PAYLOAD_TYPE,
            index,
            index * samples,
            marker=False,
            payload=payload[index * samples : (index + 1) * samples],
        )
        for index in range(count)
    ]
    packets = _due([index * AUDIO_PACKET_MS * 1000 for index in range(count)], described)
    return Stream(AUDIO_PAYLOAD_TYPE, g711.SAMPLE_RATE_HZ, count * AUDIO_PACKET_MS * 1000, count * samples, packets)


@medium
def video(
    duration_s: float,
    *,
    bitrate_kbps: float = 1000,
    frames_per_s: float = 30,
    gop_frames: int = 30,
    i_frame_ratio: float = 5,
    max_payload_bytes: int = 1200,
) -> Stream:
    """Frames of a group-of-pictures pattern, each sent as one burst at its due time, marker on its last packet.

    `bitrate_kbps`: mean over a whole group, RTP payload only. `gop_frames`: an I frame and the P frames after it.
    `i_frame_ratio`: size of an I frame over that of a P frame. The payload is filler no decoder will take.
    """
    count = _whole_frames(duration_s, frames_per_s)
    filler = random.Random(0)  # compressed video looks random; the same bytes each time keep runs comparable
    due_us: list[int] = []
    packets: list[RtpPacket] = []
    for frame in range(count):
        size = _frame_bytes(frame, bitrate_kbps, frames_per_s, gop_frames, i_frame_ratio)
        timestamp = round(frame * VIDEO_CLOCK_HZ / frames_per_s)
        for start in range(0, size, max_payload_bytes):
            payload = filler.randbytes(min(max_payload_bytes, size - start))
            is_last = start + max_payload_bytes >= size
            packets.append(_rtp(VIDEO_PAYLOAD_TYPE, len(packets), timestamp, marker=is_last, payload=payload))
            due_us.append(round(frame * 1e6 / frames_per_s))
    return Stream(
        VIDEO_PAYLOAD_TYPE,
        VIDEO_CLOCK_HZ,
        round(count * 1e6 / frames_per_s),
        round(count * VIDEO_CLOCK_HZ / frames_per_s),
        _due(due_us, packets),
    )


def _whole_frames(duration_s: float, frames_per_s: float) -> int:
    # The tolerance keeps 0.1 s at 30 frames/s at 3 frames, whatever binary fractions make of it.
    return max(1, -int(-(duration_s * frames_per_s - 1e-6) // 1))


def _frame_bytes(frame: int, bitrate_kbps: float, frames_per_s: float, gop_frames: int, i_frame_ratio: float) -> int:
    gop_bytes = bitrate_kbps * 1000 / 8 * gop_frames / frames_per_s
    p_bytes = gop_bytes / (i_frame_ratio + gop_frames - 1)
    return max(1, round(p_bytes * (i_frame_ratio if frame % gop_frames == 0 else 1)))


def _due(due_us: list[int], packets: list[RtpPacket]) -> tuple[StreamPacket, ...]:
    return tuple(map(StreamPacket, due_us, scapy_packets.built(packets)))


def _rtp(payload_type: int, sequence: int, timestamp: int, *, marker: bool, payload: bytes) -> RtpPacket:
    return RtpPacket(
        payload_type=payload_type,
        marker=marker,
        sequence=sequence & 0xFFFF,
        timestamp=timestamp & 0xFFFF_FFFF,
        extension_profile=SENT_EXTENSION_PROFILE,
        extension_words=SENT_EXTENSION_WORDS,
        payload=payload,
    )
