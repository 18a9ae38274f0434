"""Studies: which cases a file has and in which order; every error is one line that names file, key and case."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.study import study
from testbed.experiment.study.study_keys import StudyKeys
from tests.scenarios import EXAMPLES, small_document
from tests.studies import RATE, write_study


def test_cases_are_the_grid_times_policies_times_seeds_seed_by_seed(tmp_path: Path) -> None:
    cases = study.load(write_study(tmp_path)).cases
    told = [(case.seed, case.settings[RATE], case.settings["policy"]) for case in cases]
    assert told == [(seed, rate, policy) for seed in (1, 2) for rate in (10, 20) for policy in ("closest", "dyncast")]
    for case in cases:
        assert case.scenario.seed == case.seed
        assert case.scenario.policy == case.settings["policy"]
        assert case.scenario.workloads[0].arrivals.rate_per_s == case.settings[RATE]
    assert [case.name for case in cases][:2] == [
        "rate_per_s=10,policy=closest,seed=1",
        "rate_per_s=10,policy=dyncast,seed=1",
    ]
    assert len({case.name for case in cases}) == len({case.fingerprint for case in cases}) == 8


def test_set_holds_for_all_cases_and_the_scenario_may_be_part_of_the_study(tmp_path: Path) -> None:
    path = write_study(
        tmp_path, scenario=small_document(), set={"duration_s": 7, "instances.0.workers": 5}, grid=None, seeds=[4, 9]
    )
    cases = study.load(path).cases
    assert [(case.seed, case.scenario.policy) for case in cases] == [
        (4, "closest"), (4, "dyncast"), (9, "closest"), (9, "dyncast")
    ]  # fmt: skip
    assert {case.scenario.duration_s for case in cases} == {7.0}
    assert {case.scenario.instances[0].workers for case in cases} == {5}


def test_a_study_of_nothing_but_seeds(tmp_path: Path) -> None:
    cases = study.load(write_study(tmp_path, grid=None, policies=None, seeds=3)).cases
    assert [(case.name, case.scenario.policy) for case in cases] == [(f"seed={seed}", "dyncast") for seed in (1, 2, 3)]


def test_a_case_is_named_as_shortly_as_is_clear_and_fit_for_a_folder(tmp_path: Path) -> None:
    grid = {
        RATE: [10],
        "workloads.1.arrivals.rate_per_s": [1],
        "sites": [{"east": {"at": at}, "middle": {"at": "Chicago"}} for at in ("New York", "Denver")],
    }
    names = [case.name for case in study.load(write_study(tmp_path, grid=grid, policies=None, seeds=1)).cases]
    assert len(set(names)) == 2
    for name in names:
        assert name.startswith("0.arrivals.rate_per_s=10,1.arrivals.rate_per_s=1,sites=")
        assert "/" not in name
        assert len(name.encode()) < 200


def test_steps_set_several_keys_together_and_who_is_indifferent_runs_once(tmp_path: Path) -> None:
    variants = [{"metrics.interval_s": 1, "duration_s": 5}, {"metrics.interval_s": 2, "duration_s": 7}]
    path = write_study(tmp_path, variants=variants, indifferent={"metrics.interval_s": ["closest"]}, seeds=1)
    told = [
        (case.settings[RATE], case.scenario.metrics.interval_s, case.scenario.duration_s, case.scenario.policy)
        for case in study.load(path).cases
    ]
    assert told == [
        (rate, *step)
        for rate in (10, 20)
        for step in ((1, 5, "closest"), (1, 5, "dyncast"), (2, 7, "dyncast"))
    ]  # fmt: skip


def test_variants_with_names_are_told_of_by_name_and_may_set_what_they_like(tmp_path: Path) -> None:
    variants = {
        "as it is": {"duration_s": 4},
        "busy, small": {"instances.0.workers": 1, "workloads.0.work.mean_ms": 90},
    }
    path = write_study(tmp_path, variants=variants, indifferent={"variant": ["closest"]}, seeds=1, grid=None)
    cases = study.load(path).cases
    assert [dict(case.settings) for case in cases] == [
        {"variant": "as it is", "policy": "closest"},
        {"variant": "as it is", "policy": "dyncast"},
        {"variant": "busy, small", "policy": "dyncast"},
    ]
    assert [case.scenario.duration_s for case in cases[:2]] == [4, 4]
    assert (cases[2].scenario.instances[0].workers, cases[2].scenario.workloads[0].work.mean_ms) == (1, 90)
    assert cases[2].name.startswith("variant=busy_small,policy=dyncast,seed=1")


def test_a_scenario_in_the_study_may_go_by_the_study_s_name(tmp_path: Path) -> None:
    nameless = {key: value for key, value in small_document().items() if key != "name"}
    assert study.load(write_study(tmp_path, scenario=nameless)).cases[0].scenario.name == "loads"


def test_who_is_indifferent_to_a_key_of_the_grid_runs_with_its_first_value(tmp_path: Path) -> None:
    cases = study.load(write_study(tmp_path, indifferent={RATE: ["dyncast"]}, seeds=1)).cases
    told = [(case.settings[RATE], case.scenario.policy) for case in cases]
    assert told == [(10, "closest"), (10, "dyncast"), (20, "closest")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variants": [{RATE: 1}]}, [f"variants.{RATE}", f"overlaps grid.{RATE}"]),
        ({"variants": [{}]}, ["variants[0]", "sets nothing"]),
        ({"variants": {"first": {"duration_s": 5}, "second": {}}}, ["variants.second", "sets nothing"]),
        ({"variants": {"first": {"duration_s": 5, RATE: 3}}}, [f"variants.{RATE}", f"overlaps grid.{RATE}"]),
        ({"variants": 3}, ["variants"]),
        ({"variants": [{"duration_s": 5}, {"duration_s": 7, "warm_up_s": 3}]},
         ["variants[1]", "not all set warm_up_s"]),
        ({"variants": [{"policy": "closest"}]}, ["variants.policy", "policies"]),
        ({"variants": [{"duration_s": 5}, {"duration_s": 5}]}, ["variants", "is there twice"]),
        ({"variants": [{"durations": 5}]}, ["durations"]),
        ({"indifferent": {"duration_s": ["closest"]}}, ["indifferent.duration_s", "neither grid nor variants"]),
        ({"indifferent": {RATE: ["random"]}}, [f"indifferent.{RATE}", "'random' is none of the policies"]),
        ({"set": {"warm_up_s": 99}}, ["warm_up_s", "has to be below duration_s"]),
        ({"grid": {"workloads.0.arrivals.rat_per_s": [1]}},
         ["case rat_per_s=1", "workloads[0].arrivals.rat_per_s", "did you mean 'rate_per_s'"]),
        ({"grid": {"polcy": ["closest"]}}, ["case polcy=closest", "polcy", "did you mean 'policy'"]),
        ({"grid": {"workloads.7.arrivals.rate_per_s": [1]}},
         ["grid.workloads.7.arrivals.rate_per_s", "no element '7'"]),
        ({"set": {"duration_s.deeper": 1}}, ["set.duration_s.deeper", "nothing below 'duration_s'"]),
        ({"set": {"duration_s": "soon"}}, ["duration_s", "soon"]),
        ({"policies": ["closest", "dyncats"]}, ["policy=dyncats", "did you mean 'dyncast'"]),
        ({"policies": []}, ["policies"]),
        ({"grid": {RATE: []}}, [f"grid.{RATE}"]),
        ({"grid": {RATE: [10, 20, 10]}}, [f"grid.{RATE}: 10 is there twice"]),
        ({"grid": {RATE: [10, 10.0]}}, ["run the same", "rate_per_s=10", "rate_per_s=10.0"]),
        ({"grid": {RATE: [10, 1e9]}}, ["rate_per_s=1000000000.0", "workloads[0]", "add clients or lower the rate"]),
        ({"seeds": [1, 1]}, ["seeds: 1 is there twice"]),
        ({"seeds": 0}, ["seeds"]),
        ({"grid": {"seed": [1, 2]}}, ["grid.seed", "seeds"]),
        ({"set": {"policy": "closest"}}, ["set.policy", "policies"]),
        ({"set": {RATE: 5}}, [f"grid.{RATE}", f"overlaps set.{RATE}"]),
        ({"set": {"workloads": []}}, [f"grid.{RATE}", "overlaps set.workloads"]),
        ({"baseline": "random"}, ["baseline", "'random' is none of the policies closest, dyncast"]),
        ({"baseline": f"{RATE}=7"}, ["baseline", f"'7' is none of the values of {RATE}: "]),
        ({"baseline": "duration_s=7"}, ["baseline", "neither grid nor variants has the key duration_s"]),
        ({"scenaro": "small.yaml"}, ["scenaro", "did you mean 'scenario'"]),
        ({"scenario": "none.yaml"}, ["none.yaml", "is the path right"]),
        ({"scenario": None}, ["scenario"]),
        ({"name": "../elsewhere"}, ["name"]),
        ({"set": {"services.render.policy": "closest", "services.conference.policy": "closest"}},
         ["policies", "policy of its own"]),
        ({"set": {"workloads.0.arrivals": {"process": "trace", "path": "gone.csv"}}, "grid": None},
         ["workloads[0].arrivals.path", "gone.csv", "is the path right"]),
        ({"set": {"topology": "topozoo/Nowhere"}}, ["topozoo/Nowhere"]),
    ],
)  # fmt: skip
def test_an_error_is_one_line_that_names_file_key_and_case(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    path = write_study(tmp_path, **changes)
    with pytest.raises(ScenarioError) as caught:
        study.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.parent) in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("content", ["", "just text", "a: [", "name: 2026-99-99", "[" * 1200])
def test_a_file_that_is_no_study(tmp_path: Path, content: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(content)
    with pytest.raises(ScenarioError, match=r"study\.yaml") as caught:
        study.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted((EXAMPLES / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_example_studies_are_good(path: Path) -> None:
    loaded = study.load(path)
    assert loaded.keys.name == path.stem
    assert loaded.keys.description
    by_seed = [len(list(cases)) for _, cases in groupby(loaded.cases, lambda case: case.seed)]
    assert len(set(by_seed)) == 1


def test_the_schema_describes_every_key() -> None:
    undescribed = [
        key for key, value in StudyKeys.model_json_schema()["properties"].items() if not value.get("description")
    ]
    assert not undescribed


# -- what a run depends on ---------------------------------------------------------------------------


def _with_trace(folder: Path, offset_s: float) -> str:
    path = write_study(
        folder, grid=None, policies=None, seeds=1,
        set={"workloads.0.arrivals": {"process": "trace", "path": "arrivals.csv"}},
    )  # fmt: skip
    (folder / "arrivals.csv").write_text(f"offset_s\n{offset_s}\n")
    return study.load(path).cases[0].fingerprint


def test_a_trace_counts_by_its_content(tmp_path: Path) -> None:
    first = _with_trace(tmp_path / "a", 1.0)
    assert _with_trace(tmp_path / "b", 1.0) == first
    assert _with_trace(tmp_path / "a", 1.5) != first


def test_a_topology_file_counts_by_its_content(tmp_path: Path) -> None:
    def fingerprint(delay_ms: int) -> str:
        document = {
            "name": "two",
            "nodes": [{"name": "New York"}, {"name": "Chicago"}],
            "links": [{"a": "New York", "b": "Chicago", "delay_ms": delay_ms}],
        }
        (tmp_path / "two.yaml").write_text(yaml.safe_dump(document))
        path = write_study(tmp_path, grid=None, policies=None, seeds=1, set={"topology": "two.yaml"})
        return study.load(path).cases[0].fingerprint

    assert fingerprint(5) == fingerprint(5)
    assert fingerprint(5) != fingerprint(6)


def test_a_file_beside_the_scenario_that_no_value_names_does_not_count(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    before = [case.fingerprint for case in study.load(path).cases]
    for name in ("notes.csv", "dyncast", "closest"):  # a policy's name is no file's
        (tmp_path / name).write_text("anything")
    assert [case.fingerprint for case in study.load(path).cases] == before


def test_what_a_scenario_is_called_does_not_count_and_the_version_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study.load(write_study(tmp_path)).cases[0].fingerprint
    renamed = {"name": "other", "set": {}, "scenario": small_document(name="other", description="see notes.csv")}
    assert study.load(write_study(tmp_path, **renamed)).cases[0].fingerprint == before
    monkeypatch.setattr("testbed.__version__", "0.0.1")
    assert study.load(write_study(tmp_path)).cases[0].fingerprint != before


# -- time ---------------------------------------------------------------------------------------------


def test_the_estimate_goes_by_what_runs_took_beside_their_traffic(tmp_path: Path) -> None:
    cases = study.load(write_study(tmp_path)).cases
    assert study.overhead_s([]) == study.USUAL_OVERHEAD_S
    assert study.overhead_s([(30.0, 20.0), (26.0, 20.0)]) == 8.0
    assert study.estimate_s(cases, 8.0) == 8 * (4 + 8)
    assert study.estimate_s([], 8.0) == 0


def test_what_is_done_is_left_out_in_order(tmp_path: Path) -> None:
    cases = study.load(write_study(tmp_path)).cases
    assert study.left(cases, {cases[0].fingerprint, cases[3].fingerprint, "of another study"}) == (
        *cases[1:3], *cases[4:]
    )  # fmt: skip
