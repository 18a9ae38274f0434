"""When flows begin: open-loop arrival processes, drawn before a run, so that each policy faces the same load.

Pure but for `trace`, which reads its file. Owns the processes and the check of their settings; knows nothing
of what arrives. A process is a generator function of a window and a random source whose keyword-only
parameters are its settings: `float` ones positive numbers, `str` ones text. A new process is one such
function under `@arrival_process`.
"""

from __future__ import annotations

import csv
import difflib
import inspect
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import InputError

ProcessFunction = Callable[..., Iterator[float]]
PROCESSES: dict[str, ProcessFunction] = {}


class ArrivalsError(InputError):
    """An arrival process that cannot be drawn; one line naming the key and the way out."""


@dataclass(frozen=True)
class Window:
    """The part of a run in which flows arrive, in seconds from the run's start; the end is not in it."""

    start_s: float
    end_s: float


def arrival_process(function: ProcessFunction) -> ProcessFunction:
    """Register an arrival process under its function's name."""
    PROCESSES[function.__name__] = function
    return function


def offsets(config: Mapping[str, object], duration_s: float, rng: random.Random) -> list[float]:
    """Draw the arrival times of one run, ascending, in seconds from its start.

    `config`: `process` (a name in PROCESSES), the settings of that process, and optionally the window
    `start_s` (default 0) and `end_s` (default `duration_s`). Raises ArrivalsError.
    """
    settings = dict(config)
    function = _process(settings.pop("process", None))
    window = _window(settings.pop("start_s", 0.0), settings.pop("end_s", duration_s), duration_s)
    return list(function(window, rng, **_checked(function, settings)))


@arrival_process
def poisson(window: Window, rng: random.Random, *, rate_per_s: float) -> Iterator[float]:
    """Yield arrivals with independent, exponentially distributed gaps."""
    time_s = window.start_s
    while (time_s := time_s + rng.expovariate(rate_per_s)) < window.end_s:
        yield time_s


@arrival_process
def constant(window: Window, rng: random.Random, *, rate_per_s: float) -> Iterator[float]:  # noqa: ARG001
    """Yield arrivals at equal gaps, the first at the start of the window."""
    count = 0
    while (time_s := window.start_s + count / rate_per_s) < window.end_s:
        yield time_s
        count += 1


@arrival_process
def on_off(window: Window, rng: random.Random, *, rate_per_s: float, on_s: float, off_s: float) -> Iterator[float]:
    """Yield a Poisson process that is switched on and off for exponentially distributed periods.

    `on_s`, `off_s`: mean periods. The mean rate is `rate_per_s`·on/(on+off) from the first moment on, since the
    first state is drawn from the stationary distribution.
    """
    is_on = rng.random() < on_s / (on_s + off_s)
    time_s = window.start_s
    while time_s < window.end_s:
        period_end_s = time_s + rng.expovariate(1 / (on_s if is_on else off_s))
        if is_on:
            yield from poisson(Window(time_s, min(period_end_s, window.end_s)), rng, rate_per_s=rate_per_s)
        time_s = period_end_s
        is_on = not is_on


@arrival_process
def trace(window: Window, rng: random.Random, *, path: str, column: str = "offset_s") -> Iterator[float]:  # noqa: ARG001
    """Yield the times in one column of a CSV file, counted from the start of the window, sorted."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            recorded = list(_column(csv.DictReader(stream), path, column))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a UTF-8 text file"
        raise ArrivalsError(f"path: cannot read trace {path}: {reason}") from None
    for offset_s in sorted(recorded):
        if window.start_s + offset_s < window.end_s:
            yield window.start_s + offset_s


def _column(rows: csv.DictReader[str], path: str, column: str) -> Iterator[float]:
    if column not in (rows.fieldnames or ()):
        there_are = ", ".join(rows.fieldnames or ()) or "none"
        raise ArrivalsError(f"column: trace {path} has no column {column!r}; its columns: {there_are}")
    for row in rows:
        try:
            offset_s = float(row[column])
        except (TypeError, ValueError):
            offset_s = math.nan
        if not 0 <= offset_s < math.inf:
            raise ArrivalsError(
                f"path: trace {path} line {rows.line_num}: {column} must be seconds >= 0, not {row[column]!r}"
            )
        yield offset_s


def _process(name: object) -> ProcessFunction:
    if name is None:
        raise ArrivalsError(f"process: missing; one of {', '.join(PROCESSES)}")
    if not isinstance(name, str) or name not in PROCESSES:
        raise ArrivalsError(f"process: no arrival process {name!r}{_hint(str(name), PROCESSES)}")
    return PROCESSES[name]


def _window(start_s: object, end_s: object, duration_s: float) -> Window:
    for key, value in (("start_s", start_s), ("end_s", end_s)):
        if not _is_number(value) or not 0 <= value <= duration_s:  # type: ignore[operator]
            raise ArrivalsError(f"{key}: must be within the run, 0..{duration_s:g} s, not {value!r}")
    window = Window(float(start_s), float(end_s))  # type: ignore[arg-type]
    if window.start_s >= window.end_s:
        raise ArrivalsError(f"end_s: must be later than start_s ({window.start_s:g}), not {window.end_s:g}")
    return window


def _checked(function: ProcessFunction, settings: Mapping[str, object]) -> dict[str, object]:
    """Check settings against the keyword-only parameters of a process."""
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    name_of = function.__name__
    for key, value in settings.items():
        if key not in parameters:
            raise ArrivalsError(f"{key}: {name_of!r} arrivals have no such key{_hint(key, parameters)}")
        if parameters[key].annotation == "float" and not (_is_number(value) and 0 < value < math.inf):  # type: ignore[operator]
            raise ArrivalsError(f"{key}: must be a number > 0, not {value!r}")
        if parameters[key].annotation == "str" and not isinstance(value, str):
            raise ArrivalsError(f"{key}: must be text, not {value!r}")
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in settings:
            raise ArrivalsError(f"{key}: missing; {name_of!r} arrivals need it")
    return dict(settings)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _hint(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known)}"
