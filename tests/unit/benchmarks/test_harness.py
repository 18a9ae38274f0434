"""Benchmarks compare fairly: in alternation, by the rounds' ratios, each against its goal."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from testbed.benchmarks import registry
from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, Skipped, compare, measure
from testbed.benchmarks.registry import UnknownBenchmark
from testbed.benchmarks.runner import run
from testbed.cli.machine.bench import bench
from testbed.cli.machine.checkout import ROOT


def noted(name: str, log: list[str], figures: list[float]) -> Callable[[], float]:
    left = iter(figures)

    def once() -> float:
        log.append(name)
        return next(left)

    return once


def test_both_ways_alternate_and_the_ratio_is_of_the_same_round() -> None:
    log: list[str] = []
    row = compare("x", "1/s", noted("own", log, [20, 2, 8]), noted("base", log, [10, 1, 2]), 3)
    assert log == ["base", "own", "own", "base", "base", "own"]
    assert (row.value, row.baseline, row.ratio, row.rounds) == (8, 2, 2.0, 3)
    assert row.spread == (20 - 2) / 8


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (None, 3.0, None),
        (Goal(3.0, Better.HIGHER), 3.0, True),
        (Goal(3.0, Better.HIGHER), 2.9, False),
        (Goal(3.0, Better.LOWER), 3.1, False),
    ],
)
def test_a_goal_is_of_the_value_where_there_is_no_baseline(goal: Goal | None, value: float, met: bool | None) -> None:
    row = measure("x", "ms", [value], goal=goal)
    assert row.goal_is_met is met
    assert row.document()["goal_is_met"] is met


def test_a_goal_is_of_the_ratio_where_there_is_a_baseline() -> None:
    row = Row("x", "1/s", 5.0, 10.0, 0.5, 1, 0.0, goal=Goal(0.8, Better.HIGHER))
    assert row.goal_is_met is False
    assert row.document()["goal"] == ">= 0.8"


def test_one_benchmark_that_fails_or_cannot_run_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Settings) -> list[Row]:
        raise OSError("no such thing")

    def unable(_: Settings) -> list[Row]:
        raise Skipped("capability root is missing")

    def good(settings: Settings) -> list[Row]:
        return [measure("good", "s", [1.0] * settings.rounds)]

    ways = {name: Benchmark(name, "", way) for name, way in (("broken", broken), ("unable", unable), ("good", good))}
    monkeypatch.setattr(registry, "NAMES", tuple(ways))
    monkeypatch.setattr(registry, "load", ways.__getitem__)
    assert run([], Settings(quick=True), as_json=True) == 1
    out, err = capsys.readouterr()
    assert '"name": "good"' in out and out.count("\n") == 1
    assert "no such thing" in err and "skipped: capability root is missing" in err
    assert run(["unable", "good"], Settings(), as_json=False) == 0


def test_an_unknown_benchmark_is_named_beside_those_there_are() -> None:
    with pytest.raises(UnknownBenchmark, match=r"'nine'; there are: alto, binding_table, convergence, .*weight_update"):
        run(["nine"], Settings(), as_json=False)


def test_the_help_names_every_benchmark() -> None:
    described = str(bench.__doc__).split()
    assert described[-len(registry.NAMES) :] == sorted(registry.NAMES)


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_benchmark_has_the_name_of_its_module(name: str) -> None:
    assert registry.load(name).name == name


def test_the_product_does_without_its_tests() -> None:
    """An installed package has benchmarks, and no tests."""
    packages = ("testbed", "topologies", "traffic", "ryu_apps")
    sources = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    uses = re.compile(r"""^\s*(from|import) tests\b|["']tests\.""", re.MULTILINE)
    assert [path for path in sources if uses.search(path.read_text(encoding="utf-8"))] == []
