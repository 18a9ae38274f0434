"""One direction of a link, measured, against its configuration; and how likely so many losses are."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from testbed.emulation.links.link_measure import (
    TRAIN_FRAME_BYTES,
    MeasuredDirection,
    chance_of_losses,
    frame_ms,
    train_frames,
    train_rate_mbps,
)
from testbed.emulation.relay.impairment import Impairment, LinkDirection
from topologies.spec import LinkSpec


def _measured(spec: LinkSpec, least_ms: float | None = None, rate_mbps: float | None = None) -> MeasuredDirection:
    return MeasuredDirection("a - b", "a_to_b", spec, 10, 10, least_ms, rate_mbps)


def test_a_small_frame_takes_the_delay_and_its_own_sending() -> None:
    assert _measured(LinkSpec(delay_ms=10)).configured_ms == 10
    assert _measured(LinkSpec(delay_ms=10, rate_mbps=0.1)).configured_ms == pytest.approx(14.8)


def test_jitter_makes_a_frame_early_or_late_but_never_faster_than_light() -> None:
    spec = LinkSpec(delay_ms=10, jitter_ms=4)
    assert _measured(spec, 6.1).early_ms == 0
    assert _measured(spec, 5.0).early_ms == pytest.approx(1.0)
    assert _measured(spec, 14.2).late_ms == 0
    assert _measured(spec, 16.25).late_ms == pytest.approx(2.0)
    assert _measured(LinkSpec(delay_ms=2, jitter_ms=4), 0.01).early_ms == 0


def test_what_did_not_arrive_is_neither_early_nor_late() -> None:
    lost = _measured(LinkSpec(delay_ms=10))
    assert (lost.early_ms, lost.late_ms, lost.rate_error) == (0, 0, None)


def test_a_rate_is_off_by_the_time_that_a_train_took() -> None:
    spec = LinkSpec(rate_mbps=5)
    assert _measured(spec, rate_mbps=5.02).rate_error == 0
    assert _measured(spec, rate_mbps=4.0).rate_error == pytest.approx(0.25, abs=0.01)
    unlimited = _measured(spec, rate_mbps=8000.0).rate_error
    assert unlimited is not None and unlimited > 0.9


def test_jitter_may_stretch_a_train() -> None:
    assert _measured(LinkSpec(rate_mbps=5, delay_ms=10, jitter_ms=5), rate_mbps=5.9).rate_error == 0


@given(st.floats(0.001, 10_000), st.integers(1, 2000))
def test_a_train_fits_into_the_queue_and_into_a_second(rate_mbps: float, queue_packets: int) -> None:
    spec = LinkSpec(rate_mbps=rate_mbps, queue_packets=queue_packets)
    frames = train_frames(spec)
    assert frames <= max(queue_packets, 1)
    if frames:
        assert 2 <= frames <= 65
        assert 2.0 <= (frames - 1) * (frame_ms(TRAIN_FRAME_BYTES, spec) or 0) <= 1000


def test_usual_rates_are_measured_and_what_is_too_fast_for_a_clock_is_not() -> None:
    for rate_mbps in (0.1, 1, 5, 10, 100, 300):
        assert train_frames(LinkSpec(rate_mbps=rate_mbps)), rate_mbps
    for spec in (LinkSpec(delay_ms=1), LinkSpec(rate_mbps=10_000), LinkSpec(rate_mbps=5, queue_packets=1)):
        assert train_frames(spec) == 0


def _trains(
    true: Impairment, frames: int, rng: Random, *, first_late_ms: float = 0, late_ms: float = 0
) -> list[list[float]]:
    """Three trains over a link, each sent at once; the machine holds up its first frames, and each a little."""
    trains = []
    for _ in range(3):
        link, held_ms = LinkDirection(true), 0.0
        arrivals = [link.arrive(0.0, TRAIN_FRAME_BYTES, rng) for _ in range(frames)]
        due_ms = [1e3 * due_s for due_s in arrivals if isinstance(due_s, float)]
        held_ms = due_ms[0] + first_late_ms * (0.5 + rng.random() / 2)
        trains.append([max(held_ms, each_ms) + rng.expovariate(1) * late_ms for each_ms in due_ms])
    return trains


@given(st.floats(0.1, 500), st.integers(0, 1000))
def test_the_rate_of_a_link_is_exact_whatever_it_loses(rate_mbps: float, seed: int) -> None:
    true = Impairment(delay_ms=10, loss_percent=10, rate_mbps=rate_mbps)
    measured = train_rate_mbps(_trains(true, 30, Random(seed)))
    assert measured == pytest.approx(rate_mbps, rel=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.8, 1.1])
def test_a_slow_machine_changes_the_rate_by_few_percent_in_either_case(share: float) -> None:
    frames, rng = train_frames(LinkSpec(rate_mbps=5)), Random(1)
    true = Impairment(delay_ms=10, loss_percent=3, rate_mbps=5 * share)
    for _ in range(200):
        measured = train_rate_mbps(_trains(true, frames, rng, first_late_ms=6, late_ms=0.5))
        assert measured == pytest.approx(5 * share, rel=0.05)


def test_a_rate_takes_two_frames_of_one_train() -> None:
    assert train_rate_mbps([]) is train_rate_mbps([[], [4.0]]) is None
    assert train_rate_mbps([[], [4.0], [9.0, 7.0]]) == pytest.approx(TRAIN_FRAME_BYTES * 8 / 2e3)


@given(st.integers(1, 5000), st.floats(0.001, 0.5), st.floats(0, 1))
def test_the_chance_is_never_below_that_of_the_binomial_tail(packets: int, probability: float, share: float) -> None:
    lost = round(share * packets)
    exact = 2 * min(stats.binom.cdf(lost, packets, probability), stats.binom.sf(lost - 1, packets, probability))
    assert chance_of_losses(packets, lost, probability) >= min(1.0, exact) - 1e-9


def test_random_losses_are_not_called_impossible() -> None:
    rng = Random(4)
    chances = [chance_of_losses(2000, sum(rng.random() < 0.01 for _ in range(2000)), 0.01) for _ in range(300)]
    assert min(chances) > 0.001
