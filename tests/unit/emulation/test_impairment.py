"""One direction of an impaired link, in explicit time."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.emulation.relay.impairment import Drop, Impairment, Lateness, LinkDirection

ARRIVALS = st.lists(
    st.tuples(st.floats(0, 0.05), st.integers(60, 1514)),  # gap to the packet before (s), length (bytes)
    min_size=1,
    max_size=120,
)
IMPAIRMENTS = st.builds(
    Impairment,
    delay_ms=st.floats(0, 100),
    jitter_ms=st.floats(0, 50),
    loss_percent=st.floats(0, 50),
    rate_mbps=st.none() | st.floats(0.1, 1000),
    queue_packets=st.integers(1, 50),
)


def carry(
    impairment: Impairment, arrivals: list[tuple[float, int]], seed: int = 1
) -> list[tuple[float, int, float | Drop]]:
    """Return (arrival, length, outcome) of each packet."""
    direction, rng, now_s, seen = LinkDirection(impairment), Random(seed), 100.0, []
    for gap_s, length in arrivals:
        now_s += gap_s
        seen.append((now_s, length, direction.arrive(now_s, length, rng)))
    return seen


def test_a_packet_alone_takes_its_serialisation_and_the_delay() -> None:
    direction = LinkDirection(Impairment(delay_ms=10, rate_mbps=8))
    assert direction.arrive(5.0, 1000, Random(1)) == pytest.approx(5.0 + 0.001 + 0.010)


def test_packets_queue_behind_each_other_at_the_rate() -> None:
    direction, rng = LinkDirection(Impairment(delay_ms=10, rate_mbps=8)), Random(1)
    releases = [direction.arrive(5.0, 1000, rng) for _ in range(3)]
    assert releases == pytest.approx([5.011, 5.012, 5.013])


def test_the_packet_that_finds_the_queue_full_is_dropped_and_the_next_one_finds_room_again() -> None:
    direction, rng = LinkDirection(Impairment(delay_ms=500, rate_mbps=8, queue_packets=2)), Random(1)
    assert isinstance(direction.arrive(5.0, 1000, rng), float)
    assert isinstance(direction.arrive(5.0, 1000, rng), float)
    assert direction.arrive(5.0, 1000, rng) is Drop.QUEUE
    # Sent, though still under way: packets in flight take no room in the queue.
    assert direction.arrive(5.0011, 1000, rng) == pytest.approx(5.003 + 0.5)
    assert (direction.packets, direction.bytes, direction.dropped_queue) == (4, 4000, 1)


def test_without_a_rate_no_queue_builds_up() -> None:
    direction, rng = LinkDirection(Impairment(delay_ms=10, queue_packets=1)), Random(1)
    assert [direction.arrive(5.0, 1500, rng) for _ in range(50)] == pytest.approx([5.01] * 50)


@pytest.mark.parametrize(("loss_percent", "lost"), [(0, 0), (100, 1000)])
def test_no_loss_and_total_loss_are_exact(loss_percent: float, lost: int) -> None:
    outcomes = [outcome for _, _, outcome in carry(Impairment(loss_percent=loss_percent), [(0.001, 100)] * 1000)]
    assert outcomes.count(Drop.LOSS) == lost


@pytest.mark.parametrize("loss_percent", [0.5, 5, 50])
def test_the_share_of_lost_packets_is_the_configured_one(loss_percent: float) -> None:
    packets = 20_000
    lost = sum(
        outcome is Drop.LOSS for _, _, outcome in carry(Impairment(loss_percent=loss_percent), [(0, 100)] * packets)
    )
    deviation = (packets * loss_percent / 100 * (1 - loss_percent / 100)) ** 0.5
    assert lost == pytest.approx(packets * loss_percent / 100, abs=4 * deviation)


def test_jitter_is_uniform_around_the_delay() -> None:
    sparse = carry(Impairment(delay_ms=10, jitter_ms=4), [(0.05, 100)] * 5000)
    delays_ms = sorted((outcome - now_s) * 1e3 for now_s, _, outcome in sparse if isinstance(outcome, float))
    for quarter, expected_ms in enumerate([6, 8, 10, 12, 14]):
        assert delays_ms[min(quarter * 1250, 4999)] == pytest.approx(expected_ms, abs=0.2)


@given(IMPAIRMENTS, ARRIVALS)
def test_packets_never_overtake(impairment: Impairment, arrivals: list[tuple[float, int]]) -> None:
    releases = [outcome for _, _, outcome in carry(impairment, arrivals) if isinstance(outcome, float)]
    assert releases == sorted(releases)


@given(IMPAIRMENTS, ARRIVALS)
def test_no_packet_is_faster_than_serialisation_and_least_delay(
    impairment: Impairment, arrivals: list[tuple[float, int]]
) -> None:
    least_s = max(0.0, impairment.delay_ms - impairment.jitter_ms) / 1e3
    for now_s, length, outcome in carry(impairment, arrivals):
        if isinstance(outcome, float):
            sending_s = length * 8 / (impairment.rate_mbps * 1e6) if impairment.rate_mbps else 0
            assert outcome >= now_s + sending_s + least_s - 1e-9


@given(st.floats(0.1, 1000), st.integers(1, 50), ARRIVALS)
def test_a_constant_delay_keeps_the_rate_and_the_queue_bound(
    rate_mbps: float, queue_packets: int, arrivals: list[tuple[float, int]]
) -> None:
    impairment = Impairment(delay_ms=10, rate_mbps=rate_mbps, queue_packets=queue_packets)
    sent: list[tuple[float, float]] = []  # arrival, end of its serialisation
    for now_s, length, outcome in carry(impairment, arrivals):
        queued = sum(end_s > now_s + 1e-9 for _, end_s in sent)
        assert queued <= queue_packets
        if isinstance(outcome, float):
            end_s = outcome - 0.010
            begin_s = max(now_s, sent[-1][1]) if sent else now_s
            assert end_s == pytest.approx(begin_s + length * 8 / (rate_mbps * 1e6), abs=1e-9)
            sent.append((now_s, end_s))
        else:
            assert sum(end_s > now_s - 1e-9 for _, end_s in sent) >= queue_packets


@given(IMPAIRMENTS, ARRIVALS, st.integers(0, 1000))
def test_the_seed_decides_everything(impairment: Impairment, arrivals: list[tuple[float, int]], seed: int) -> None:
    assert carry(impairment, arrivals, seed) == carry(impairment, arrivals, seed)


@given(IMPAIRMENTS, ARRIVALS)
def test_every_packet_is_released_or_counted_as_dropped(
    impairment: Impairment, arrivals: list[tuple[float, int]]
) -> None:
    direction, rng, now_s, released = LinkDirection(impairment), Random(1), 0.0, 0
    for gap_s, length in arrivals:
        now_s += gap_s
        released += isinstance(direction.arrive(now_s, length, rng), float)
    assert direction.packets == len(arrivals) == released + direction.dropped_loss + direction.dropped_queue
    assert direction.bytes == sum(length for _, length in arrivals)


@given(st.lists(st.floats(0, 0.019), min_size=1), st.sampled_from([50, 95, 99, 100]))
def test_lateness_percentiles_are_exact_to_a_bin(late_s: list[float], percent: float) -> None:
    lateness = Lateness()
    for value in late_s:
        lateness.record(value)
    rank = next(index for index in range(1, len(late_s) + 1) if index >= percent / 100 * len(late_s))
    exact_ms = sorted(late_s)[rank - 1] * 1e3
    found_ms = lateness.percentile_ms(percent)
    assert found_ms is not None
    assert exact_ms - 1e-6 <= found_ms <= exact_ms + 0.010 + 1e-6


def test_lateness_beyond_the_histogram_is_told_as_the_greatest() -> None:
    early, late = Lateness(), Lateness()
    assert early.percentile_ms(50) is None
    early.record(-1e-9)  # clocks are read one after the other
    late.record(3.5)
    early.merge(late)
    assert early.percentile_ms(50) == pytest.approx(0.01)
    assert early.summary()["max_ms"] == early.percentile_ms(99) == pytest.approx(3500)


def test_a_change_counts_for_packets_to_come_and_none_overtakes_those_under_way() -> None:
    direction, rng = LinkDirection(Impairment(delay_ms=100)), Random(1)
    assert direction.arrive(5.0, 1000, rng) == pytest.approx(5.1)
    direction.change(Impairment(delay_ms=10))
    assert direction.arrive(5.01, 1000, rng) == pytest.approx(5.1), "behind the one before"
    assert direction.arrive(5.2, 1000, rng) == pytest.approx(5.21)
    assert direction.longest_delay_s == pytest.approx(0.1), "one that was sent before may still come out"
    direction.change(Impairment(loss_percent=100))
    assert direction.arrive(5.3, 1000, rng) is Drop.LOSS
    assert (direction.packets, direction.dropped_loss) == (4, 1)
