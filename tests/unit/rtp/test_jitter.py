"""Jitter by a clock rate that is known, or found in the stream; none where it is neither."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.rtp.jitter import Jitter, clock_rate_hz
from testbed.rtp.statistics import StreamStatistics

USUAL = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 90_000, 96_000, 192_000]


@pytest.mark.parametrize(
    ("payload_type", "rate_hz"), [(0, 8000), (8, 8000), (9, 8000), (10, 44_100), (26, 90_000), (96, None), (77, None)]
)
def test_only_static_payload_types_have_a_known_clock(payload_type: int, rate_hz: int | None) -> None:
    assert clock_rate_hz(payload_type) == rate_hz


def _play(jitter: Jitter, rate_hz: int, spread_s: float, seed: int, count: int = 400, is_dated: bool = False) -> None:
    rng = Random(seed)
    first = rng.getrandbits(32)
    for number in range(count):
        due_s = number * 0.02
        stamp = (first + round(due_s * rate_hz)) % 2**32
        jitter.add(stamp, 100 + due_s + spread_s * rng.random(), 100 + due_s if is_dated else None)


@given(st.sampled_from(USUAL), st.floats(0, 0.02), st.integers(0, 99))
def test_a_clock_that_is_found_gives_the_jitter_of_one_that_is_known(rate_hz: int, spread_s: float, seed: int) -> None:
    found, known = Jitter(None), Jitter(rate_hz)
    for jitter in (found, known):
        _play(jitter, rate_hz, spread_s, seed)
    assert found.seconds == pytest.approx(known.seconds)
    assert found.timestamp_units == known.timestamp_units


def test_the_time_of_sending_finds_a_clock_through_any_jitter() -> None:
    jitter = Jitter(None)
    _play(jitter, 90_000, spread_s=1.0, seed=1, is_dated=True)
    known = Jitter(90_000)
    _play(known, 90_000, spread_s=1.0, seed=1)
    assert jitter.seconds == pytest.approx(known.seconds)


@pytest.mark.parametrize("rate_hz", [0, 1000, 10_000, 60_000, 1_000_000])
def test_a_clock_that_no_profile_uses_gives_none(rate_hz: int) -> None:
    jitter = Jitter(None)
    _play(jitter, rate_hz, spread_s=0.0, seed=1, count=2000)
    assert (jitter.seconds, jitter.timestamp_units) == (None, 0)


def test_a_short_stream_of_unknown_clock_has_none() -> None:
    jitter = Jitter(None)
    _play(jitter, 48_000, spread_s=0.0, seed=1, count=50)
    assert jitter.seconds is None


def test_packets_of_one_video_frame_share_a_time_stamp() -> None:
    """Thirty frames a second, seven packets each, sent within 6 ms: RFC 3550 counts these as jitter, and no more."""
    found, known = StreamStatistics(), StreamStatistics(90_000)
    for number in range(700):
        frame, part = divmod(number, 7)
        arrival_s = frame / 30 + part * 0.001
        for statistics in (found, known):
            statistics.receive(number, frame * 3000, arrival_s, payload_type=96)
    assert found.snapshot().jitter_ms == pytest.approx(known.snapshot().jitter_ms)
    assert 0.5 < (found.snapshot().jitter_ms or 0) < 2


def test_a_key_pressed_in_a_call_is_no_jitter_of_the_voice() -> None:
    """RFC 4733: the time stamps of an event stand still."""
    statistics = StreamStatistics()
    for number in range(200):
        is_event = 150 <= number < 190
        stamp = 150 * 160 if is_event else number * 160
        statistics.receive(number, stamp, number * 0.02, payload_type=101 if is_event else 0)
    assert statistics.snapshot().jitter_ms == pytest.approx(0, abs=1e-6)
