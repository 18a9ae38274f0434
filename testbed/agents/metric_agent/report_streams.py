"""Report streams of a metric agent: all metrics to one D-Router at one pace, or slow and volatile ones apart.

Pure. In the hybrid mode ("Hybrid Model" of the CATS framework) slow-moving metrics go to the D-Router of the site, for
all, and volatile ones to the controller; otherwise all go to one D-Router. Owns the split; when anything is due,
`testbed.dyncast.metric_agent.update_triggers` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from testbed.agents.metric_agent.config import MetricAgentConfig
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.control_messages import Load, Loads
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metric_agent.agent import AgentBinding, MetricAgent
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.wire_fields import Metric
from testbed.net.addresses import Address


@dataclass
class ReportStream:
    """The reports to one receiver: their `metrics`, their form, and how many were sent so far."""

    agent: MetricAgent
    to: tuple[Address, int]
    kind: str
    metrics: tuple[Metric, ...]
    encode: Callable[[Report], bytes]
    sent: int = 0
    sent_bytes: int = 0


def report_streams(config: MetricAgentConfig, bindings: Iterable[AgentBinding], start_s: float) -> list[ReportStream]:
    """Return the streams of an agent: one, or two in the hybrid mode."""
    bindings = tuple(bindings)
    agent = MetricAgent(config.site, bindings, config.triggers, start_s)
    if config.controller is None or config.slow_reporting is None:
        return [ReportStream(agent, config.d_router, "report", wire_fields.METRICS, codec.encode)]
    slow = MetricAgent(config.site, bindings, config.slow_reporting, start_s)
    return [
        ReportStream(slow, config.d_router, "report", wire_fields.SLOW, _slow_report),
        ReportStream(agent, config.controller, "load_report", wire_fields.VOLATILE, _load_report),
    ]


def _slow_report(report: Report) -> bytes:
    return codec.encode(report, wire_fields.SLOW)


def _load_report(report: Report) -> bytes:
    """An instance that is down has no load to report."""
    loads = [Load(item.d_sid, item.d_bid, report.sent_s, item.raw) for item in report.bindings if item.raw is not None]
    return codec.encode(Loads(report.site, report.sequence, report.sent_s, tuple(loads), by_agent=True))
