"""Users who invoke functions as a trace says: keys of a scenario, arrivals of generators, and errors by their keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.scenario.file import ScenarioError, parse
from testbed.experiment.study.study import _references
from testbed.experiment.systems.alto.launch import workload_files
from testbed.experiment.systems.alto.run import traced
from tests.function_scenarios import functions_document, functions_plan
from tests.trace_samples import DURATIONS_NAME, counts_file, durations_text, invocations_file
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival
from traffic.config import InvokeWorkloadConfig
from traffic.traces.file import Drawn
from traffic.workloads import InvokeWorkload

DAY = {"aaaa1111": {1: 40, 2: 40, 3: 40}, "bbbb2222": {2: 7}}


def asks(path: str, function: str = "echo", **invocations: Any) -> dict[str, Any]:
    arrivals = {"process": "trace", "path": path} | ({"invocations": invocations} if invocations else {})
    return {"name": "asks", "kind": "invoke", "function": function, "clients": ["east"], "arrivals": arrivals}


def written(folder: Path, traced: list[Drawn] | None = None, **changes: Any) -> list[InvokeWorkloadConfig]:
    plan = functions_plan(folder, **changes)
    found = [] if traced is None else traced
    by_client = workload_files.write(plan, folder / "work", folder, "me:secret", lambda _, drawn: found.append(drawn))
    return [config for configs in by_client.values() for config in configs]


def arrivals(configs: list[InvokeWorkloadConfig]) -> list[Arrival]:
    found = [arrivals_file.read(config.arrivals_file, arrivals_file.WORK_COLUMN) for config in configs]
    return sorted((one for of_client in found for one in of_client), key=lambda one: one.offset_s)


def test_a_minute_of_the_trace_takes_as_long_as_speed_says(tmp_path: Path) -> None:
    counts_file(tmp_path, DAY)
    traced: list[Drawn] = []
    keys = asks("invocations_per_function_md.anon.d01.csv", functions=["aaaa"], speed=30)
    keys["arrivals"] |= {"start_s": 1.0}
    found = arrivals(written(tmp_path, traced, workloads=[keys], duration_s=4))
    assert [sum(at <= one.offset_s < at + 2 for one in found) for at in (1, 3)] == [40, pytest.approx(20, abs=16)]
    assert all(1 <= one.offset_s < 4 and one.amount is None for one in found)
    assert [str(drawn) for drawn in traced] == [f"80 invocations of 1 functions become {len(found)}"]


def test_what_a_trace_had_is_in_the_manifest(tmp_path: Path) -> None:
    path = invocations_file(tmp_path, [("aaaa1111", 60.5, 0.25), ("aaaa1111", 1.0, 30.0), ("bbbb2222", 70.0, 1.0)]).name
    traced_here: list[Drawn] = []
    keys = asks(path, first_minute=2, speed=10)
    written(tmp_path, traced_here, workloads=[keys, keys | {"name": "more"}])
    fidelity = Fidelity()
    traced.assess(fidelity, traced_here)
    assert fidelity.measured == {"trace_invocations": 4, "trace_begun_before": 2, "trace_without_duration": 0}
    assert fidelity.verdict == "valid"


def test_invocations_are_shared_among_clients_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    path = counts_file(tmp_path, DAY).name
    configs = written(tmp_path, workloads=[asks(path, speed=60)])
    assert len(configs) == 2
    first = arrivals(configs)
    assert first == arrivals(written(tmp_path, workloads=[asks(path, speed=60)]))
    assert first != arrivals(written(tmp_path, workloads=[asks(path, speed=60)], seed=9))


def test_durations_are_carried_by_invocations(tmp_path: Path) -> None:
    path = counts_file(tmp_path, DAY).name
    (tmp_path / DURATIONS_NAME).write_text(durations_text({"aaaa1111": [120] * 7}))
    keys = asks(path, functions=[1], speed=60, duration_parameter="took", durations=DURATIONS_NAME)
    configs = written(tmp_path, workloads=[keys | {"parameters": {"more": 1}}])
    assert {one.amount for one in arrivals(configs)} == {2.0}, "shortened as time is"
    body = _body(configs[0], Arrival(0.0, 2.0))
    assert body == {"took": 2.0, "more": 1}


def _body(config: InvokeWorkloadConfig, arrival: Arrival) -> Any:
    from traffic.content import invocation

    assert config.amount_parameter is not None and arrival.amount is not None
    assert "amount_parameter" in {*InvokeWorkload.__dataclass_fields__}
    octets = config.body_files[0].read_bytes()
    return json.loads(invocation.with_parameter(octets, config.amount_parameter, arrival.amount))


def test_a_trace_of_2021_has_durations_of_its_own(tmp_path: Path) -> None:
    path = invocations_file(tmp_path, [("aaaa1111", 60.5, 0.25), ("aaaa1111", 90.0, 30.0)]).name
    configs = written(tmp_path, workloads=[asks(path, first_minute=2, speed=10, duration_parameter="ms")])
    assert [tuple(one) for one in arrivals(configs)] == [(0.0, 3000.0), (0.025, 25.0)]


def test_a_trace_of_invocations_needs_no_more_keys_and_a_plain_one_has_none(tmp_path: Path) -> None:
    path = counts_file(tmp_path, {"aaaa1111": {1: 30}}).name
    assert len(arrivals(written(tmp_path, workloads=[asks(path)], duration_s=60))) == 30
    (tmp_path / "offsets.csv").write_text("offset_s\n0.5\n1.5\n")
    assert [one.offset_s for one in arrivals(written(tmp_path, workloads=[asks("offsets.csv")]))] == [0.5, 1.5]


def test_a_study_knows_the_files_of_a_trace(tmp_path: Path) -> None:
    keys = asks("day.csv", speed=60, duration_parameter="took", durations="took.csv")
    scenario = parse(functions_document(workloads=[keys]), "functions.yaml")
    assert {"day.csv", "took.csv"} <= {name for name, _ in _references(scenario, tmp_path)}


@pytest.mark.parametrize(
    ("invocations", "said"),
    [
        ({"functions": [9]}, "workloads[0].arrivals.invocations.functions[0]: there is no rank 9"),
        ({"first_minute": 1441}, "workloads[0].arrivals.invocations.first_minute: "),
        ({"speed": 60, "load": 1000}, "workloads[0].arrivals.invocations.load: "),
        (
            {"duration_parameter": "ms"},
            "workloads[0].arrivals.invocations.durations: a trace of 2019 has them",
        ),
        (
            {"duration_parameter": "ms", "durations": "none.csv"},
            "workloads[0].arrivals.invocations.durations: cannot read trace",
        ),
    ],
)
def test_what_the_trace_does_not_have_is_named_by_its_key(tmp_path: Path, invocations: Any, said: str) -> None:
    path = counts_file(tmp_path, DAY).name
    with pytest.raises(ValueError) as caught:
        written(tmp_path, workloads=[asks(path, **invocations)])
    assert str(caught.value).startswith(said)


def test_a_bad_trace_is_named_by_the_key_of_its_path(tmp_path: Path) -> None:
    path = counts_file(tmp_path, DAY)
    path.write_text(path.read_text().replace("http,40,", "http,-40,"))
    with pytest.raises(ValueError) as caught:
        written(tmp_path, workloads=[asks(path.name)])
    assert str(caught.value) == (f"workloads[0].arrivals.path: {path} line 2: 1 must be a whole number >= 0, not '-40'")
    (tmp_path / "offsets.csv").write_text("offset_s\n0.5\n")
    with pytest.raises(ValueError, match=r"workloads\[0\].arrivals.path: .*offsets.csv line 1: no trace of"):
        written(tmp_path, workloads=[asks("offsets.csv", speed=2)])


@pytest.mark.parametrize(
    ("arrivals", "words"),
    [
        ({"rate_per_s": 1, "invocations": {}}, "invocations: of a trace, and the process is poisson"),
        ({"process": "trace", "path": "x", "invocations": {"spread": "even"}}, "arrivals.invocations.spread"),
        ({"process": "trace", "path": "x", "invocations": {"functions": [0]}}, "arrivals.invocations.functions[0]"),
        ({"process": "trace", "path": "x", "invocations": {"functions": []}}, "arrivals.invocations.functions"),
        ({"process": "trace", "path": "x", "invocations": {"speed": 0}}, "arrivals.invocations.speed"),
        ({"process": "trace", "path": "x", "invocations": {"load": -1}}, "arrivals.invocations.load"),
        ({"process": "trace", "path": "x", "invocations": {"durations": "y"}}, "by duration_parameter"),
        ({"process": "trace", "path": "x", "invocations": {"laod": 1}}, "did you mean 'load'"),
        ({"process": "trace", "path": "x", "invocations": {"duration_parameter": "a"}}, "'a' carries something else"),
    ],
)
def test_a_mistake_in_the_keys_is_named(arrivals: dict[str, Any], words: str) -> None:
    workload = {"name": "asks", "kind": "invoke", "function": "echo", "clients": ["east"], "parameters": {"a": 1}}
    with pytest.raises(ScenarioError) as caught:
        parse(functions_document(workloads=[workload | {"arrivals": arrivals}]), "functions.yaml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
