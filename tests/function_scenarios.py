"""A small scenario of functions at clusters, as a document beside its code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.file import parse
from testbed.experiment.systems.alto.plan.plan import AltoPlan

ECHO = "def main(args):\n    return args\n"


def functions_document(**changes: Any) -> dict[str, Any]:
    """Return a complete scenario: a function, held by the clusters of two sites of three."""
    return {
        "name": "functions",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "middle": {"at": "Chicago"}, "west": {"at": "Denver"}},
        "functions": {
            "echo": {"code": "echo.py", "memory_mb": 256, "timeout_s": 5, "delivered_to": ["middle", "west"]}
        },
        "clusters": [
            {"site": "middle", "slots": 2, "memory_mb": 512},
            {"site": "west", "slots": 2, "memory_mb": 512, "prewarm": {"python:3": 1}},
        ],
        "clients": [{"site": "east", "count": 2}],
        "workloads": [
            {"name": "asks", "kind": "invoke", "function": "echo", "clients": ["east"], "arrivals": {"rate_per_s": 5}}
        ],
        "duration_s": 4,
    } | changes


def written(folder: Path, code: str = ECHO, **changes: Any) -> Path:
    """Write the scenario and its code to a folder; return the scenario's file."""
    (folder / "echo.py").write_text(code)
    path = folder / "functions.yaml"
    path.write_text(yaml.safe_dump(functions_document(**changes)))
    return path


def functions_plan(folder: Path = Path(), **changes: Any) -> AltoPlan:
    """Return the plan of the scenario, as if its file lay in a folder."""
    scenario = parse(functions_document(**changes), "functions.yaml")
    return AltoPlan.of(make_plan(scenario, folder / "functions.yaml"))


def two_ways(folder: Path, code: str, policy: str, **changes: Any) -> Path:
    """Write a scenario of users between two clusters, the nearer one behind a link that degrades after 3 s."""
    (folder / "echo.py").write_text(code)
    document = {
        "name": "functions",
        "topology": "topozoo/Abilene",
        "sites": {"users": {"at": "Indianapolis"}, "north": {"at": "Chicago"}, "west": {"at": "Denver"}},
        "functions": {"echo": {"code": "echo.py", "memory_mb": 128, "timeout_s": 5}},
        "clusters": [{"site": site, "slots": 4, "memory_mb": 512} for site in ("north", "west")],
        "alto": {"site": "users", "interval_s": 1, "window_s": 2},
        "delivery": {"repository": "users", "site": "users", "policy": policy},
        "clients": [{"site": "users"}],
        "workloads": [
            {"name": "asks", "kind": "invoke", "function": "echo", "clients": ["users"], "arrivals": {"rate_per_s": 8}}
        ],
        "faults": [{"at_s": 3, "kind": "link_degraded", "link": ["Indianapolis", "Chicago"], "delay_ms": 100}],
        "duration_s": 9,
    } | changes
    path = folder / "functions.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
