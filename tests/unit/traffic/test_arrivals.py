"""Arrival processes: their settings and what they reject."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from traffic.arrivals.processes import ArrivalsError, offsets


def draw(duration_s: float = 10.0, **config: object) -> list[float]:
    return offsets(config, duration_s, random.Random(1))


def test_constant_arrivals_fill_the_window_without_drift():
    assert draw(process="constant", rate_per_s=10, start_s=1, end_s=1.5) == pytest.approx([1, 1.1, 1.2, 1.3, 1.4])
    assert draw(duration_s=1000, process="constant", rate_per_s=3)[2999] == 2999 / 3


def test_a_trace_is_sorted_shifted_and_cut_to_the_window(tmp_path: Path):
    path = tmp_path / "trace.csv"
    path.write_text("user,when\na,3.5\nb,0.25\nc,9\n")
    assert draw(process="trace", path=str(path), column="when", start_s=2) == [2.25, 5.5]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "process: missing; one of poisson, constant, on_off, trace"),
        ({"process": "poison", "rate_per_s": 1}, "process: no arrival process 'poison'; did you mean 'poisson'?"),
        ({"process": "poisson"}, "rate_per_s: missing; 'poisson' arrivals need it"),
        ({"process": "poisson", "rate_per_s": 0}, "rate_per_s: must be a number > 0, not 0"),
        ({"process": "poisson", "rate_per_s": "9"}, "rate_per_s: must be a number > 0, not '9'"),
        ({"process": "poisson", "rate_per_s": True}, "rate_per_s: must be a number > 0, not True"),
        ({"process": "poisson", "rate_per_s": float("nan")}, "rate_per_s: must be a number > 0, not nan"),
        ({"process": "poisson", "rate_per_s": 1, "on_s": 2}, "on_s: 'poisson' arrivals have no such key"),
        ({"process": "poisson", "rate_pers": 1}, "rate_pers: .* did you mean 'rate_per_s'"),
        ({"process": "constant", "rate_per_s": 1, "end_s": 11}, r"end_s: must be within the run, 0..10 s, not 11"),
        ({"process": "constant", "rate_per_s": 1, "start_s": -1}, r"start_s: must be within the run"),
        (
            {"process": "constant", "rate_per_s": 1, "start_s": 5, "end_s": 5},
            r"end_s: must be later than start_s \(5\)",
        ),
        ({"process": "trace", "path": 7}, "path: must be text, not 7"),
        ({"process": "trace", "path": "/nowhere/t.csv"}, "path: cannot read trace /nowhere/t.csv: No such file"),
    ],
)
def test_errors_name_the_key(config: dict[str, object], message: str):
    with pytest.raises(ArrivalsError, match=message):
        draw(**config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"t\n1\n", "column: trace .* has no column 'offset_s'; its columns: t"),
        (b"", "its columns: none"),
        (b"offset_s\n1\nlate\n", "line 3: offset_s must be seconds >= 0, not 'late'"),
        (b"offset_s\n-1\n", "line 2: offset_s must be seconds >= 0, not '-1'"),
        (b"offset_s\n\xff\n", "not a UTF-8 text file"),
    ],
)
def test_errors_name_the_line_of_a_trace(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    with pytest.raises(ArrivalsError, match=message):
        draw(process="trace", path=str(path))
