"""`flow_setup_datapath`: new flows that the switch binds itself, against the minimal app and against mere forwarding.

The same load is offered to three ingresses of one network: one whose switch spreads and binds flows, one with the
minimal app, and one whose switch has only NORMAL to do, for packets that are addressed to an instance already.
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

_NAME = "flow_setup_datapath"
_OURS, _MINIMAL, _FORWARDING = "datapath", "minimal", "forwarding"
_OVERLOAD_PER_S = 100_000  # more than the switch forwards
_OVERLOAD_S, _QUICK_OVERLOAD_S = 0.4, 0.2  # the minimal app then works its backlog off for twenty times as long
_CARRIED_PER_S = 50_000


def _run(settings: Settings) -> Iterator[Row]:
    with (
        edge([_OURS, _MINIMAL, _FORWARDING], INSTANCES) as built,
        built.steered(_OURS, "datapath"),
        minimal_app(built, _MINIMAL),
    ):
        floods = {
            _OURS: Flood(built, _OURS),
            _MINIMAL: Flood(built, _MINIMAL),
            _FORWARDING: Flood(built, _FORWARDING, to=built.address(built.instances[0])),
        }
        flooded(built, floods, 1, 2_000, 0.2)  # the first flows find everything cold
        duration_s = _QUICK_OVERLOAD_S if settings.quick else _OVERLOAD_S
        overloaded = flooded(built, floods, settings.rounds, _OVERLOAD_PER_S, duration_s)
        note = f"flows served of {_OVERLOAD_PER_S:,}/s offered; against"
        ours = overloaded[_OURS]
        yield compared(
            f"{_NAME}/rate", "1/s", rate_per_s, ours, overloaded[_MINIMAL], f"{note} the minimal app", at_least(15)
        )
        yield compared(f"{_NAME}/rate/forwarding", "1/s", rate_per_s, ours, overloaded[_FORWARDING], f"{note} NORMAL")
        del floods[_MINIMAL]
        carried = flooded(built, floods, settings.rounds, _CARRIED_PER_S, 0.4 if settings.quick else 1.0)
        ours, forwarding = carried[_OURS], carried[_FORWARDING]
        note = f"first packet at {_CARRIED_PER_S:,} flows/s; against NORMAL"
        yield compared(f"{_NAME}/delay/median", "ms", median_delay_ms, ours, forwarding, note)
        yield compared(f"{_NAME}/delay/p99", "ms", p99_delay_ms, ours, forwarding, note)
        note = f"of {_CARRIED_PER_S:,} flows/s reach an instance; against NORMAL"
        yield compared(f"{_NAME}/served", "%", served_percent, ours, forwarding, note, at_least(0.99))


BENCHMARK = Benchmark(_NAME, "new flows/s that the switch binds itself", _run)
