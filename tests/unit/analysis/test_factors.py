"""Which settings of a study's runs are factors, and what they are called."""

from __future__ import annotations

import pandas as pd
import pytest

from testbed.analysis.study.factors import Value, case_name, column, factors, independent, policy_of, settings
from testbed.cli.machine.checkout import ROOT
from testbed.experiment.scenario import file as scenario_file

Run = dict[str, Value]


def test_a_scenario_is_flattened_as_set_names_its_keys() -> None:
    document = {
        "name": "n",
        "instances": [{"workers": 2}, {"workers": 4, "fields": ["src", "dst"]}],
        "dns": None,
        "empty": {},
        "on": True,
        "workloads": [],
    }
    assert settings(document) == {
        "name": "n",
        "instances.0.workers": 2,
        "instances.1.workers": 4,
        "instances.1.fields": "src, dst",
        "dns": None,
        "on": True,
    }


@pytest.mark.parametrize("name", ["first.yaml", "calls.yaml", "faults.yaml"])
def test_settings_have_the_keys_that_set_takes(name: str) -> None:
    path = ROOT / "docs" / "examples" / name
    scenario = scenario_file.load(path)
    found = settings(scenario.model_dump(mode="json"))
    numbers = [key for key, value in found.items() if isinstance(value, float)]
    assert numbers
    for key in numbers:
        document = scenario.model_dump(mode="json")
        scenario_file.override(document, key, 0.123, key, path)
        assert settings(document) == {**found, key: 0.123}


def test_factors_are_what_differs_but_for_names_seed_and_policy() -> None:
    first: Run = {"name": "a", "rate": 1, "same": 5, "seed": 1, "policy": "p", "services.web.policy": None, "delay": 2}
    second: Run = {**first, "name": "b", "rate": 2, "seed": 2, "policy": "q", "services.web.policy": "q", "delay": 3}
    assert factors([first, second], ["p", "q"]) == ("rate", "delay")
    assert factors([first], ["p"]) == ()
    assert factors([], []) == ()


def test_an_absent_setting_is_one_that_is_none() -> None:
    assert factors([{"dns": None}, {}], ["p", "p"]) == ()
    assert factors([{"dns.server": "x"}, {"dns": None}], ["p", "p"]) == ("dns.server",)


def test_what_goes_with_a_policy_alone_is_no_factor() -> None:
    runs: list[Run] = [{}, {"policy_parameters.dyncast.penalty": 5}, {"policy_parameters.dyncast.penalty": 5}]
    assert factors(runs, ["closest", "dyncast", "dyncast"]) == ()
    runs[2] = {"policy_parameters.dyncast.penalty": 9}
    assert factors(runs, ["closest", "dyncast", "dyncast"]) == ("policy_parameters.dyncast.penalty",)
    load: list[Run] = [{"rate": 1}, {"rate": 2}]
    assert factors(load, ["closest", "dyncast"]) == ("rate",)  # a load is never part of a policy


def test_several_scenarios_are_one_factor() -> None:
    first: Run = {"name": "one", "rate": 1, **{f"key{number}": 1 for number in range(8)}}
    other: Run = {"name": "two", "rate": 1, **{f"key{number}": 2 for number in range(8)}}
    runs = [first, {**first, "rate": 2}, other, {**other, "rate": 2}]
    assert factors(runs, ["p"] * 4) == ("name", "rate")
    few = [{key: run[key] for key in ("name", "rate", "key0", "key1")} for run in runs]
    assert factors(few, ["p"] * 4) == ("rate", "key0", "key1")


def test_columns_are_numbers_only_if_all_values_are() -> None:
    assert column([{"rate": 1}, {"rate": 2.5}], "rate").tolist() == [1, 2.5]
    assert column([{"rate": 1}, {}], "rate").tolist() == ["1", "none"]
    assert column([{"on": True}, {"on": False}], "on").tolist() == ["true", "false"]
    assert pd.api.types.is_numeric_dtype(column([{"rate": 1}, {"rate": 2.5}], "rate"))


def test_factors_that_change_together_are_one() -> None:
    runs = pd.DataFrame({"interval": [1, 1, 5, 5], "lifetime": [10, 10, 20, 20], "rate": [1, 2, 1, 2]})
    assert independent(runs, ["interval", "lifetime", "rate"]) == {"interval": ("lifetime",), "rate": ()}


@pytest.mark.parametrize(
    ("policies", "name"),
    [
        ({"a": "closest", "b": "closest"}, "closest"),
        ({}, "random"),
        ({"b": "dyncast", "a": "closest"}, "a closest, b dyncast"),
    ],
)
def test_a_run_is_named_by_the_policies_of_its_services(policies: dict[str, str], name: str) -> None:
    assert policy_of(policies, "random") == name


def test_cases_are_named_by_the_ends_of_keys() -> None:
    keys = ("workloads.0.arrivals.rate_per_s", "instances.0.workers", "instances.1.workers")
    assert case_name(keys, [45.0, 2, "none"]) == "rate_per_s 45, 0.workers 2, 1.workers none"


def test_what_a_named_variant_sets_is_no_factor_of_its_own() -> None:
    small: Run = {"rate": 1, "workers": 2, "variant": "small"}
    large: Run = {"rate": 1, "workers": 8, "queue": 5, "variant": "large"}
    runs = [small, large, {**small, "rate": 2}, {**large, "rate": 2}]
    assert factors(runs, ["p"] * 4) == ("rate", "variant")


def test_factors_that_follow_from_another_are_taken_with_it() -> None:
    steps = [(0.1, 10, 28), (1.0, 10, 28), (5.0, 20, 35)]
    runs = pd.DataFrame(
        [(load, *step) for load in (100, 160) for step in steps], columns=["load", "interval", "lifetime", "duration"]
    )
    assert independent(runs, ["load", "lifetime", "interval", "duration"]) == {
        "load": (),
        "interval": ("lifetime", "duration"),
    }
