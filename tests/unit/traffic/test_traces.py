"""Traces of invocations: what is read, which functions are taken, when they are invoked, and what is refused."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.trace_samples import DURATIONS_NAME, counts_file, counts_text, durations_text, invocations_file
from traffic.traces import azure_2019
from traffic.traces import file as trace_file
from traffic.traces.azure_2019 import COUNTS_COLUMNS
from traffic.traces.file import Drawn, InvocationTrace
from traffic.traces.functions import FunctionId, ranked
from traffic.traces.lines import LONGEST, TraceError
from traffic.traces.replay import Replay, Spread

DAY = {"aaaa1111": {1: 2, 3: 1}, "bbbb2222": {1: 4, 2: 4, 1440: 1}, "cccc3333": {2: 1}}


def drawn(path: Path, wanted: Any = None, seed: int = 1, **replay: Any) -> Drawn:
    return InvocationTrace.at(path).draw(wanted, Replay(**replay), Random(seed))


def offsets(of: Drawn) -> list[float]:
    return [arrival.offset_s for arrival in of.arrivals]


def test_functions_are_ranked_by_how_often_they_are_invoked(tmp_path: Path) -> None:
    totals = InvocationTrace.at(counts_file(tmp_path, DAY)).totals()
    assert [function.function for function in ranked(totals)] == ["bbbb2222", "aaaa1111", "cccc3333"]
    assert sum(totals.values()) == 13


def test_a_function_in_two_rows_is_one(tmp_path: Path) -> None:
    path = counts_file(tmp_path, DAY)
    path.write_text(path.read_text() + counts_text({"cccc3333": {2: 20}}).partition("\n")[2])
    totals = InvocationTrace.at(path).totals()
    assert totals[FunctionId("app-cccc3333", "cccc3333")] == 21
    assert drawn(path, [1]).counted.invocations == 21


@pytest.mark.parametrize(
    ("wanted", "invocations"),
    [(None, 13), ([1], 9), ([1, 3], 10), (["aaaa"], 3), (["app-aaaa1111/aaaa1111", 3], 4), (["app-b/bbbb2222"], 9)],
)
def test_functions_are_taken_by_rank_by_hash_or_all(tmp_path: Path, wanted: Any, invocations: int) -> None:
    found = drawn(counts_file(tmp_path, DAY), wanted)
    assert len(found.arrivals) == found.counted.invocations == invocations


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([4], r"functions\[0\]: there is no rank 4; .*d01.csv has 3 functions"),
        (["ffff"], r"functions\[0\]: no function of .* has a hash that begins with 'ffff'"),
        (["app-/"], r"functions\[0\]: 3 functions of .* are 'app-/'; say which, as APP/FUNCTION"),
        ([1, "bbbb"], r"functions\[1\]: 'bbbb' is the function of functions\[0\], too"),
    ],
)
def test_functions_that_are_not_there_are_named_by_their_key(tmp_path: Path, wanted: Any, said: str) -> None:
    with pytest.raises(TraceError, match=said):
        drawn(counts_file(tmp_path, DAY), wanted)


def test_an_invocation_is_in_its_minute_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    path = counts_file(tmp_path, DAY)
    found = offsets(drawn(path))
    assert [sum(60 * minute <= at < 60 * minute + 60 for at in found) for minute in (0, 1, 2, 1439)] == [6, 5, 1, 1]
    assert found == offsets(drawn(path)) != offsets(drawn(path, seed=2))


def test_uniform_invocations_have_equal_gaps(tmp_path: Path) -> None:
    assert offsets(drawn(counts_file(tmp_path, DAY), [1], minutes=1, spread=Spread.UNIFORM)) == [7.5, 22.5, 37.5, 52.5]


def test_a_window_is_cut_out_and_time_is_compressed(tmp_path: Path) -> None:
    found = offsets(drawn(counts_file(tmp_path, DAY), first_minute=2, minutes=2, speed=60))
    assert len(found) == 6
    assert all(0 <= at < 1 for at in found[:5]) and 1 <= found[5] < 2


def test_load_is_scaled_on_average(tmp_path: Path) -> None:
    path = counts_file(tmp_path, {"aaaa1111": dict.fromkeys(range(1, 1441), 10)})
    assert len(drawn(path, load=2).arrivals) == 28_800
    assert len(drawn(path, load=0.1).arrivals) == pytest.approx(1440, abs=180)  # 5 deviations
    assert len(drawn(path, load=1.5, minutes=100).arrivals) == pytest.approx(1500, abs=80)


ROWS = [("aaaa1111", 100.5, 0.5), ("bbbb2222", 70.0, 20.0), ("aaaa1111", 61.0, 62.0), ("aaaa1111", 65.0, 0.0)]


def test_single_invocations_begin_before_they_end_in_whatever_order_they_stand(tmp_path: Path) -> None:
    found = drawn(invocations_file(tmp_path, ROWS))
    assert [(arrival.offset_s, arrival.amount) for arrival in found.arrivals] == [(50, 20_000), (65, 0), (100, 500)]
    assert found.counted.begun_before == 1
    assert "3 invocations of 2 functions become 3; 1 that began before the trace are left out" in str(found)


def test_durations_are_shortened_as_time_is(tmp_path: Path) -> None:
    found = drawn(invocations_file(tmp_path, ROWS), ["aaaa"], first_minute=2, speed=10)
    assert [(arrival.offset_s, arrival.amount) for arrival in found.arrivals] == [(0.5, 0), (4, 50)]


def test_copies_of_single_invocations_begin_in_the_same_minute(tmp_path: Path) -> None:
    found = offsets(drawn(invocations_file(tmp_path, [("aaaa1111", 100.0, 0.0)]), load=50))
    assert len(found) == 50 and 100.0 in found
    assert all(60 <= at < 120 for at in found) and max(found) - min(found) > 20


def test_durations_of_2019_are_drawn_between_percentiles(tmp_path: Path) -> None:
    path = counts_file(tmp_path, {"aaaa1111": {1: 20_000}, "bbbb2222": {1: 7}})
    (tmp_path / DURATIONS_NAME).write_text(durations_text({"aaaa1111": (1, 2, 10, 20, 30, 98, 100)}))
    durations = trace_file.durations(tmp_path / DURATIONS_NAME)
    found = InvocationTrace.at(path).draw(None, Replay(), Random(1), durations)
    drawn_ms = sorted(arrival.amount for arrival in found.arrivals if arrival.amount is not None)
    assert found.counted.without_duration == 7 and len(drawn_ms) == 20_000
    assert drawn_ms[0] >= 1 and drawn_ms[-1] <= 100
    assert [drawn_ms[at] for at in (5000, 10_000, 15_000)] == pytest.approx([10, 20, 30], rel=0.05)


def test_durations_that_contradict_themselves_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / DURATIONS_NAME
    path.write_text(durations_text({"good": range(7), "falls": (0, 1, 2, 9, 3, 4, 5), "below": range(-1, 6)}))
    found = trace_file.durations(path)
    assert [function.function for function in found.by_function] == ["good"]
    assert str(found.left) == f"{path}: 2 rows contradict themselves and are left out, first line 3"


BAD_COUNTS = {  # what is replaced, once; by what; what is said
    "a hole": ("http,2,", "http,,", "line 2: 1 must be a whole number >= 0, not ''"),
    "below zero": ("http,2,", "http,-2,", "line 2: 1 must be a whole number >= 0, not '-2'"),
    "no number": ("http,2,0", "http,2,nan", "line 2: 2 must be a whole number >= 0, not 'nan'"),
    "a part": ("http,2,", "http,2.5,", "line 2: 1 must be a whole number >= 0, not '2.5'"),
    "too much": ("http,2,", f"http,{2**64},", "line 2: 1 must be a whole number >= 0"),
    "an octet of nothing": ("http,2,", "http,\0,", "line 2: "),
    "a short row": ("http,2,", "http,", "line 2: 1440 is missing; there are 1443 of 1444 columns"),
    "a long row": ("http,2,", "http,2,7,", "line 2: 1445 columns, and the header has 1444"),
    "no hash": ("app-cccc3333,cccc3333", "app-cccc3333,", "line 4: HashFunction must be a hash"),
    "minutes backwards": ("Trigger,1,2,", "Trigger,2,1,", "line 1: column 5 must be '1', not '2'"),
    "a minute is missing": (",1440\n", "\n", "line 1: column 1444 must be '1440', not nothing"),
    "another name": ("HashOwner", "Owner", "line 1: no trace of invocations; its columns must"),
    "a column more": ("1440\n", "1440,more\n", "line 1: a column 'more' too many"),
    "an endless line": ("http,2,", f"http,{'7' * LONGEST},", f"line 2: longer than {LONGEST:,} characters"),
}


@pytest.mark.parametrize("name", BAD_COUNTS)
def test_what_is_wrong_with_counts_is_named_by_line_and_column(tmp_path: Path, name: str) -> None:
    old, new, said = BAD_COUNTS[name]
    path = counts_file(tmp_path, DAY)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(TraceError) as caught:
        drawn(path)
    assert str(path) in str(caught.value) and said in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < len(str(path)) + 250


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "line 1: no trace of invocations"), (",".join(COUNTS_COLUMNS) + "\n", "no function is in it")],
)
def test_a_trace_of_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "empty.csv").write_text(text)
    with pytest.raises(TraceError, match=said):
        drawn(tmp_path / "empty.csv")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("app,f,1.5,-0.1", "line 2: duration must be a number >= 0, not '-0.1'"),
        ("app,f,nan,1", "line 2: end_timestamp must be a number >= 0, not 'nan'"),
        ("app,f,inf,1", "line 2: end_timestamp must be a number >= 0, not 'inf'"),
        ("app,f,12:30,1", "line 2: end_timestamp must be a number >= 0, not '12:30'"),
        ("app,f,1", "line 2: duration is missing; there are 3 of 4 columns"),
        (",f,1,1", "line 2: app must be a hash, not ''"),
    ],
)
def test_what_is_wrong_with_single_invocations_is_named(tmp_path: Path, row: str, said: str) -> None:
    path = invocations_file(tmp_path, [])
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(TraceError) as caught:
        drawn(path)
    assert str(caught.value) == f"{path} {said}"


@pytest.mark.parametrize(
    ("replay", "said"),
    [
        ({"first_minute": 1441}, "first_minute: .* has 1440 minutes, not 1441"),
        ({"first_minute": 4, "minutes": 5}, "first_minute: none of the functions is invoked in minutes 4 to 8 of"),
        ({"load": 1e6}, "load: more than 1,000 invocations of .* lower load"),
    ],
)
def test_a_window_without_invocations_or_with_too_many_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replay: Any, said: str
) -> None:
    monkeypatch.setattr("traffic.traces.replay.MOST_ARRIVALS", 1000)
    with pytest.raises(TraceError, match=said):
        drawn(counts_file(tmp_path, DAY), **replay)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "packed.rar").write_bytes(b"Rar!\x1a\x07\x01\xff\xfe")
    with pytest.raises(TraceError, match=r"nowhere.csv: No such file or directory; is the path right"):
        InvocationTrace.at(tmp_path / "nowhere.csv")
    with pytest.raises(TraceError, match=r"packed.rar: not a UTF-8 text file; is it unpacked?"):
        InvocationTrace.at(tmp_path / "packed.rar")


def test_counts_without_limit_end_at_the_most_that_a_run_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traffic.traces.replay.MOST_ARRIVALS", 1000)
    path = counts_file(tmp_path, {"aaaa1111": {1: 2**64 - 1}})
    for load in (0.5, 1.0, 1.5):
        with pytest.raises(TraceError, match="more than"):
            drawn(path, load=load)


def test_the_columns_are_those_of_the_data_set() -> None:
    assert len(COUNTS_COLUMNS) == 1444 and COUNTS_COLUMNS[:5] == (
        "HashOwner",
        "HashApp",
        "HashFunction",
        "Trigger",
        "1",
    )
    assert azure_2019.DURATION_COLUMNS[-7:] == tuple(f"percentile_Average_{of}" for of in (0, 1, 25, 50, 75, 99, 100))
    assert azure_2019.MEMORY_COLUMNS[:5] == (
        "HashOwner", "HashApp", "SampleCount", "AverageAllocatedMb", "AverageAllocatedMb_pct1"
    )  # fmt: skip
