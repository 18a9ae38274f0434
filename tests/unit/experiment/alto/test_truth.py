"""The true state of clusters and paths for the policy `oracle`: what is shown, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.agents.cluster_client import truth
from testbed.agents.cluster_client.truth import Truth
from testbed.agents.host.shown_documents import ShownDocument
from testbed.experiment.systems.alto.plan.plan import AltoPlan
from testbed.experiment.systems.alto.true_paths import true_paths
from tests.function_scenarios import functions_plan
from topologies.spec import LinkSpec

PLACED = {"alto": {"site": "west"}, "delivery": {"repository": "east", "site": "west", "policy": "oracle"}}
STATE = {"slots": 2, "slots_free": 1, "waiting": 0, "queue": 5, "memory_mb": 512, "memory_free_mb": 256,
         "functions": {"sha": {"warm": 1, "run_ms": 40.0}}, "runtimes": {"python:3": 1}, "blobs": ["b"]}  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> AltoPlan:
    return functions_plan(**PLACED)


def present(plan: AltoPlan, **changes: LinkSpec | None) -> dict[frozenset[str], LinkSpec | None]:
    links: dict[frozenset[str], LinkSpec | None] = {
        frozenset((link.a, link.b)): link.spec for link in plan.topology.links
    }
    return links | {frozenset(name.split("__")): spec for name, spec in changes.items()}


def paths(plan: AltoPlan, links: dict[frozenset[str], LinkSpec | None]) -> dict[str, dict[str, dict[str, float]]]:
    found = true_paths(plan, lambda a, b: links[frozenset((a, b))])
    return {**found["from_user"], "repository": found["from_repository"]}


def test_paths_are_as_links_are_configured_and_as_faults_make_them(plan: AltoPlan) -> None:
    links = present(plan)
    rest = paths(plan, links)
    assert set(rest) == {"east", "repository"}, "of sites with users, and of the repository"
    near = rest["east"]["cluster@middle"]
    assert near["delay_rt_ms"] == pytest.approx(plan.distance_ms("east", "middle"), abs=0.01)
    assert near["loss_percent"] == 0
    between = frozenset(("New York", "Chicago"))
    before = links[between]
    assert before is not None
    links[between] = replace(before, delay_ms=before.delay_ms + 100, loss_percent=10)
    degraded = paths(plan, links)["east"]["cluster@middle"]
    assert degraded["delay_rt_ms"] == pytest.approx(near["delay_rt_ms"] + 200)
    assert degraded["loss_percent"] == pytest.approx(10)
    links[between] = None
    assert paths(plan, links)["east"]["cluster@middle"]["loss_percent"] == 100
    links[frozenset(("cluster@middle", "middle"))] = replace(before, rate_mbps=3.0)
    assert paths(plan, links)["east"]["cluster@middle"]["bandwidth_mbps"] == 3.0


def test_a_view_is_what_a_cluster_shows_and_one_that_shows_nothing_is_none(plan: AltoPlan, tmp_path: Path) -> None:
    known = Truth(tmp_path, ["cluster@middle", "cluster@west"], {"sha": "echo"})
    assert known.views("east", 7.0) == ()
    state, of_paths = (
        ShownDocument(truth.state_path(tmp_path, "cluster@west")),
        ShownDocument(truth.paths_path(tmp_path)),
    )
    state.show(STATE)
    of_paths.show(true_paths(plan, lambda a, b: present(plan)[frozenset((a, b))]))
    (view,) = known.views("east", 7.0)
    assert (view.name, view.known_s, view.slots, view.running, view.waiting) == ("cluster@west", 7.0, 2, 1, 0)
    assert view.functions == {"echo"} and view.warm == {"echo": 1} and view.run_ms == {"echo": 40.0}
    assert view.from_user.round_trip_ms == pytest.approx(plan.distance_ms("east", "west"), abs=0.01)
    assert view.from_repository.round_trip_ms == view.from_user.round_trip_ms, "the repository is at east, too"
    state.show(STATE | {"slots_free": 0, "waiting": 3})
    (view,) = known.views("east", 8.0)
    assert (view.running, view.waiting, view.known_s) == (2, 3, 8.0)
    state.close()
    assert known.views("east", 9.0) == ()
    of_paths.close()
