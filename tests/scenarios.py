"""Small scenarios for tests, as documents and as plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ryu_apps.dyncast.config.control_process import SwitchConfig
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario.file import parse
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
EXAMPLE_SCENARIOS = sorted(path for path in EXAMPLES.rglob("*.yaml") if path.parent.name != "studies")
SWITCH = SwitchConfig("netdev", Path("/run/openvswitch/b.mgmt"))


def small_document(**changes: Any) -> dict[str, Any]:
    """Return a complete scenario: two sites, a service of each kind, two clients."""
    return {
        "name": "small",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "middle": {"at": "Chicago"}},
        "services": {
            "render": {"d_sid": "203.0.113.10"},
            "conference": {"d_sid": "203.0.113.11", "kind": "rtp"},
        },
        "instances": [
            {"service": "render", "site": "east", "workers": 1},
            {"service": "render", "site": "middle", "workers": 2},
            {"service": "conference", "site": "middle"},
        ],
        "clients": [{"site": "east", "count": 2}],
        "workloads": [
            {"name": "jobs", "service": "render", "clients": ["east"], "arrivals": {"rate_per_s": 20},
             "work": {"mean_ms": 20}},
            {"name": "calls", "service": "conference", "clients": ["east"], "arrivals": {"rate_per_s": 1},
             "call_duration": {"mean_ms": 1000}},
        ],
        "duration_s": 4,
    } | changes  # fmt: skip


def dyncast_plan(scenario: Scenario, source: Path) -> DyncastPlan:
    """Return the plan of a scenario, with Dyncast's part of it."""
    return DyncastPlan.of(make_plan(scenario, source))


def small_plan(**changes: Any) -> DyncastPlan:
    """Return the plan of the small scenario."""
    return dyncast_plan(parse(small_document(**changes), "small.yaml"), Path("small.yaml"))
