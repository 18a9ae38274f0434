"""What a port's counters say, and what they cost a path: figures that can be worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.monitoring.port_state import Port, PortState
from testbed.dyncast.policies.dyncast import DyncastPolicy
from testbed.net.port_counters import PortCounters
from tests.dyncast_samples import candidate

RATE_BPS = 12e6  # 1,500 bytes in a millisecond
PORT = Port("r2", RATE_BPS, queue_packets=100)


def _state(share: float, drop_share: float = 0.0, port: Port = PORT, seconds: int = 20) -> PortState:
    """Return a port that has sent packets of 1,500 bytes at a share of 12 Mbit/s for some time."""
    state, sent, dropped = PortState(port), 0.0, 0.0
    for second in range(seconds):
        state.on_counters(PortCounters(round(sent * 1500), round(sent), round(dropped)), float(second))
        sent += share * 1000
        dropped += share * 1000 * drop_share / (1 - drop_share)
    return state


def test_nothing_is_known_before_counters_came_twice() -> None:
    state = PortState(PORT)
    assert (state.utilisation, state.drop_share, state.queueing_s, state.cost_s(0.01, 0.01)) == (None, None, 0.0, 0.0)
    state.on_counters(PortCounters(10**9, 10**6, 5), 1.0)  # since it was made: says nothing of now
    assert (state.utilisation, state.cost_s(0.01, 0.01)) == (None, 0.0)


@pytest.mark.parametrize(
    ("share", "queueing_ms"),
    [(0.0, 0.0), (0.5, 1.0), (0.9, 9.0), (0.95, 19.0), (0.999, 100.0), (1.0, 100.0), (1.01, 100.0)],
)
def test_the_wait_grows_with_utilisation_up_to_the_full_queue(share: float, queueing_ms: float) -> None:
    state = _state(share)
    assert state.utilisation == pytest.approx(share)
    assert state.queueing_s * 1e3 == pytest.approx(queueing_ms, rel=1e-3)


def test_that_it_is_full_is_believed_at_once_and_that_it_has_emptied_by_and_by() -> None:
    state = _state(0.2)
    last = state.counters
    assert last is not None
    state.on_counters(PortCounters(last.sent_bytes + 1_500_000, last.sent_packets + 1000, 0), 20.0)
    assert state.queueing_s * 1e3 == pytest.approx(100.0)
    state.on_counters(PortCounters(last.sent_bytes + 1_800_000, last.sent_packets + 1200, 0), 21.0)
    assert 0.25 < state.queueing_s * 1e3 < 1.0  # by the smoothed figure, of 0.4 or so


def test_a_port_that_sends_less_than_it_could_and_drops_is_offered_more_than_it_sends() -> None:
    assert _state(0.9, drop_share=0.1).queueing_s * 1e3 == pytest.approx(100.0)  # rho = 1
    assert _state(0.4, drop_share=0.5).queueing_s * 1e3 == pytest.approx(4.0, rel=1e-2)  # rho = 0.8


def test_what_the_probes_waited_is_not_counted_again() -> None:
    state = _state(0.9)  # 9 ms
    assert state.cost_s(0.010, 0.010) == pytest.approx(0.009)
    assert state.cost_s(0.016, 0.010) == pytest.approx(0.003)
    assert state.cost_s(0.030, 0.010) == 0.0  # they have seen more than the model expects, and are believed


def test_drops_cost_a_retransmission_each() -> None:
    state = _state(0.1, drop_share=0.2)
    assert state.drop_share == pytest.approx(0.2, rel=1e-2)
    free = _state(0.1).cost_s(0.05, 0.05)
    assert state.cost_s(0.05, 0.05) - free == pytest.approx(0.25 * 0.25, rel=2e-2)


def test_a_port_that_drops_everything_costs_one_retransmission_and_no_more() -> None:
    state = PortState(PORT)
    for second in range(20):
        state.on_counters(PortCounters(0, 0, 100 * second), float(second))
    assert state.drop_share == pytest.approx(1.0)
    assert state.cost_s(0.05, 0.05) == pytest.approx(0.25)


def test_without_a_rate_there_is_no_utilisation_but_drops_count() -> None:
    state = _state(0.9, drop_share=0.2, port=Port("r2"))
    assert (state.utilisation, state.queueing_s) == (None, 0.0)
    assert state.sent_bps == pytest.approx(0.9 * RATE_BPS)
    assert state.cost_s(0.05, 0.05) > 0.05


def test_it_is_smooth_and_forgets() -> None:
    state = _state(0.2)
    last = state.counters
    assert last is not None
    state.on_counters(PortCounters(last.sent_bytes + 1_500_000, last.sent_packets + 1000, 0), 20.0)
    assert state.utilisation is not None
    assert 0.2 + 0.3 * 0.8 < state.utilisation < 0.2 + 0.5 * 0.8  # one second at full rate
    for second in range(21, 41):
        state.on_counters(PortCounters(last.sent_bytes + 1_500_000, last.sent_packets + 1000, 0), float(second))
    assert state.utilisation < 0.001


def test_counters_that_were_not_counted_anew_say_nothing() -> None:
    state = _state(0.5)
    assert state.counters is not None
    state.on_counters(state.counters, 19.0)
    assert state.utilisation == pytest.approx(0.5)


def test_counters_of_a_port_made_anew_are_no_traffic() -> None:
    state = _state(0.5)
    state.on_counters(PortCounters(10, 1, 0), 20.0)
    assert state.utilisation == pytest.approx(0.5)
    state.on_counters(PortCounters(10 + 750_000, 501, 0), 21.0)
    assert state.utilisation == pytest.approx(0.5)


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**4), st.integers(0, 10**4)), max_size=20),
    st.floats(0, 2),
    st.floats(0, 2),
)
def test_the_cost_is_never_negative_and_bounded(steps: list[tuple[int, int, int]], rtt_s: float, more_s: float) -> None:
    state, total = PortState(PORT), (0, 0, 0)
    for second, step in enumerate(steps):
        total = (total[0] + step[0], total[1] + step[1], total[2] + step[2])
        state.on_counters(PortCounters(*total), float(second))
    cost_s = state.cost_s(rtt_s + more_s, rtt_s)
    assert 0 <= cost_s <= PORT.queue_packets * 8 * 10**7 / RATE_BPS + rtt_s + more_s + 0.2


def test_the_policy_pays_for_a_full_port_on_each_round_trip_and_closest_does_not_look() -> None:
    path = PathState("west", path_cost_ms=10.0, port=_state(0.95))
    path.on_reply(0.010, 1.0)
    assert path.cost_s == 0.010  # the round trip itself is as measured
    assert path.port_cost_s == pytest.approx(0.019)
    policy, free = DyncastPolicy(), candidate()
    full = free._replace(port_cost_s=path.port_cost_s)
    trips = 1 + min(1.0, free.load_per_session)
    assert policy.cost(full) - policy.cost(free) == pytest.approx(trips * 19.0)


def test_a_path_without_a_port_costs_its_round_trip() -> None:
    path = PathState("west", path_cost_ms=10.0)
    assert (path.cost_s, path.port_cost_s) == (0.010, 0.0)
