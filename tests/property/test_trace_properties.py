"""What holds of traces of invocations whatever is in them, and however they are replayed."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.trace_samples import counts_text, durations_text, invocations_text
from traffic.traces import azure_2019, azure_2021, replay
from traffic.traces.functions import chosen, ranked
from traffic.traces.lines import TraceError
from traffic.traces.replay import Counted, Replay, Spread

NAMES = st.text("abcdef", min_size=4, max_size=6)
DAYS = st.dictionaries(NAMES, st.dictionaries(st.integers(1, 1440), st.integers(0, 30), max_size=8), max_size=4)
ROWS = st.lists(st.tuples(NAMES, st.floats(0, 9000), st.floats(0, 600)), max_size=30)
REPLAYS = st.builds(
    Replay,
    first_minute=st.integers(1, 1440),
    minutes=st.none() | st.integers(1, 1440),
    speed=st.floats(0.1, 1000),
    load=st.sampled_from([1.0, 2.0]),
    spread=st.sampled_from(Spread),
)
SEEDS = st.integers(0, 2**32)


@given(DAYS, REPLAYS, SEEDS)
def test_counts_are_kept_and_stay_in_the_window(functions, of, seed):
    days = list(azure_2019.read_counts(counts_text(functions).splitlines(keepends=True), "day.csv"))
    last = 1440 if of.minutes is None else of.first_minute + of.minutes - 1
    wanted = sum(
        count for counts in functions.values() for minute, count in counts.items() if of.first_minute <= minute <= last
    )
    counted = Counted()
    ids = {day.function for day in days}
    arrivals = replay.in_order(replay.of_counts(days, ids, of, Random(seed), counted), "day.csv")
    assert counted.invocations == wanted
    assert len(arrivals) == wanted * of.load
    assert all(0 <= arrival.offset_s * of.speed <= 60 * (last - of.first_minute + 1) + 1e-6 for arrival in arrivals)
    assert arrivals == sorted(arrivals, key=lambda arrival: arrival.offset_s)


@given(ROWS, REPLAYS, SEEDS)
def test_single_invocations_are_kept_with_their_durations(rows, of, seed):
    read = list(azure_2021.read(invocations_text(rows).splitlines(keepends=True), "trace.txt"))
    assert [(one.function.function, one.end_s, one.duration_s) for one in read] == rows
    counted = Counted()
    ids = {one.function for one in read}
    arrivals = list(replay.of_invocations(read, ids, of, Random(seed), counted))
    inside = [one for one in read if one.begin_s >= 0 and of.begin_s <= one.begin_s < of.end_s]
    assert counted.invocations == len(inside)
    assert counted.begun_before == sum(one.begin_s < 0 for one in read)
    assert len(arrivals) == len(inside) * of.load
    assert all(arrival.offset_s >= 0 for arrival in arrivals)
    assert (
        sum(arrival.amount for arrival in arrivals) * of.speed
        <= of.load * 1000.001 * sum(one.duration_s for one in inside) + 1e-6
    )


@given(DAYS.filter(bool))
def test_every_function_is_found_by_its_rank_and_by_its_name(functions):
    totals = {
        day.function: sum(day.counts)
        for day in azure_2019.read_counts(counts_text(functions).splitlines(keepends=True), "day.csv")
    }
    order = ranked(totals)
    assert [totals[function] for function in order] == sorted(totals.values(), reverse=True)
    for rank, function in enumerate(order, 1):
        assert chosen([rank], totals, "day.csv") == {function}
        assert chosen([function.function], totals, "day.csv") == {function}


@given(st.lists(st.floats(0, 1e6), min_size=7, max_size=7).map(sorted), SEEDS)
def test_durations_are_between_the_least_and_the_most(percentiles, seed):
    read = azure_2019.read_durations(durations_text({"f": percentiles}).splitlines(keepends=True), "durations.csv")
    (known,) = read.by_function.values()
    rng = Random(seed)
    assert all(percentiles[0] <= known.draw(rng) <= percentiles[-1] for _ in range(50))


@given(st.sampled_from(["counts", "durations", "rows"]), st.integers(0, 10_000), st.text(max_size=8), st.integers(0, 9))
def test_whatever_is_changed_in_a_file_is_read_or_refused_in_one_line(kind, at, put, cut):
    text = {
        "counts": counts_text({"abcd": {1: 3}}),
        "durations": durations_text({"abcd": range(7)}),
        "rows": invocations_text([("abcd", 7.0, 1.0)]),
    }[kind]
    at %= len(text)
    lines = (text[:at] + put + text[at + cut :]).splitlines(keepends=True)
    try:
        if kind == "counts":
            list(azure_2019.read_counts(lines, "a file"))
        elif kind == "durations":
            azure_2019.read_durations(lines, "a file")
        else:
            list(azure_2021.read(lines, "a file"))
    except TraceError as error:
        assert str(error).startswith("a file line ")
        assert len(str(error).splitlines()) == 1
