"""Formulas against published values, simulation and independent libraries."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from testbed.analysis.theory import formulas
from testbed.emulation.relay.impairment import Impairment, LinkDirection
from testbed.queueing.work_queue import WorkQueue
from testbed.rtp.statistics import StreamStatistics


@pytest.mark.parametrize(
    ("workers", "erlangs", "waits"),
    [(1, 0.6, 0.6), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (10, 8.0, 0.40918), (100, 90.0, 0.2171)],
)
def test_erlang_c_as_in_the_tables(workers: int, erlangs: float, waits: float) -> None:
    assert formulas.erlang_c(workers, erlangs) == pytest.approx(waits, rel=2e-3)


@given(st.integers(1, 200), st.floats(0.01, 0.99), st.floats(1e-4, 10))
def test_sojourn_is_wait_and_service_and_more_workers_wait_less(workers: int, load: float, service_s: float) -> None:
    rate = load * workers / service_s
    sojourn_s = formulas.mean_sojourn_s(rate, service_s, workers)
    assert sojourn_s == pytest.approx(formulas.mean_wait_s(rate, service_s, workers) + service_s)
    assert formulas.mean_wait_s(rate, service_s, workers + 1) < formulas.mean_wait_s(rate, service_s, workers)
    if workers == 1:
        assert sojourn_s == pytest.approx(1 / (1 / service_s - rate))
    assert formulas.mean_number(rate, service_s) == pytest.approx(load * workers)


def test_more_than_can_be_served_has_no_steady_state() -> None:
    with pytest.raises(ValueError, match="no steady state"):
        formulas.mean_wait_s(100, 0.01)


def test_the_testbeds_own_queue_is_mmc() -> None:
    rng, queue, now_s, waits, sojourns = Random(5), WorkQueue(3, 10**6), 0.0, [], []
    for _ in range(40_000):
        now_s += rng.expovariate(2.1)
        job = queue.offer(now_s, rng.expovariate(1.0))
        assert job is not None
        waits.append(job.start_s > now_s)
        sojourns.append(job.finish_s - now_s)
    assert formulas.batch_means(np.array(waits, float), 0.999).holds(formulas.erlang_c(3, 2.1))
    assert formulas.batch_means(np.array(sojourns), 0.999).holds(formulas.mean_sojourn_s(2.1, 1.0, 3))


@pytest.mark.parametrize("jitters_ms", [[4.0], [3.0, 3.0], [5.0, 1.0, 0.2]])
@pytest.mark.parametrize("packets", [20, 80])
def test_jitter_expected_behind_links_is_what_streams_measure(jitters_ms: list[float], packets: int) -> None:
    rng, seen_ms = Random(9), []
    for _ in range(250):
        links = [LinkDirection(Impairment(delay_ms=10, jitter_ms=jitter_ms)) for jitter_ms in jitters_ms]
        stream = StreamStatistics(8000)
        for number in range(packets):
            at_s = 100 + 0.02 * number
            for link in links:
                out = link.arrive(at_s, 214, rng)
                assert isinstance(out, float)
                at_s = out
            stream.receive(number, 160 * number, at_s)
        seen_ms.append(stream.snapshot().jitter_ms)
    figure = formulas.mean_interval(np.array(seen_ms), 0.9999)
    assert figure.holds(1e3 * formulas.rtp_jitter_s([jitter_ms / 1e3 for jitter_ms in jitters_ms], packets))
    assert figure.high - figure.low < 0.25 * figure.mean  # narrow enough to say something


@given(st.lists(st.floats(1e-5, 0.01), min_size=2, max_size=4))
def test_the_integral_agrees_with_many_draws(half_widths_s: list[float]) -> None:
    rng = np.random.default_rng(1)
    differences = sum(width * (rng.uniform(-1, 1, 20_000) - rng.uniform(-1, 1, 20_000)) for width in half_widths_s)
    figure = formulas.mean_interval(np.abs(differences), 0.99999)
    assert figure.holds(formulas.rtp_jitter_s(half_widths_s))


def test_one_link_has_two_thirds_of_its_half_width() -> None:
    assert formulas.rtp_jitter_s([0.006]) == pytest.approx(0.004)
    assert formulas.rtp_jitter_s([0.006, 0.0]) == formulas.rtp_jitter_s([0.006])
    assert formulas.rtp_jitter_s([0.003, 1e-9]) == pytest.approx(0.002, rel=1e-4)
    assert formulas.rtp_jitter_s([]) == 0
    assert formulas.rtp_jitter_s([0.006], packets=1) == 0


def test_intervals_of_means_are_students() -> None:
    values = np.array([3.0, 5.0, 4.0, 8.0])
    low, high = stats.t.interval(0.99, 3, loc=values.mean(), scale=stats.sem(values))
    figure = formulas.mean_interval(values, 0.99)
    assert (figure.low, figure.high) == pytest.approx((low, high))
    assert formulas.batch_means(values, 0.99).high == np.inf  # four batches tell nothing


def _series(rng: np.random.Generator, length: int = 4000, memory: float = 0.9) -> np.ndarray:
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], rng.normal(size=length)))


def test_batch_means_cover_what_depends_on_its_past_and_plain_means_do_not() -> None:
    rng = np.random.default_rng(2)
    runs = [_series(rng) for _ in range(150)]
    by_batches = np.mean([formulas.batch_means(run, 0.95).holds(0.0) for run in runs])
    plainly = np.mean([formulas.mean_interval(run, 0.95).holds(0.0) for run in runs])
    assert by_batches > 0.88
    assert plainly < 0.6
