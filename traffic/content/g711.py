"""G.711 µ-law, the audio of RTP payload type 0: encode a tone. Pure; knows nothing of packets."""

from __future__ import annotations

import math

SAMPLE_RATE_HZ = 8000

_BIAS = 0x84  # ITU-T G.711 µ-law: the logarithmic segments begin at this offset
_CLIP = 32635


def encode_sample(linear: int) -> int:
    """Encode one 16-bit linear sample as a µ-law byte; louder samples are clipped."""
    sign = 0x80 if linear < 0 else 0
    magnitude = min(abs(linear), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | exponent << 4 | mantissa) & 0xFF


def tone(frequency_hz: float, sample_count: int, amplitude: float = 0.5) -> bytes:
    """Encode a sine wave of `sample_count` samples; `amplitude` is the share (0..1) of full scale."""
    peak = amplitude * 32767
    step = 2 * math.pi * frequency_hz / SAMPLE_RATE_HZ
    return bytes(encode_sample(round(peak * math.sin(step * index))) for index in range(sample_count))
