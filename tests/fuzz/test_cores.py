"""No message that decodes, and no order of them, ends a core: whatever its mode, its policy and the figures.

Briefly in each run of the tests; at length by `python -m pytest tests/fuzz -m slow --fuzz-seconds 600`, other scripts
each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from testbed.dyncast.messages import codec
from testbed.dyncast.metric_agent.agent import AgentBinding, MetricAgent
from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import Dampening
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.levels import FIGURES, RawMetrics
from testbed.dyncast.metrics.normalisation import MinMax, Normalisation, Sigmoid
from testbed.net.token_bucket import Rate
from tests.dyncast_samples import D_SID, NEAR
from tests.fuzz.cores import NAME_SERVERS, NODES, START_S, Life, name_server_life
from tests.fuzz.extreme import RAWS, SCRIPTS, Step
from tests.fuzz.search import resident_bytes

_GROWTH_BYTES = 256 << 20
_BATCH = 100  # scripts with one seed

Check = Callable[[st.DataObject], None]


def _node(name: str) -> Check:
    def check(data: st.DataObject) -> None:
        life = Life(data.draw(NODES[name]))
        for step in data.draw(SCRIPTS):
            life.take(step)
        life.can_be_looked_into()

    return check


def _name_server(data: st.DataObject) -> None:
    script: Sequence[Step] = data.draw(SCRIPTS)
    name_server_life(data.draw(NAME_SERVERS), script)


_LIMITS = st.sampled_from((1e-9, 0.1, 1.0, 1e30))
_REPORTINGS = st.builds(
    Reporting,
    st.sampled_from((0.5, 3600.0)),
    st.none()
    | st.builds(Threshold, st.sampled_from(FIGURES), _LIMITS, st.none() | _LIMITS, _LIMITS)
    | st.just(Band((4, 8), 1)),
    st.none() | st.just(Rate(1, 1)),
    st.none() | st.just(Dampening(half_life_s=1.0, suppress=2.0, reuse=1.0, max_suppress_s=4.0)),
)
_SCORED_BY = st.builds(
    lambda figure, worst, other, aggregation: Normalisation(
        computing=(MinMax(figure, worst, -worst - 1),),
        service=(Sigmoid(other, 1.0, -1e300),),
        l2_aggregation=aggregation,
    ),
    st.sampled_from(FIGURES),
    _LIMITS,
    st.sampled_from(FIGURES),
    st.sampled_from(("min", "max", "mean", "weighted_mean")),
)
_SEEN = st.lists(st.tuples(st.none() | RAWS, st.booleans(), st.sampled_from((0.0, 0.25, 0.5, 11.0, 1e6))), max_size=20)


def _agent(data: st.DataObject) -> None:
    binding = AgentBinding(D_SID, NEAR, data.draw(_SCORED_BY))
    agent = MetricAgent("east", [binding], data.draw(_REPORTINGS), START_S)
    now_s = START_S
    seen: list[tuple[RawMetrics | None, bool, float]] = data.draw(_SEEN)
    for raw, draining, passed_s in seen:
        now_s += passed_s
        agent.observe(binding, raw, draining, now_s)
        for report in agent.reports(now_s):
            for metrics in (wire_fields.METRICS, wire_fields.SLOW):
                codec.decode(codec.encode(report, metrics))
        assert agent.next_timer_s(now_s) >= START_S


CORES: dict[str, Check] = {**{name: _node(name) for name in NODES}, "name server": _name_server, "D-MA": _agent}
_SUPPRESSED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.mark.parametrize("name", CORES)
def test_no_extreme_message_ends_a_core(name: str) -> None:
    check = CORES[name]

    @settings(suppress_health_check=_SUPPRESSED)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        check(data)

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("name", CORES)
def test_no_extreme_message_ends_a_core_for_as_long_as_one_wants(
    name: str, fuzz_seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    first, count, end_s, began_bytes = time.time_ns(), 0, time.monotonic() + fuzz_seconds, resident_bytes()
    while time.monotonic() < end_s:
        _search(CORES[name], first + count)
        count += _BATCH
        assert resident_bytes() - began_bytes < _GROWTH_BYTES, f"memory grew, seed {first + count - _BATCH}"
    with capsys.disabled():
        print(f"\n{name}: {count} scripts in {fuzz_seconds:g} s (seed {first})")


def _search(check: Check, number: int) -> None:
    """Try a batch of scripts."""

    @seed(number)
    @settings(
        max_examples=_BATCH, database=None, suppress_health_check=_SUPPRESSED, phases=[Phase.generate, Phase.shrink]
    )
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        check(data)

    holds()
