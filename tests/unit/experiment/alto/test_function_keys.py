"""Keys of functions and clusters: each error is one line that begins with the key."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.experiment.scenario.file import ScenarioError, parse
from testbed.experiment.systems.alto.scenario import AltoScenario
from tests.function_scenarios import functions_document, functions_plan
from tests.scenarios import small_document

ECHO = functions_document()["functions"]["echo"]
ASKS = functions_document()["workloads"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clusters": []}, ["clusters: functions run at clusters, and there is none"]),
        ({"functions": {}}, ["functions"]),
        ({"clusters": [{"site": "middle"}] * 2}, ["clusters[1].site", "already"]),
        ({"clusters": [{"site": "middle", "prewarm": {"python:3": 9}}]}, ["clusters[0].prewarm", "9 containers"]),
        ({"clusters": [{"site": "middle", "prewarm": {"python:3": -1}}]}, ["clusters[0].prewarm.python:3"]),
        ({"clusters": [{"site": "middle", "prewarm": {"ruby": 1}}]}, ["clusters[0].prewarm.ruby"]),
        (
            {"functions": {"echo": {**ECHO, "delivered_to": ["east"]}}},
            ["functions.echo.delivered_to", "'east'", "middle"],
        ),
        ({"functions": {"echo": {**ECHO, "memory_mb": 600}}}, ["functions.echo.memory_mb", "512 MB", "600"]),
        (
            {"functions": {"echo": {**ECHO, "layers": {"a": "x"}}, "more": {**ECHO, "layers": {"a": "y"}}}},
            ["functions.more.layers.a", "'x' for another function"],
        ),
        ({"workloads": [{**ASKS, "function": "ekko"}]}, ["workloads[0].function", "did you mean 'echo'"]),
        ({"workloads": [{**ASKS, "to": "east"}]}, ["workloads[0].to", "not delivered to 'east'", "middle, west"]),
        (
            {"functions": {"echo": {**ECHO, "delivered_to": []}}},
            ["workloads[0].function", "functions.echo.delivered_to"],
        ),
        ({"workloads": [{**ASKS, "payload": {}}]}, ["workloads[0].payload", "either bytes or folder"]),
        ({"workloads": [{**ASKS, "payload": {"bytes": 5}, "parameters": {"payload": 1}}]}, ["workloads[0]", "payload"]),
        ({"workloads": [{**ASKS, "kind": "call"}]}, ["workloads[0]", "kind must be one of flows, invoke"]),
        ({"workloads": [{**ASKS, "arrivals": {"process": "once"}}]}, ["workloads[0]", "once is for a command"]),
        (
            {"delivery": {"repository": "east"}, "functions": {"echo": {**ECHO, "parameters": {"a": 1}}}},
            ["functions.echo.parameters", "in parameters of its workloads"],
        ),
        (
            {"delivery": {"repository": "east"}, "functions": {"echo": {**ECHO, "layers": {"a@b": "x"}}}},
            ["functions.echo.layers"],
        ),
        ({"delivery": {"repository": "east", "site": "east"}}, ["alto: the cluster client of delivery.site"]),
        ({"delivery": {"repository": "east", "policy_parameters": 5}}, ["delivery.policy_parameters"]),
        ({"workloads": [{**ASKS, "functoin": "echo"}]}, ["workloads[0].functoin", "did you mean 'function'"]),
    ],
)
def test_a_mistake_is_named_by_its_key(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(functions_document(**changes), "functions.yaml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("functions.yaml: ")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delivery": {"repository": "nowhere"}}, ["delivery.repository", "'nowhere'"]),
        ({"alto": {"site": "nowhere"}}, ["alto.site", "'nowhere'"]),
        ({"alto": {"site": "east"}, "delivery": {"repository": "east", "site": "no"}}, ["delivery.site", "'no'"]),
        ({"clusters": [{"site": "nowhere"}, {"site": "middle"}, {"site": "west"}]}, ["clusters[0].site", "'nowhere'"]),
        (
            {"workloads": [{**ASKS, "arrivals": {"rate_per_s": 9000}}]},
            ["workloads[0].arrivals.rate_per_s", "9000", "2 client"],
        ),
    ],
)
def test_what_the_network_cannot_have_is_named_by_its_key(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        functions_plan(**changes)
    for word in words:
        assert word in str(caught.value)


def test_a_scenario_may_have_functions_and_services() -> None:
    both = functions_document() | {key: small_document()[key] for key in ("services", "instances")}
    both["workloads"] = [*both["workloads"], {**small_document()["workloads"][0], "kind": "flows"}]
    del both["workloads"][1]["kind"]
    scenario = AltoScenario.of(parse(both, "both.yaml"))
    assert [workload.function for _, workload in scenario.invocations] == ["echo"]
    assert len(scenario.workloads) == 2
