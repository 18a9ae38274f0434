"""What a D-Router keeps of its measurements for reports: all of a window, each probe once."""

from __future__ import annotations

import pytest

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.monitoring.path_samples import PathSamples, Samples
from testbed.dyncast.nodes.d_router import DRouter
from tests.dyncast_samples import PEER, THERE, d_router, only


def sampled() -> PathSamples:
    return PathSamples(window_s=10.0, overdue_s=1.0)


def test_round_trips_of_the_window_count_and_older_ones_do_not() -> None:
    samples = sampled()
    for number in range(20):
        samples.on_sent(number, float(number))
        samples.on_back(number, number / 100)
    taken = samples.taken(19.5)
    assert taken.round_trips_s == tuple(number / 100 for number in range(10, 20))
    assert (taken.probes, taken.answered) == (10, 10)  # sent from 8.5 to 18.5


def test_a_probe_is_lost_when_its_time_is_over_and_not_before() -> None:
    samples = sampled()
    samples.on_sent(1, 0.0)
    samples.on_sent(2, 0.5)
    samples.on_back(2, 0.1)
    assert samples.taken(0.9) == Samples(0, 0, (0.1,), ())
    assert samples.taken(1.0) == Samples(1, 0, (0.1,), ())
    assert samples.taken(1.5) == Samples(2, 1, (0.1,), ())
    samples.on_back(1, 1.6)  # late, and there after all
    assert samples.taken(2.0) == Samples(2, 2, (1.6, 0.1), ())


def test_what_never_comes_back_is_seen_with_any_window() -> None:
    samples = PathSamples(window_s=0.5, overdue_s=1.0)
    for number in range(30):
        samples.on_sent(number, number / 10)
    taken = samples.taken(2.95)
    assert taken.probes == 5 and taken.answered == 0 and taken.round_trips_s == ()


def test_an_answer_counts_once_and_one_to_no_probe_not_at_all() -> None:
    samples = sampled()
    samples.on_sent(1, 0.0)
    for sequence, round_trip_s in ((1, 0.1), (1, 0.2), (9, 0.3)):
        samples.on_back(sequence, round_trip_s)
    assert samples.taken(0.5).round_trips_s == (0.1,)


def test_clocks_that_differ_make_no_delay_of_less_than_nothing() -> None:
    samples = sampled()
    samples.on_one_way(-0.1, 0.0)
    samples.on_one_way(0.02, 0.5)
    assert samples.taken(1.0).one_ways_s == (0.02,)
    assert samples.taken(11.0).one_ways_s == ()


@pytest.fixture
def router() -> DRouter:
    router = d_router()
    router.paths[THERE].samples = sampled()
    return router


def test_a_d_router_keeps_round_trips_and_what_the_probes_of_others_took(router: DRouter) -> None:
    sent = codec.decode(only(router.on_timer(100.0), SendMessage).data)
    answer = Probe(THERE, sent.sequence, sent.sent_s, is_reply=True)
    router.on_message(codec.encode(answer), PEER.address, 100.03)
    router.on_message(codec.encode(Probe(THERE, 1, 100.0)), PEER.address, 100.2, arrived_s=100.012)
    samples = router.paths[THERE].samples
    assert samples is not None
    taken = samples.taken(101.5)
    assert taken.round_trips_s == pytest.approx((0.03,)) and taken.one_ways_s == pytest.approx((0.012,))
    assert (taken.probes, taken.answered) == (1, 1)


def test_a_probe_that_comes_back_is_no_loss(router: DRouter) -> None:
    data = only(router.on_timer(100.0), SendMessage).data
    router.on_returned(data, PEER.address, 100.04)
    samples = router.paths[THERE].samples
    assert samples is not None and samples.taken(101.5).round_trips_s == pytest.approx((0.04,))


def test_nobody_keeps_what_nobody_reports() -> None:
    router = d_router()
    router.on_timer(100.0)
    assert router.paths[THERE].samples is None


def test_an_answer_that_is_a_probe_counts_as_one_at_both_ends(router: DRouter) -> None:
    router.on_timer(100.0)
    asked = only(router.on_message(codec.encode(Probe(THERE, 1, 100.68)), PEER.address, 100.7), SendMessage)
    message = codec.decode(asked.data)
    assert isinstance(message, Probe)
    answer = Probe(THERE, message.asked_sequence, 100.7, is_reply=True, asked_s=100.71, asked_sequence=2)
    router.on_message(codec.encode(answer), PEER.address, 100.74)
    samples = router.paths[THERE].samples
    assert samples is not None
    taken = samples.taken(102.5)
    assert (taken.probes, taken.answered) == (2, 1)
    assert taken.round_trips_s == pytest.approx((0.04,))
    assert taken.one_ways_s == pytest.approx((0.02, 0.03))
