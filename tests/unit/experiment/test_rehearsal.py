"""`dyncast validate` knows as much as a run: what a process would refuse is refused before anything is touched."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from testbed.cli.app import run_command
from testbed.experiment.execution import rehearsal
from testbed.experiment.plan.plan import make_plan
from testbed.experiment.scenario import composition
from testbed.experiment.scenario.file import ScenarioError, load, parse_settings
from testbed.experiment.study.study_keys import StudyKeys
from testbed.experiment.systems.dyncast.keys.service import ADMIN_PORT
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from tests.scenarios import EXAMPLE_SCENARIOS, EXAMPLES

_FIRST = EXAMPLES / "first.yaml"


def _rehearsed(path: Path, *settings: str) -> None:
    rehearsal.check(make_plan(load(path, parse_settings(settings)), path), path, with_load=True)


@pytest.mark.parametrize("path", EXAMPLE_SCENARIOS, ids=lambda path: path.stem)
def test_what_runs_is_not_refused(path: Path) -> None:
    scenario = load(path)
    try:
        rehearsal.check(make_plan(scenario, path), path, with_load=scenario.duration_s <= 30)
    except ScenarioError as error:
        # A program that this machine has not, a layer that nobody made yet.
        assert "install it" in str(error) or "is no folder; make it" in str(error)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("services.render.port=9100", ["services.render.port: 9100 is where instances"]),
        (
            "services.render.affinity={fields: [src, dst, src_port, dst_port]}",
            ["services.render.affinity", "with proto"],
        ),
        (
            "services.render.affinity={fields: [src, dst_port], mode: datapath}",
            ["services.render.affinity", "with proto"],
        ),
        ("workloads.0.arrivals={process: trace, path: nowhere.csv}", ["workloads[0].arrivals.path", "nowhere.csv"]),
        ('services.render.d_sid="2001:db8::1%eth0"', ["services.render", "d_sid", "%eth0"]),
        (
            "policy_parameters={static: {site: nowhere}}",
            ["policy_parameters.static.site", "'nowhere'", "there are: east"],
        ),
        ("policy_parameters={static: {site: wst}}", ["policy_parameters.static.site", "did you mean 'west'"]),
        ("duration_s=.inf", ["duration_s", "finite"]),
        ("metrics.interval_s=.nan", ["metrics.interval_s", "finite"]),
    ],
)
def test_what_a_process_would_refuse_is_refused_with_file_and_key(
    setting: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["validate", str(_FIRST), "--set", setting]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"dyncast: {_FIRST}: ")
    for word in words:
        assert word in said


def test_what_no_rule_forbids_and_a_process_refuses_names_the_process() -> None:
    scenario = DyncastScenario.of(load(_FIRST))
    services = {"render": scenario.services["render"].model_copy(update={"port": ADMIN_PORT})}  # past all rules
    plan = make_plan(scenario.model_copy(update={"services": services}), _FIRST)
    with pytest.raises(ScenarioError) as caught:
        rehearsal.check(plan, _FIRST, with_load=False)
    assert str(caught.value).startswith(f"{_FIRST}: render-1@east would refuse its configuration: ")
    assert "http_port and admin_port are both 9100" in str(caught.value)


def test_two_processes_of_one_name_are_refused(tmp_path: Path) -> None:
    """A client that is called like the control process of a D-Router."""
    (tmp_path / "net.yaml").write_text(
        "name: net\nnodes:\n  - {name: east, role: d_router}\n  - {name: west, role: d_router}\n"
        "  - {name: control@east, role: client}\n"
        "links: [{a: east, b: west, delay_ms: 1}, {a: control@east, b: east}]\n"
    )
    path = tmp_path / "scenario.yaml"
    path.write_text(
        "name: s\ntopology: net.yaml\nservices: {render: {d_sid: 203.0.113.10}}\n"
        "instances: [{service: render, site: west}]\nduration_s: 1\n"
        "workloads: [{name: jobs, service: render, clients: [east], arrivals: {rate_per_s: 5}}]\n"
    )
    with pytest.raises(ScenarioError, match="two processes of the run would be called control@east; rename a node"):
        _rehearsed(path)


def test_the_commands_that_root_would_run_are_listed_one_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        "name: s\ntopology: topozoo/Abilene\nsites: {east: {at: New York}, west: {at: Denver}}\n"
        "services: {web: {d_sid: 203.0.113.10, kind: command, port: 8080}}\n"
        "instances:\n  - {service: web, site: west, command: [sh, -c, \"echo '[x]'\\n\\e[1m\", '{port}']}\n"
        "clients: [{site: east, count: 2}]\nduration_s: 1\n"
        "workloads: [{name: ask, service: web, clients: [east], command: 'cat {folder}/a'}]\n"
    )
    assert run_command(["validate", str(path)]) == 0
    *listed, good = capsys.readouterr().out.splitlines()
    assert listed == [
        "as root at web-1@west (instances[0].command): sh -c 'echo '\"'\"'[x]'\"'\"'\\n\\x1b[1m' 8080",
        "as root at client-1@east (workloads[0].command): cat logs/ask.client-1@east/a",
        "as root at client-2@east (workloads[0].command): cat logs/ask.client-2@east/a",
    ]
    assert good.startswith(f"{path}: good. ")


def _models(kind: Any, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Return the models that a type is made of, each once."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation, seen)
    for argument in get_args(kind) if get_origin(kind) is not None else ():
        yield from _models(argument, seen)


def _is_number(kind: Any) -> bool:
    return kind is float or (
        any(_is_number(argument) for argument in get_args(kind)) and get_origin(kind) not in (dict, tuple)
    )


def test_every_number_of_a_file_is_finite() -> None:
    seen: set[type[BaseModel]] = set()
    models = [*_models(composition.schema(), seen), *_models(StudyKeys, seen)]
    checked = 0
    for model in models:
        for name, field in model.model_fields.items():
            if not _is_number(field.annotation):
                continue
            for number in (math.inf, -math.inf, math.nan):
                with pytest.raises(ValidationError) as caught:
                    model.model_validate({name: number})
                assert any(error["loc"][:1] == (name,) for error in caught.value.errors()), f"{model.__name__}.{name}"
                checked += 1
    assert checked > 100
