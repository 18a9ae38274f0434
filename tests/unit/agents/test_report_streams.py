"""What a metric agent tells to whom: everything at one pace, or slow and volatile metrics apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.agents.metric_agent.config import MetricAgentConfig
from testbed.agents.metric_agent.report_streams import ReportStream, report_streams
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import Loads
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metric_agent.agent import AgentBinding
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.runtime.config import ConfigError

DOCUMENT: dict[str, Any] = {
    "name": "dma@chicago", "site": "chicago", "seed": 7, "d_router": ["10.3.0.1", 7000], "interval_s": 1.0,
    "instances": [{"d_sid": "203.0.113.10", "d_bid": "10.3.0.10", "metrics_url": "http://10.3.0.10:9100/metrics"}],
    "out_dir": "out",
}  # fmt: skip
SLOW = {"when": "band", "refresh_s": 3, "edges": [4, 8], "hysteresis_points": 1}
HYBRID = {**DOCUMENT, "controller": ["10.4.0.1", 7001], "slow_reporting": SLOW}
RAW = RawMetrics(4, 3, 2, 50, 5, 1000, 0.75, 0.125)


def told_by(document: dict[str, Any]) -> tuple[AgentBinding, list[ReportStream]]:
    config = MetricAgentConfig.from_document(document)
    assert config.out_dir == Path("out")
    (polled,) = config.instances
    binding = AgentBinding(polled.d_sid, polled.d_bid, polled.normalisation)
    return binding, report_streams(config, [binding], 100.0)


def observe(
    told: list[ReportStream], binding: AgentBinding, raw: RawMetrics | None, now_s: float
) -> list[codec.Message]:
    for stream in told:
        stream.agent.observe(binding, raw, False, now_s)
    return [codec.decode(stream.encode(report)) for stream in told for report in stream.agent.reports(now_s)]


def test_all_of_it_goes_to_one_d_router_unless_there_are_two_paces() -> None:
    binding, told = told_by(DOCUMENT)
    (report,) = observe(told, binding, RAW, 100.0)
    assert isinstance(report, Report)
    assert report.bindings[0].raw == RAW
    assert [(str(stream.to[0]), stream.kind) for stream in told] == [("10.3.0.1", "report")]


def test_slow_metrics_go_to_the_d_router_and_volatile_ones_to_the_controller() -> None:
    binding, told = told_by(HYBRID)
    assert [(str(stream.to[0]), stream.to[1], stream.kind) for stream in told] == [
        ("10.3.0.1", 7000, "report"),
        ("10.4.0.1", 7001, "load_report"),
    ]
    slow, volatile = observe(told, binding, RAW, 100.0)
    assert isinstance(slow, Report)
    assert isinstance(volatile, Loads)
    assert slow.bindings[0].raw == RawMetrics(4, queue_limit=50, service_time_s=0.125)
    assert slow.bindings[0].scores.overall == 2  # of which all metrics have a say
    assert volatile.by_agent
    assert volatile.loads[0].raw == RawMetrics(4, 3, 2, 0, 5, 1000, 0.75)
    assert volatile.loads[0].measured_s == 100.0


def test_each_pace_has_its_own_time_and_a_score_that_leaves_its_band_is_told_to_all() -> None:
    binding, told = told_by(HYBRID)
    observe(told, binding, RAW, 100.0)
    (volatile,) = observe(told, binding, RawMetrics(4, 4, 0, 50, 4, 1001, 0.7, 0.125), 101.0)
    assert isinstance(volatile, Loads)
    changed = observe(told, binding, RawMetrics(4, 0, 0, 50, 0, 1001, 0.0, 0.125), 102.0)
    assert [type(message) for message in changed] == [Report, Loads]
    later = observe(told, binding, RawMetrics(4, 0, 0, 50, 0, 1001, 0.0, 0.125), 103.0)
    assert [type(message) for message in later] == [Report, Loads]  # it is time


def test_that_an_instance_is_down_is_told_to_all_and_it_has_no_load() -> None:
    binding, told = told_by(HYBRID)
    observe(told, binding, RAW, 100.0)
    slow, volatile = observe(told, binding, None, 101.0)
    assert isinstance(slow, Report)
    assert isinstance(volatile, Loads)
    assert slow.bindings[0].raw is None
    assert volatile.loads == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"controller": ["10.4.0.1"]}, r"controller must be \[address, port\]"),
        ({"controller": ["10.4.0.1", 0]}, r"controller\[1\]"),
        ({"slow_reporting": {"when": "never", "refresh_s": 1}}, "slow_reporting.when"),
        ({"slow_reporting": None}, "controller and slow_reporting go together"),
    ],
)
def test_a_mistake_in_whom_to_tell(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MetricAgentConfig.from_document({**HYBRID, **change})
