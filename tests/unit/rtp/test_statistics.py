"""RFC 3550 receiver statistics, against by-hand figures and a literal transcription of the appendix."""

from __future__ import annotations

from dataclasses import asdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.records.tables import columns_of
from testbed.rtp.statistics import DelayStatistics, StreamStatistics

PACKET_S = 0.02
STAMPS = 160


def play(order: list[int], first: int = 1000, statistics: StreamStatistics | None = None) -> StreamStatistics:
    """Receive packets number `order` of a G.711 stream that begins at sequence number `first`."""
    statistics = statistics or StreamStatistics(8000)
    for place, number in enumerate(order):
        statistics.receive((first + number) % 65536, number * STAMPS % 2**32, place * PACKET_S)
    return statistics


def test_the_snapshot_is_the_numeric_part_of_the_rtp_table() -> None:
    columns = columns_of("rtp")
    assert tuple(asdict(StreamStatistics(8000).snapshot())) == columns[columns.index("first_s") :]


def test_nothing_received_tells_nothing() -> None:
    snapshot = StreamStatistics(8000).snapshot()
    assert (snapshot.packets_expected, snapshot.packets_received, snapshot.packets_lost) == (0, 0, 0)
    assert (snapshot.first_s, snapshot.loss_fraction, snapshot.jitter_ms, snapshot.delay_mean_ms) == (None,) * 4


@pytest.mark.parametrize("first", [0, 1, 1000, 65_535, 65_530])
def test_a_steady_stream_loses_nothing_across_the_wrap(first: int) -> None:
    snapshot = play(list(range(70_000)), first).snapshot()
    assert (snapshot.packets_expected, snapshot.packets_received, snapshot.packets_lost) == (70_000, 70_000, 0)
    assert (snapshot.duplicates, snapshot.reordered) == (0, 0)
    assert snapshot.jitter_ms == pytest.approx(0, abs=1e-6)


def test_gaps_are_losses() -> None:
    snapshot = play([0, 1, 4, 5, 9]).snapshot()
    assert (snapshot.packets_expected, snapshot.packets_received, snapshot.packets_lost) == (10, 5, 5)
    assert snapshot.loss_fraction == 0.5


def test_a_duplicate_never_hides_a_loss() -> None:
    snapshot = play([0, 1, 1, 3, 3, 3]).snapshot()
    assert (snapshot.packets_received, snapshot.duplicates, snapshot.packets_lost) == (6, 3, 1)


def test_an_overtaken_packet_is_reordered_not_lost() -> None:
    snapshot = play([0, 2, 1, 3]).snapshot()
    assert (snapshot.reordered, snapshot.packets_lost, snapshot.packets_expected) == (1, 0, 4)


def test_a_first_packet_that_was_overtaken_counts() -> None:
    snapshot = play([1, 0, 2], first=65_535).snapshot()
    assert (snapshot.packets_expected, snapshot.packets_received, snapshot.reordered) == (3, 3, 1)


def test_a_late_duplicate_of_a_reordered_packet_is_a_duplicate() -> None:
    snapshot = play([0, 2, 1, 1]).snapshot()
    assert (snapshot.reordered, snapshot.duplicates, snapshot.packets_lost) == (1, 1, 0)


def test_one_wild_packet_is_rejected_and_changes_nothing() -> None:
    statistics = play([*range(10), 30_000, *range(10, 20)])
    assert statistics.rejected == 1
    assert statistics.snapshot().packets_expected == 20
    assert statistics.snapshot().packets_lost == 0


def test_a_sender_that_begins_again_elsewhere_restarts_the_count() -> None:
    statistics = play(list(range(10)))
    for number in range(10):
        statistics.receive(31_000 + number, 3_000_000_000 + number * STAMPS, (10 + number) * PACKET_S)
    snapshot = statistics.snapshot()
    assert (statistics.restarts, statistics.rejected) == (1, 0)
    assert (snapshot.packets_expected, snapshot.packets_received, snapshot.packets_lost) == (20, 20, 0)
    assert snapshot.jitter_ms == pytest.approx(0, abs=1e-6)


def test_a_gap_that_fits_the_clock_of_the_sender_is_loss() -> None:
    statistics = play([*range(10), *range(30_000, 30_010)])
    assert (statistics.restarts, statistics.rejected) == (0, 0)
    assert statistics.snapshot().packets_lost == 29_990


def test_jitter_of_alternating_delays() -> None:
    """Each packet's transit differs from the last one's by 8 ms: J converges to 8 ms."""
    statistics = StreamStatistics(8000)
    for number in range(400):
        statistics.receive(number, number * STAMPS, number * PACKET_S + (0.008 if number % 2 else 0.0))
    assert statistics.snapshot().jitter_ms == pytest.approx(8.0, rel=1e-6)


def test_first_and_last_arrival() -> None:
    snapshot = play([0, 1, 2]).snapshot()
    assert snapshot.first_s == 0.0
    assert snapshot.last_s == pytest.approx(2 * PACKET_S)


def test_one_way_delay() -> None:
    statistics = StreamStatistics(8000)
    for number in range(100):
        sent_s = number * PACKET_S
        statistics.receive(number, number * STAMPS, sent_s + 0.001 * (number + 1), sent_s)
    snapshot = statistics.snapshot()
    assert snapshot.delay_mean_ms == pytest.approx(50.5)
    assert snapshot.delay_p95_ms == pytest.approx(95, rel=0.006)
    assert snapshot.delay_max_ms == pytest.approx(100)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_is_within_half_a_percent(delays: list[float], fraction: float) -> None:
    statistics = DelayStatistics()
    for delay_s in delays:
        statistics.add(delay_s)
    rank = max(1, -int(-fraction * len(delays) // 1))
    assert statistics.quantile_s(fraction) == pytest.approx(sorted(delays)[rank - 1], rel=0.0051, abs=1.01e-6)


def test_the_memory_of_delays_does_not_grow_with_their_number() -> None:
    statistics = DelayStatistics()
    rng = Random(1)
    for _ in range(50_000):
        statistics.add(rng.expovariate(20))
    assert len(statistics._buckets) < 1500


@given(st.integers(0, 65_535), st.lists(st.integers(-20, 20), min_size=1, max_size=120))
def test_no_packet_is_counted_twice_or_forgotten(first: int, offsets: list[int]) -> None:
    """Any mixture of loss, duplication and reordering within the limits adds up."""
    numbers = [max(0, place + offset) for place, offset in enumerate(offsets)]
    statistics = play(numbers, first)
    snapshot = statistics.snapshot()
    distinct = set(numbers)
    assert snapshot.packets_received == len(numbers)
    assert snapshot.duplicates == len(numbers) - len(distinct)
    assert snapshot.packets_expected == max(distinct) - min(distinct) + 1
    assert snapshot.packets_lost == snapshot.packets_expected - len(distinct)


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(-10_000, 200_000)), min_size=2, max_size=60),
)
def test_jitter_is_that_of_appendix_a8(first_stamp: int, packets: list[tuple[int, int]]) -> None:
    """A transcription of A.8 over time stamps that are not wrapped; the statistics see them wrapped."""
    statistics = StreamStatistics(90_000)
    jitter = arrival_s = 0.0
    stamp = first_stamp
    transit: float | None = None
    for number, (gap_ms, stamp_gap) in enumerate(packets):
        arrival_s += gap_ms / 1e3
        stamp += stamp_gap
        statistics.receive(number, stamp % 2**32, arrival_s)
        last, transit = transit, arrival_s * 90_000 - stamp
        if last is not None:
            jitter += (abs(transit - last) - jitter) / 16
    assert statistics.snapshot().jitter_ms == pytest.approx(jitter / 90, rel=1e-6, abs=1e-6)


def test_a_report_block_tells_the_loss_since_the_last_one() -> None:
    statistics = play(list(range(100)))
    assert statistics.reception_report().fraction_lost == 0
    play([number for number in range(100, 200) if number % 4], statistics=statistics)
    report = statistics.reception_report()
    assert report.fraction_lost == pytest.approx(64, abs=1)
    assert report.cumulative_lost == 25
    assert report.extended_highest_sequence == 1199
    assert statistics.reception_report().fraction_lost == 0


def test_the_extended_highest_sequence_number_counts_cycles() -> None:
    assert play(list(range(70_000)), first=0).reception_report().extended_highest_sequence == 69_999
