"""`flow_setup_reactive`: new flows that the control process binds, against the least an os-ken app can do.

The whole control process, which knows all instances, binds flows both ways, decides by the `dyncast` policy and writes
all of it down; the minimal app adds one entry and sends the packet on. One network, an ingress for each.
"""

from __future__ import annotations

from collections.abc import Iterator

from testbed.benchmarks.harness import Benchmark, Row, Settings
from testbed.benchmarks.ingress.flow_setup import (
    INSTANCES,
    at_least,
    compared,
    flooded,
    median_delay_ms,
    minimal_app,
    p99_delay_ms,
    rate_per_s,
    served_percent,
)
from testbed.benchmarks.instruments.edge import edge
from testbed.benchmarks.instruments.flood import Flood

_NAME = "flow_setup_reactive"
_OURS, _MINIMAL = "reactive", "minimal"
_OVERLOAD_PER_S = 12_000
_CALM_PER_S = 2_000


def _run(settings: Settings) -> Iterator[Row]:
    duration_s = 0.6 if settings.quick else 3.0
    with edge([_OURS, _MINIMAL], INSTANCES) as built, built.steered(_OURS), minimal_app(built, _MINIMAL):
        floods = {ingress: Flood(built, ingress) for ingress in (_OURS, _MINIMAL)}
        flooded(built, floods, 1, _CALM_PER_S, 0.2)  # the first flows find everything cold
        overloaded = flooded(built, floods, settings.rounds, _OVERLOAD_PER_S, duration_s)
        note = f"flows served of {_OVERLOAD_PER_S:,}/s offered; against the minimal app"
        yield compared(f"{_NAME}/rate", "1/s", rate_per_s, overloaded[_OURS], overloaded[_MINIMAL], note, at_least(0.8))
        if settings.quick:
            return
        calm = flooded(built, floods, settings.rounds, _CALM_PER_S, duration_s)
        note = f"first packet at {_CALM_PER_S:,} flows/s; against the minimal app"
        for figure, name in ((median_delay_ms, "median"), (p99_delay_ms, "p99")):
            yield compared(f"{_NAME}/delay/{name}", "ms", figure, calm[_OURS], calm[_MINIMAL], note)
        note = f"of {_CALM_PER_S:,} flows/s reach an instance; against the minimal app"
        yield compared(f"{_NAME}/served", "%", served_percent, calm[_OURS], calm[_MINIMAL], note)


BENCHMARK = Benchmark(_NAME, "new flows/s and first-packet delay of the control process", _run)
