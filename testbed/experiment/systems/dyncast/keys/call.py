"""What calls of audio and video ask of their service, and what they amount to in packets.

Pure. Which ports a call takes is `traffic/loads/call_load.py`'s business.
"""

from __future__ import annotations

from traffic.config import PORTS_PER_CALL

AUDIO_PACKETS_PER_S = 50.0
_VIDEO_FRAMES_PER_S = 30.0
_VIDEO_PAYLOAD_KBYTES = 1.2


def packets_per_s(media: str, video_kbps: float) -> float:
    """Return how many RTP packets a second a call sends on average."""
    of_video = _VIDEO_FRAMES_PER_S * max(1.0, video_kbps / 8 / _VIDEO_FRAMES_PER_S / _VIDEO_PAYLOAD_KBYTES)
    return {"audio": AUDIO_PACKETS_PER_S, "video": of_video, "call": AUDIO_PACKETS_PER_S + of_video}[media]


def check_service(name: str, kind: str, port: int, port_block: int) -> None:
    """Raise ValueError if calls cannot go to a service, or if its blocks of ports cut them in two."""
    if kind != "rtp":
        raise ValueError(f"services.{name}.kind: calls need rtp, not {kind}")
    last = port + PORTS_PER_CALL - 1
    if last > 65535:
        raise ValueError(f"services.{name}.port: calls take {PORTS_PER_CALL} ports from {port} up; 65535 is the last")
    if port_block >= PORTS_PER_CALL and port // port_block != last // port_block:
        raise ValueError(
            f"services.{name}.port: calls take ports {port} to {last}, which are not in one block of {port_block}; "
            f"take a multiple of {PORTS_PER_CALL}"
        )
