"""What a site costs: an idle network of sites on germany50, each with an instance and a D-MA; and a run under load.

CPU time of an idle network by kind of process, memory of a control process, seconds of start, and whether a run at 40
requests/s is faithful.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from statistics import mean
from typing import Any

from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped, measure
from testbed.benchmarks.instruments import process_cost
from testbed.emulation.machine.capabilities import CapabilityError, choose_backends, probe
from testbed.emulation.temporary_folders import temporary_folder
from testbed.experiment import python_api
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.scenario import Scenario
from topologies import catalogue
from topologies.roles import ROUTER

_TOPOLOGY = "sndlib/germany50"
_SIZES, _QUICK_SIZES = (5, 20, 40), (5,)
_REQUESTS_PER_S = 40
_SETTLE_S = 5.0  # what is loaded at the first report and probe is loaded
_WINDOW_S, _QUICK_WINDOW_S = 15.0, 5.0
_RUN_S, _QUICK_RUN_S = 20, 5
_VERDICTS = ("valid", "suspect", "invalid")
_OF_GOALS = 20  # sites; the goals are of this size

_MOST_CPU_PERCENT = Goal(0.4, Better.LOWER)
_MOST_MEMORY_MIB = Goal(35.0, Better.LOWER)
_MOST_START_S = Goal(0.15, Better.LOWER)
_VALID = Goal(0, Better.LOWER)


def _scenario(sites: int, duration_s: int) -> Scenario:
    cities = [node.name for node in catalogue.load(_TOPOLOGY).with_role(ROUTER)]
    names = [f"s{number}" for number in range(sites)]
    clients = names[:5]
    rate_per_s = _REQUESTS_PER_S / len(clients)
    document: dict[str, Any] = {
        "name": f"sites-{sites}",
        "topology": _TOPOLOGY,
        "sites": {name: {"at": city} for name, city in zip(names, islice(cities, sites), strict=True)},
        "services": {"render": {"d_sid": "203.0.113.10"}},
        "instances": [{"service": "render", "site": name, "workers": 2} for name in names],
        "clients": [{"site": name} for name in clients],
        "workloads": [
            {"name": f"jobs-{name}", "service": "render", "clients": [name],
             "arrivals": {"rate_per_s": rate_per_s}, "work": {"mean_ms": 20}}
            for name in clients
        ],
        "duration_s": duration_s,
    }  # fmt: skip
    return python_api.build(**document)


def _idle(sites: int, window_s: float) -> tuple[Mapping[str, float], list[process_cost.Memory], float]:
    """Return the CPU percent of one process of each kind, the memory of control processes, and seconds per site."""
    with temporary_folder("bench") as folder:
        plan = make_plan(_scenario(sites, 1), folder / "scenario.yaml")
        with Testbed(plan, folder, folder / "logs") as testbed:
            time.sleep(_SETTLE_S)
            kinds = process_cost.by_kind(testbed.tag)
            shares = process_cost.cpu_shares(kinds, window_s)
            each = {kind: 100 * share / (1 if kind == "switch" else len(kinds[kind])) for kind, share in shares.items()}
            memory = [process_cost.memory(pid) for pid in kinds["control"]]
            return each, memory, testbed.durations_s["processes"] / sites


def _verdict(sites: int, duration_s: int) -> tuple[str, list[str]]:
    with temporary_folder("bench") as folder:
        run_dir = python_api.run(_scenario(sites, duration_s), folder)
        fidelity = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))["fidelity"]
        return fidelity["verdict"], fidelity["reasons"]


def _run(settings: Settings) -> Iterator[Row]:
    try:
        choose_backends(probe())
    except CapabilityError as error:
        raise Skipped(str(error)) from error
    for sites in _QUICK_SIZES if settings.quick else _SIZES:
        yield from _rows(sites, settings.quick, has_goals=sites == _OF_GOALS)


def _rows(sites: int, quick: bool, *, has_goals: bool) -> Iterator[Row]:
    each, memory, start_s = _idle(sites, _QUICK_WINDOW_S if quick else _WINDOW_S)
    for kind, percent in sorted(each.items()):
        goal = _MOST_CPU_PERCENT if kind == "control" and has_goals else None
        yield measure(
            f"sites/{sites}/{kind}_cpu",
            "% of a core",
            [percent],
            note="of all its threads, idle" if kind == "switch" else "each, idle",
            goal=goal,
        )
    uss, rss = mean(item.uss for item in memory), mean(item.rss for item in memory)
    note = f"PSS of a control process; {uss:.1f} its own (USS), {rss:.1f} resident, shared pages counted whole"
    yield measure(
        f"sites/{sites}/control_memory", "MiB", [mean(item.pss for item in memory)], note=note,
        goal=_MOST_MEMORY_MIB if has_goals else None,
    )  # fmt: skip
    yield measure(
        f"sites/{sites}/start", "s per site", [start_s], goal=_MOST_START_S if has_goals else None,
        note="from the first process until every D-Router knows every instance, an interval of reports included",
    )  # fmt: skip
    verdict, reasons = _verdict(sites, _QUICK_RUN_S if quick else _RUN_S)
    yield measure(
        f"sites/{sites}/verdict", "0 valid, 1 suspect, 2 invalid", [float(_VERDICTS.index(verdict))],
        note="; ".join([f"{_REQUESTS_PER_S} requests/s: {verdict}", *reasons]), goal=_VALID if has_goals else None,
    )  # fmt: skip


BENCHMARK = Benchmark("sites", "CPU, memory and start of a site, and whether a run with many is faithful", _run)
