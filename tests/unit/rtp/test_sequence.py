"""Streams of known properties: what was lost, overtaken and sent twice is what the receiver says, in every case."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testbed.agents.instance.rtp_streams import IDLE_S, RtpStreams
from testbed.rtp.header import RtpHeader
from testbed.rtp.statistics import StreamSnapshot, StreamStatistics

PACKET_S = 0.02


class Sent(NamedTuple):
    """A packet: its number and its time stamp in packets, and when it arrives in packets; all from zero."""

    number: int
    stamp: int
    at: float


def steady(numbers: Iterable[int]) -> list[Sent]:
    """Return packets that arrive one by one, in this order."""
    return [Sent(number, number, place) for place, number in enumerate(numbers)]


def received(packets: Iterable[Sent], first: int = 0, step: int = 160, payload_type: int = 0) -> StreamSnapshot:
    statistics = StreamStatistics()
    for packet in packets:
        stamp = packet.stamp * step % 2**32
        statistics.receive((first + packet.number) % 65536, stamp, packet.at * PACKET_S, payload_type=payload_type)
    return statistics.snapshot()


_LOST = set(random.Random(1).sample(range(5, 395), 37))
_SWAPPED = [n + 1 if n % 20 == 10 else n - 1 if n % 20 == 11 else n for n in range(400)]
KNOWN = {
    "the number wraps": (steady(range(400)), 65_400, (400, 400, 0, 0, 0)),
    "each tenth twice": (
        steady(number for n in range(400) for number in ([n, n] if n % 10 == 5 else [n])), 0, (400, 440, 0, 40, 0)
    ),
    "neighbours change places": (steady(_SWAPPED), 0, (400, 400, 0, 0, 20)),
    "37 are never sent": (steady(n for n in range(400) if n not in _LOST), 0, (400, 363, 37, 0, 0)),
    "4,000 are missing at once": (steady([*range(200), *range(4200, 4400)]), 0, (4400, 400, 4000, 0, 0)),
    "150 are overtaken": (
        steady([*range(100), *range(250, 400), *range(100, 250), *range(400, 500)]), 0, (500, 500, 0, 0, 150)
    ),
    "the first 150 are overtaken": (steady([*range(150, 400), *range(150), *range(400, 500)]), 65_500,
                                    (500, 500, 0, 0, 150)),
    "a pause of five seconds": (
        [*steady(range(100)), *(Sent(n, n + 250, n + 250) for n in range(100, 200))], 0, (200, 200, 0, 0, 0)
    ),
    "a pause of ten minutes": (
        [*steady(range(100)), *(Sent(n, n + 30_000, n + 30_000) for n in range(100, 200))], 0, (200, 200, 0, 0, 0)
    ),
}  # fmt: skip


_CLOCKS = [(160, 0), (960, 111)]  # ticks of a packet, payload type
_STILL = (0, 96)  # says nothing of what is far away
_NEAR = [name for name in KNOWN if "overtaken" not in name and "at once" not in name]


@pytest.mark.parametrize(("name", "clock"), [*((n, c) for n in KNOWN for c in _CLOCKS), *((n, _STILL) for n in _NEAR)])
def test_a_stream_of_known_properties(name: str, clock: tuple[int, int]) -> None:
    packets, first, right = KNOWN[name]
    step, payload_type = clock
    found = received(packets, first, step, payload_type)
    counts = (found.packets_expected, found.packets_received, found.packets_lost, found.duplicates, found.reordered)
    assert counts == right


@given(st.integers(2, 300_000), st.integers(0, 65_535), st.sampled_from([0, 160, 960, 3000]), st.integers(60, 400))
@example(2_999, 0, 160, 100)
@example(3_000, 0, 160, 100)
@example(40_000, 0, 0, 100)
@example(65_536, 0, 160, 100)
@example(65_537, 0, 160, 100)
@example(131_071, 0, 160, 100)
def test_an_outage_is_loss_however_long(missing: int, first: int, step: int, before: int) -> None:
    packets = [Sent(n, n, n) for n in (*range(before), *range(before + missing, before + missing + 50))]
    found = received(packets, first, step)
    if missing % 65_536:  # where the number goes on as if nothing had been, it was a pause
        assert (found.packets_lost, found.duplicates, found.reordered) == (missing, 0, 0)
    else:
        assert (found.packets_lost, found.duplicates, found.reordered) == (0, 0, 0)


@given(st.integers(1, 2_000), st.integers(0, 65_535))
@example(16_000, 60_000)
def test_packets_that_took_a_longer_way_are_overtaken_not_lost(block: int, first: int) -> None:
    numbers = [*range(100), *range(100 + block, 100 + 2 * block), *range(100, 100 + block)]
    found = received(steady([*numbers, *range(100 + 2 * block, 150 + 2 * block)]), first)
    assert (found.packets_lost, found.duplicates, found.reordered, found.packets_expected) == (
        0, 0, block, 150 + 2 * block
    )  # fmt: skip


@given(st.integers(3_000, 65_000), st.integers(1 << 28, 1 << 31), st.integers(0, 200))
def test_a_sender_that_begins_again_has_lost_nothing(jump: int, stamp: int, silence: int) -> None:
    before = steady(range(100))
    after = [Sent(100 + jump + n, 0, 100 + silence + n) for n in range(100)]
    statistics = StreamStatistics()
    for packet in before:
        statistics.receive(packet.number, packet.stamp * 160, packet.at * PACKET_S)
    for n, packet in enumerate(after):
        statistics.receive(packet.number % 65536, stamp + n * 160, packet.at * PACKET_S)
    found = statistics.snapshot()
    assert (statistics.restarts, found.packets_expected, found.packets_received, found.packets_lost) == (1, 200, 200, 0)


def _streams(numbers: Iterable[int], streams: RtpStreams) -> None:
    for number in numbers:
        header = RtpHeader(0, False, number % 65536, number * 160, 7, 12, 160, None)
        streams.receive(header, "10.1.0.20", 4000, number * PACKET_S, 172)


def test_what_is_lost_while_a_stream_is_taken_for_silent_is_in_its_second_row() -> None:
    streams, missing = RtpStreams("voice-1@west"), round(2 * IDLE_S / PACKET_S)
    _streams(range(100), streams)
    (first,) = streams.due_rows(99 * PACKET_S + IDLE_S)
    _streams(range(100 + missing, 200 + missing), streams)
    (second,) = streams.all_rows()
    columns = ("packets_expected", "packets_received", "packets_lost")
    assert [first[column] for column in columns] == [100, 100, 0]
    assert [second[column] for column in columns] == [missing + 100, 100, missing]
    assert streams.all_rows() == []


def test_two_senders_that_drew_one_source_are_two_streams() -> None:
    streams = RtpStreams("voice-1@west")
    for number in range(300):
        for port, first in ((4000, 100), (4001, 40_000)):
            header = RtpHeader(0, False, (first + number) % 65536, number * 160, 0x95, 12, 160, None)
            streams.receive(header, "10.1.0.20", port, number * PACKET_S, 172)
    assert [(row["packets_expected"], row["packets_lost"]) for row in streams.all_rows()] == [(300, 0)] * 2
