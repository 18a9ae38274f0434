"""Synthetic traces have the statistics that were published of Azure Functions (Shahrad et al., USENIX ATC 2020).

The seeds are fixed; tolerances are of what so many draws scatter, four deviations or more.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean, median, pstdev

import pytest

from traffic.traces import azure_2019, synthetic, writing
from traffic.traces import file as trace_file
from traffic.traces.file import InvocationTrace
from traffic.traces.lines import TraceError
from traffic.traces.replay import Replay
from traffic.traces.synthetic import App, Function, Population

APPS = 8000


@pytest.fixture(scope="module")
def drawn() -> Population:
    return synthetic.population(APPS, Random(1))


def share(values: list[float], most: float) -> float:
    return sum(value <= most for value in values) / len(values)


def test_half_of_the_apps_have_one_function_and_few_have_more_than_ten(drawn: Population) -> None:
    sizes = list(Counter(function.of.app for function in drawn.functions).values())
    assert share(sizes, 1) == pytest.approx(0.54, abs=0.023)
    assert share(sizes, 10) == pytest.approx(0.95, abs=0.01)
    assert 0 < sum(size > 100 for size in sizes) < 12, "0.04 % are 3 of 8,000"


def test_rates_of_apps_are_skewed_over_eight_orders_of_magnitude(drawn: Population) -> None:
    rates = [app.per_day for app in drawn.apps]
    assert share(rates, 24) == pytest.approx(0.45, abs=0.023), "once an hour or less"
    assert share(rates, 1440) == pytest.approx(0.814, abs=0.018), "less than once a minute"
    assert math.log10(max(rates) / min(rates)) > 8
    frequent = sum(rate for rate in rates if rate >= 1440) / sum(rates)
    assert frequent == pytest.approx(synthetic.MINUTELY_APPS_INVOCATIONS, abs=0.004)


def test_average_durations_are_log_normal(drawn: Population) -> None:
    logarithms = [math.log(function.durations.average_ms / 1000) for function in drawn.functions]
    assert fmean(logarithms) == pytest.approx(-0.38, abs=0.06)
    assert pstdev(logarithms) == pytest.approx(2.36, abs=0.05)
    shares = [share(logarithms, -0.38 + 2.36 * deviations) for deviations in (-1, 0, 1)]
    assert shares == pytest.approx([0.1587, 0.5, 0.8413], abs=0.015)


def test_longest_durations_are_as_published(drawn: Population) -> None:
    longest_s = [function.durations.percentiles_ms[-1] / 1000 for function in drawn.functions]
    assert share(longest_s, 3) == pytest.approx(0.5, abs=0.05)
    assert share(longest_s, 60) == pytest.approx(0.9, abs=0.02)


def test_memory_of_apps_has_a_burr_distribution(drawn: Population) -> None:
    averages = [app.memory.average_mb for app in drawn.apps]
    c, k, scale = 11.652, 0.221, 107.083
    for at_mb in (90, 110, 140, 200, 400):
        assert share(averages, at_mb) == pytest.approx(1 - (1 + (at_mb / scale) ** c) ** -k, abs=0.023)


def test_triggers_are_as_often_as_published(drawn: Population) -> None:
    counted = Counter(function.trigger for function in drawn.functions)
    shares = {trigger: 100 * counted[trigger] / len(drawn.functions) for trigger in synthetic.TRIGGERS}
    assert shares == pytest.approx({"http": 55.0, "queue": 15.2, "timer": 15.6, "event": 2.2, "orchestration": 6.9,
                                    "storage": 2.8, "others": 2.2}, abs=1.2)  # fmt: skip
    assert set(synthetic.TRIGGERS) == set(azure_2019.TRIGGERS)


def _function(trigger: str, per_day: float) -> Function:
    app = App("owner", "app", per_day, azure_2019.Memory(100.0, (100.0,) * 8))
    return Function(app, synthetic.FunctionId("app", "f"), trigger, per_day, 100.0)


@pytest.mark.parametrize("per_day", [5, 200, 3000, 500_000])
def test_a_function_is_invoked_as_often_as_its_rate_says(per_day: float) -> None:
    rng = Random(2)
    days = [sum(synthetic.day_of(_function("http", per_day), rng).counts) for _ in range(40)]
    assert fmean(days) == pytest.approx(per_day, abs=5 * math.sqrt(per_day / 40))


def test_half_of_the_peak_is_there_at_all_hours() -> None:
    counts = synthetic.day_of(_function("http", 2e6), Random(3)).counts
    hours = [sum(counts[60 * hour : 60 * hour + 60]) for hour in range(24)]
    assert min(hours) / max(hours) == pytest.approx(0.5, abs=0.03)


def test_timers_fire_at_equal_gaps() -> None:
    counts = synthetic.day_of(_function("timer", 48), Random(4)).counts
    fired = [minute for minute, count in enumerate(counts) if count]
    assert {later - earlier for earlier, later in pairwise(fired)} == {30}
    assert len(fired) == 48


def test_files_of_2019_are_read_as_they_were_written(tmp_path: Path) -> None:
    population = synthetic.population(30, Random(5), 20_000)
    paths = writing.write_2019(tmp_path, population, 2, Random(6))
    assert [path.name for path in paths] == [
        name.format(day=day)
        for day in (1, 2)
        for name in (azure_2019.COUNTS_FILE, azure_2019.DURATIONS_FILE, azure_2019.MEMORY_FILE)
    ]
    trace = InvocationTrace.at(paths[0])
    by_id = {function.id: function for function in population.functions}
    totals = trace.totals()
    assert set(totals) <= set(by_id)
    assert all(totals.values()), "who is not invoked is not in a day's file"
    durations, memory = trace_file.durations(paths[1]), trace_file.memory(paths[2])
    assert trace.beside(azure_2019.DURATIONS_FILE) == paths[1]
    assert durations.left.count == memory.left.count == 0
    assert set(durations.by_function) == set(totals)
    for function, known in durations.by_function.items():
        assert known.average_ms == pytest.approx(by_id[function].durations.average_ms, abs=0.001)
        assert memory.by_app[function.app].average_mb == pytest.approx(by_id[function].of.memory.average_mb, abs=0.001)


def test_files_of_2021_are_read_as_they_were_written(tmp_path: Path) -> None:
    population = synthetic.population(20, Random(5), 5000)
    (path,) = writing.write_2021(tmp_path, population, 1, Random(6))
    trace = InvocationTrace.at(path)
    assert trace.year == 2021
    found = trace.draw(None, Replay(), Random(7))
    assert found.counted.invocations == sum(trace.totals().values()) == len(found.arrivals) > 1000
    assert found.counted.begun_before == 0
    busiest = max(population.functions, key=lambda function: trace.totals().get(function.id, 0))
    took_ms = [of.amount for of in trace.draw([1], Replay(), Random(7)).arrivals if of.amount is not None]
    assert median(took_ms) == pytest.approx(busiest.median_ms, rel=0.2, abs=1)


def test_one_seed_makes_one_trace(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        paths = writing.write_2019(tmp_path / name, synthetic.population(5, Random(8)), 1, Random(9))
        texts.append([path.read_text() for path in paths])
    assert texts[0] == texts[1]


def test_nothing_is_written_over_and_nothing_too_large_is_written(tmp_path: Path) -> None:
    population = synthetic.population(3, Random(1), 100)
    writing.write_2021(tmp_path, population, 1, Random(1))
    with pytest.raises(TraceError, match="is there already; name another folder"):
        writing.write_2021(tmp_path, population, 1, Random(1))
    huge = Population((_function("http", 1e9),))
    with pytest.raises(TraceError, match=r"about 1,000,000,000 rows, and 5,000,000 are the most"):
        writing.write_2021(tmp_path / "huge", huge, 1, Random(1))
