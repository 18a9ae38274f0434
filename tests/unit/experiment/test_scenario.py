"""Scenario files: what is accepted, and that every error is one line that names file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.scenario.file import ScenarioError, dump, load, parse, parse_setting, parse_settings
from testbed.experiment.scenario.scenario import Scenario
from tests.scenarios import EXAMPLE_SCENARIOS, EXAMPLES, small_document


@pytest.mark.parametrize("path", EXAMPLE_SCENARIOS, ids=lambda path: path.stem)
def test_examples_are_good(path: Path) -> None:
    assert load(path).name == path.stem


def test_what_is_written_out_reads_back_the_same() -> None:
    scenario = parse(small_document(), "small.yaml")
    import yaml

    assert parse(yaml.safe_load(dump(scenario)), "again") == scenario


def _changed(path: str, value: Any) -> dict[str, Any]:
    document = small_document()
    place: Any = document
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("polcy", "dyncast", ["polcy", "did you mean 'policy'"]),
        ("policy", "dyncats", ["policy", "did you mean 'dyncast'"]),
        ("services.render.d_sid", "hello", ["services.render.d_sid", "hello"]),
        ("services.render.affinity", {"timout_s": 3}, ["services.render.affinity.timout_s", "timeout_s"]),
        ("services.render.policy", "nearest", ["services.render.policy", "nearest"]),
        ("services.lonely", {"d_sid": "203.0.113.99"}, ["services.lonely", "no instances"]),
        ("services.conference.d_sid", "203.0.113.10", ["services.conference.d_sid", "render"]),
        ("instances.0.workers", "many", ["instances[0].workers", "many"]),
        ("instances.0.workers", 0, ["instances[0].workers"]),
        ("instances.0.workrs", 1, ["instances[0].workrs", "did you mean 'workers'"]),
        ("instances.0.host", "elsewhere", ["instances[0]", "either site or host"]),
        ("instances.0.service", "rendr", ["instances[0].service", "did you mean 'render'"]),
        ("workloads.0.arrivals", {"process": "poisson"}, ["workloads[0].arrivals", "rate_per_s"]),
        ("workloads.0.arrivals", {"rate_per_s": -1}, ["workloads[0].arrivals.rate_per_s"]),
        ("workloads.0.work", {"distribution": "lognormal", "mean_ms": 5}, ["workloads[0].work", "sigma"]),
        ("workloads.1.name", "jobs", ["workloads[1].name", "twice"]),
        ("workloads.0.arrivals.start_s", 99, ["workloads[0].arrivals", "empty"]),
        ("duration_s", "soon", ["duration_s", "soon"]),
        ("topology", 5, ["topology: must be a word, and 5 is none to YAML", "put it in quotes"]),
        ("sites.east.at", True, ["sites.east.at: must be a word, and True is none", "put it in quotes"]),
        (
            "workloads.0.clients",
            [1.5],
            ["workloads[0].clients[0]: must be a word, and 1.5 is none", "put it in quotes"],
        ),
        (
            "workloads.0.service",
            None,
            ["workloads[0].service: must be a word, and nothing is there", "put it in quotes"],
        ),
        ("name", "no/slash", ["name"]),
    ],
)
def test_an_error_is_one_line_that_names_file_and_key(path: str, value: Any, words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(_changed(path, value), "my.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("my.yaml: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("a: [", "line 1"),
        ("just text", "keys and values"),
        ("", "keys and values"),
        (b"\xff\xfe\x00", "no text"),
        ("name: a\nclients: []\nname: b", "line 3: the key name stands twice, first in line 1"),
        (
            "services: {render: {affinity: {timeout_s: 5, timeout_s: 500}}}",
            "services.render.affinity: the key timeout_s",
        ),
    ],
)
def test_a_file_that_is_no_scenario(tmp_path: Path, content: str | bytes, word: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScenarioError, match=word) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is the path right"):
        load(tmp_path / "none.yaml")


def test_settings_override_keys_also_in_lists() -> None:
    overrides = dict(
        parse_setting(text) for text in ("metrics.interval_s=0.25", "instances.1.workers=7", "policy=closest")
    )
    scenario = load(EXAMPLES / "first.yaml", overrides)
    assert scenario.metrics.interval_s == 0.25
    assert scenario.instances[1].workers == 7
    assert scenario.policy == "closest"


def test_a_setting_is_read_as_a_file_is() -> None:
    assert parse_setting("sites.east.at=NO") == ("sites.east.at", "NO")
    assert parse_setting("duration_s=1e1") == ("duration_s", 10.0)
    with pytest.raises(ScenarioError, match=r"--set services line 1: the key a stands twice"):
        parse_setting("services={a: 1, a: 2}")


def test_a_key_is_set_once() -> None:
    assert parse_settings(["seed=1", "duration_s=2"]) == {"seed": 1, "duration_s": 2}
    with pytest.raises(ScenarioError, match="--set seed: is set twice"):
        parse_settings(["seed=1", "seed=2"])


@pytest.mark.parametrize("text", ["novalue", "=3", "a.b=[", "instances.9.workers=1", "name.deeper=1"])
def test_bad_settings(text: str) -> None:
    with pytest.raises(ScenarioError, match="--set"):
        key, value = parse_setting(text)
        load(EXAMPLES / "first.yaml", {key: value})


def test_the_schema_describes_every_key() -> None:
    schema = Scenario.model_json_schema()
    parts = {"Scenario": schema, **schema["$defs"]}
    undescribed = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, value in part.get("properties", {}).items()
        if not value.get("description")
    ]
    assert not undescribed
