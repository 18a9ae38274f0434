"""`demo_ingress`: 50,000 new flows in a second through the hot spot's ingress of the demo, bound by its switch.

The demo's whole network and its real agents, which report ten times a second; weights move all the while. Says how
many flows reached an instance, and that none reached two.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped, measure
from testbed.benchmarks.instruments.flood import Flood, Outcome
from testbed.emulation.machine.capabilities import probe
from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.temporary_folders import temporary_folder
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario import file as scenario_file
from testbed.experiment.systems.dyncast.demo import DEMO
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until

_SCENARIO = DEMO.scenario
_INGRESS = "new-york"
_SERVICE = "render"
_FLOWS_PER_S = 50_000
_REPORT_INTERVAL_S = 0.1
_REACHED = Goal(99.0, Better.HIGHER)
_NONE = Goal(0.0, Better.LOWER)


@dataclass(frozen=True)
class _DemoEdge:
    """The demo as a flood sees it."""

    network: EmulatedNetwork
    client: str
    instances: tuple[str, ...]

    def client_of(self, _ingress: str) -> str:
        return self.client

    def pid(self, node: str) -> int:
        return self.network.pid(node)


def _run(settings: Settings) -> Iterator[Row]:
    capabilities = probe()
    if not capabilities.has("root"):
        raise Skipped(f"capability root is missing: {capabilities.row('root').remedy}")
    outcomes, moves = [], []
    with temporary_folder("bench") as folder:
        overrides = {
            f"services.{_SERVICE}.affinity.mode": "datapath",
            "policy": "dyncast",
            "metrics.interval_s": _REPORT_INTERVAL_S,
        }
        scenario = scenario_file.load(_SCENARIO, overrides)
        planned = DyncastPlan.of(make_plan(scenario, _SCENARIO))
        with Testbed(planned, folder, folder / "logs") as testbed:
            client = next(item.name for item in planned.clients if item.site == _INGRESS)
            hosts = tuple(item.host for item in planned.instances if item.service == _SERVICE)
            d_sid = str(planned.scenario.services[_SERVICE].d_sid)
            flood = Flood(_DemoEdge(testbed.network, client, hosts), _INGRESS, to=d_sid, port=9)
            for _ in range(1 if settings.quick else settings.rounds):
                begun_s = time.monotonic()
                outcomes.append(flood.offer(_FLOWS_PER_S, 1.0))
                moves.append(_weight_changes(folder, d_sid, begun_s, time.monotonic()))
    note = f"{_FLOWS_PER_S:,} new flows offered in a second"
    yield measure("demo_ingress/offered", "1/s", [outcome.offered_per_s for outcome in outcomes], note=note)
    yield measure("demo_ingress/reached", "%", [_reached(outcome) for outcome in outcomes], note=note, goal=_REACHED)
    split = [float(outcome.split) for outcome in outcomes]
    yield measure("demo_ingress/split", "flows", split, note="reached two instances", goal=_NONE)
    yield measure("demo_ingress/weights", "changes", [float(item) for item in moves], note="of weights meanwhile")


def _reached(outcome: Outcome) -> float:
    return 100 * outcome.served / outcome.offered


def _weight_changes(folder: Path, d_sid: str, begin_s: float, end_s: float) -> int:
    """Count how often the ingress moved its switch's weights."""
    # Signalling counts are written last, when all that came before is.
    wait_until(
        lambda: any(float(row["time_s"] or 0) > end_s for row in _table(folder, "control")),
        timeout_s=60,
        what="the tables to be written",
    )
    times = {row["time_s"] for row in _table(folder, "weights") if row["d_sid"] == str(ip_address(d_sid))}
    return sum(begin_s <= float(at_s) <= end_s for at_s in times)


def _table(folder: Path, name: str) -> list[dict[str, str]]:
    """Read what the ingress has written of a table."""
    return list(whole_rows(Path(folder, f"{name}.control@{_INGRESS}.part.csv")))


BENCHMARK = Benchmark("demo_ingress", "50,000 new flows in a second through the demo's ingress", _run)
