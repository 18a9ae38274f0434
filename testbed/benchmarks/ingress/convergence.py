"""`convergence`: from a change at an instance until every D-Router decides by it, against interval + path delay.

Three ingresses near to and far from two instances, over links with delays; real D-MAs and D-Routers, instances that
report the load that the benchmark sets (`benchmarks.counting.instance`). The less loaded one of the two takes all new
flows: a load step at it, its failure and its return turn every D-Router round. For each change and D-Router, what is
timed is until the last decision that does not obey it; one is made every 3 ms. A change may come at any moment of an
interval: so an interval and the delay of the path is what it may take, and polls and processes take some ms more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple

from testbed.benchmarks.counting.instance import UDP_PORT
from testbed.benchmarks.counting.testbed import CountingTestbed
from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped
from testbed.benchmarks.instruments.trickle import trickle
from testbed.dyncast.roles import D_ROUTER
from testbed.emulation.machine.capabilities import probe
from testbed.emulation.temporary_folders import temporary_folder
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.file import parse
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from topologies import yaml_form
from topologies.roles import ROUTER
from topologies.routing import path_delay_ms
from topologies.spec import Link, LinkSpec, Node, Topology

D_SID = "203.0.113.10"
DELAYS_MS = {"near": 2.0, "middle": 10.0, "far": 40.0}  # of the ingresses' links
SITE, OTHER = "turning", "steady"
_SITE_DELAY_MS = 3.0
TURNING, STEADY = f"counted-1@{SITE}", f"counted-1@{OTHER}"
IDLE, BUSY, OVERLOADED = 0, 20, 40  # sessions: the steady instance is always busy
_FLOWS_PER_S = 300.0  # at each ingress
_MARGIN_S = 0.15
_GOAL = Goal(1.0, Better.LOWER)
_THRESHOLD = {"when": "threshold", "metric": "sessions", "absolute": 10, "refresh_s": 5}
_WAYS: dict[str, dict[str, Any]] = {
    "0.1 s": {"interval_s": 0.1},
    "1 s": {"interval_s": 1.0},
    "threshold": {"poll_interval_s": 0.1, "telling": _THRESHOLD},
}
_QUICK_WAY = "0.1 s"
_ROUNDS = {"0.1 s": 8, "1 s": 3, "threshold": 8}
_QUICK_ROUNDS = 4


class Change(NamedTuple):
    """Something that happened to the turning instance: since when, and whether it should take new flows."""

    kind: str
    at_s: float
    takes_flows: bool


class Decision(NamedTuple):
    """Who took a new flow, and when that was decided."""

    at_s: float
    took: str


def _run(settings: Settings) -> Iterator[Row]:
    capabilities = probe()
    if not capabilities.has("root"):
        raise Skipped(f"capability root is missing: {capabilities.row('root').remedy}")
    for way in (_QUICK_WAY,) if settings.quick else _WAYS:
        rounds = _QUICK_ROUNDS if settings.quick else _ROUNDS[way]
        interval_s = _WAYS[way]["poll_interval_s" if "poll_interval_s" in _WAYS[way] else "interval_s"]
        with temporary_folder("bench") as folder:
            took, bound_s = _measured(folder, _WAYS[way], interval_s, rounds)
        for kind, by_ingress in took.items():
            yield _row(f"convergence/{kind}/{way}", by_ingress, bound_s)


def _measured(
    folder: Path, metrics: Mapping[str, Any], interval_s: float, rounds: int
) -> tuple[dict[str, dict[str, list[float]]], dict[str, float]]:
    """Return how long it took, by kind of change and ingress, and the bound of each ingress."""
    plan = planned(folder, metrics)
    bound_s = {site: interval_s + path_delay_ms(plan.topology, SITE, site) / 1e3 for site in DELAYS_MS}
    (turning,) = (item.d_bid for item in plan.instances if item.name == TURNING)
    with CountingTestbed(plan, folder) as testbed:
        client_of = {client.site: client.name for client in plan.clients}
        testbed.set_load(STEADY, BUSY)
        testbed.set_load(TURNING, IDLE)
        with trickle(testbed.network, client_of, D_SID, _FLOWS_PER_S, UDP_PORT):
            wait_until(lambda: all(_takes(folder, site, turning) for site in DELAYS_MS), 60, "all flows to go to one")
            changes = list(_changes(testbed, rounds, interval_s, max(bound_s.values())))
            end_s = time.monotonic()
        testbed.end_processes()  # what they wrote is whole then
        took: dict[str, dict[str, list[float]]] = {}
        for site in DELAYS_MS:
            decisions = decisions_of(folder, site)
            for kind, took_s in convergence_s(changes, decisions, turning, end_s):
                took.setdefault(kind, {}).setdefault(site, []).append(took_s)
    return took, bound_s


def _changes(testbed: CountingTestbed, rounds: int, interval_s: float, bound_s: float) -> Iterator[Change]:
    """Turn the instance round and round, each time at another moment of the interval."""
    rng = Random(1)
    for _ in range(rounds):
        for kind, takes_flows in (("load", False), ("load", True), ("down", False), ("up", True)):
            if kind == "load":
                at_s = testbed.set_load(TURNING, IDLE if takes_flows else OVERLOADED)
            elif kind == "down":
                testbed.processes.kill(TURNING)
                at_s = time.monotonic()
            else:
                testbed.start_instance(TURNING, load=IDLE)
                testbed.processes.wait_ready([TURNING], 30)
                at_s = _listening_since_s(testbed.folder)
            yield Change(kind, at_s, takes_flows)
            time.sleep(max(0.0, at_s + bound_s + _MARGIN_S - time.monotonic()) + rng.random() * interval_s)


def _listening_since_s(folder: Path) -> float:
    return float(next(whole_rows(folder / f"instances.{TURNING}.part.csv"))["time_s"])


def convergence_s(
    changes: list[Change], decisions: list[Decision], turning: str, end_s: float
) -> Iterator[tuple[str, float]]:
    """Yield the kind of each change, and how long there were decisions of a D-Router that did not obey it.

    Raises RuntimeError where that was not before the next change.
    """
    ends_s = [*(change.at_s for change in changes[1:]), end_s]
    for change, until_s in zip(changes, ends_s, strict=True):
        after = [decision for decision in decisions if change.at_s <= decision.at_s < until_s]
        obeys = [(decision.took == turning) == change.takes_flows for decision in after]
        if not obeys or not obeys[-1]:
            raise RuntimeError(f"{change.kind}: no decision obeyed within {until_s - change.at_s:.2f} s")
        took_s = [made.at_s - change.at_s for made, does in zip(after, obeys, strict=True) if not does]
        yield change.kind, max(took_s, default=0.0)


def decisions_of(folder: Path, site: str) -> list[Decision]:
    """Return what a D-Router has decided, and written."""
    rows = whole_rows(folder / f"decisions.control@{site}.part.csv")
    return [Decision(float(row["time_s"]), row["d_bid"]) for row in rows]


def _takes(folder: Path, site: str, instance: str) -> bool:
    """Return whether an ingress assigned its last flow to an instance."""
    decisions = decisions_of(folder, site)
    return bool(decisions) and decisions[-1].took == instance


def _row(name: str, took_s: Mapping[str, list[float]], bound_s: Mapping[str, float]) -> Row:
    """Return the row of a kind of change: how long the last D-Router took, and the worst share of any one's bound."""
    last_ms = [1e3 * max(of_change) for of_change in zip(*took_s.values(), strict=True)]
    worst = {site: max(of_site) / bound_s[site] for site, of_site in took_s.items()}
    by_site = ", ".join(
        f"{site} {1e3 * median(of_site):.0f}, at most {1e3 * max(of_site):.0f} of {1e3 * bound_s[site]:.0f} ms"
        for site, of_site in took_s.items()
    )
    return Row(
        name, "ms", median(last_ms), 1e3 * max(bound_s.values()), max(worst.values()), len(last_ms),
        (max(last_ms) - min(last_ms)) / median(last_ms),
        f"until all ingresses obey; baseline: interval + path; ratio: the worst; {by_site}", _GOAL,
    )  # fmt: skip


def _topology() -> Topology:
    delays_ms = {**DELAYS_MS, SITE: _SITE_DELAY_MS, OTHER: _SITE_DELAY_MS}
    return Topology(
        "star",
        (Node("core", ROUTER), *(Node(site, D_ROUTER) for site in delays_ms)),
        tuple(Link(site, "core", LinkSpec(delay_ms=delay_ms)) for site, delay_ms in delays_ms.items()),
    )


def planned(folder: Path, metrics: Mapping[str, Any]) -> DyncastPlan:
    """Return the plan of the network with its ingresses and instances; `metrics` are keys of a scenario."""
    (folder / "star.yaml").write_text(yaml_form.dump(_topology()), encoding="utf-8")
    document = {
        "name": "convergence",
        "topology": "star.yaml",
        "services": {"counted": {"d_sid": D_SID, "policy": "least_loaded", "affinity": {"timeout_s": 2}}},
        "instances": [{"service": "counted", "site": site, "workers": 4} for site in (SITE, OTHER)],
        "clients": [{"site": site} for site in DELAYS_MS],
        "metrics": dict(metrics),
    }
    return DyncastPlan.of(make_plan(parse(document, "convergence"), folder / "convergence.yaml"))


BENCHMARK = Benchmark("convergence", "from a change at an instance until every D-Router decides by it", _run)
