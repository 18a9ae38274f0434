"""What load generators that others wrote print at their end, as figures with units in their names.

Pure. Owns the forms of `wrk --latency` and `iperf3 --json`; of any other tool, or of output that was cut short, there
are no figures. A figure is what the tool measured: what nobody measured, such as the latency of no answer or what
arrived at a receiver that did not say so, is left out, for such tools print 0.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

Figures = dict[str, float]


class ToolReport(NamedTuple):
    """What a tool says of its own run."""

    figures: Figures
    error: str = ""
    """Why it failed, by its own words, whatever its exit code."""


_NOTHING = ToolReport({})

_IN_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_WRK_LATENCY = re.compile(r"^ {4}Latency\s+([\d.]+)(us|ms|s|m|h)\s", re.MULTILINE)
_WRK_PERCENTILE = re.compile(r"^\s+(50|75|90|99)%\s+([\d.]+)(us|ms|s|m|h)$", re.MULTILINE)
_WRK_REQUESTS = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)
_WRK_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
_WRK_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_WRK_BAD_ANSWERS = re.compile(r"Non-2xx or 3xx responses: (\d+)")

_OBJECT = re.compile(r'\{(?=\s*")')
_RATE = {"bits_per_second": "bits_per_s", "bytes": "bytes"}
_SENT = {**{key: f"sent_{name}" for key, name in _RATE.items()}, "retransmits": "retransmits"}
_ARRIVAL = {"jitter_ms": "jitter_ms", "lost_percent": "lost_percent"}


def report(program: str, output: str) -> ToolReport:
    """Return what a tool's output says at its end; nothing if the tool is not known."""
    reader = _READERS.get(PurePath(program).name)
    try:
        return reader(output) if reader else _NOTHING
    except ValueError:  # a number of 5,000 digits, or with two points
        return _NOTHING


def _wrk(output: str) -> ToolReport:
    requests, rate = _WRK_REQUESTS.search(output), _WRK_RATE.search(output)
    if requests is None or rate is None:
        return _NOTHING
    errors, bad_answers = _WRK_ERRORS.search(output), _WRK_BAD_ANSWERS.search(output)
    found: Figures = {"requests": int(requests[1]), "requests_per_s": float(rate[1])}
    if found["requests"]:
        found |= _wrk_latency(output)
    found["socket_errors"] = sum(map(int, errors.groups())) if errors else 0
    found["bad_answers"] = int(bad_answers[1]) if bad_answers else 0
    return ToolReport(found)


def _wrk_latency(output: str) -> Figures:
    found: Figures = {}
    if mean := _WRK_LATENCY.search(output):
        found["latency_mean_ms"] = round(float(mean[1]) * _IN_MS[mean[2]], 6)
    for percent, value, unit in _WRK_PERCENTILE.findall(output):
        found[f"latency_p{percent}_ms"] = round(float(value) * _IN_MS[unit], 6)
    return found


def _iperf3(output: str) -> ToolReport:
    """Read what was sent, by the sender's word, what arrived, by the receiver's, and the error.

    A run that was broken off has the word of this side alone.
    """
    document = _iperf3_document(output)
    error = str(document.get("error") or "")
    end = _object(document, "end")
    receives = bool(_object(_object(document, "start"), "test_start").get("reverse"))
    found: Figures = {}
    if not error or receives:
        # The total `sum` has the octets that were sent beside the losses that the receiver counted.
        total_received = _object(end, "sum_received")
        found |= _figures(total_received, _RATE) | _figures(total_received or _object(end, "sum"), _ARRIVAL)
    if not error or not receives:
        total_sent = _object(end, "sum_sent") or _object(end, "sum")
        found |= _figures(total_sent, _SENT)
    return ToolReport(found, error)


def _iperf3_document(output: str) -> Mapping[str, Any]:
    """Return the last document in an output, also one printed event by event; an empty one if there is none."""
    last: Mapping[str, Any] = {}
    events: dict[str, Any] = {}
    for found in _objects(output):
        if isinstance(found.get("event"), str):
            events[found["event"]] = found.get("data")
            found = events
        if isinstance(found.get("end"), dict) or isinstance(found.get("error"), str):
            last = found
    return last


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects within a text, the outermost of those that are whole."""
    decoder, place = json.JSONDecoder(), 0
    while start := _OBJECT.search(text, place):
        try:
            found, place = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            place = start.end()
        else:
            yield found


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _figures(values: Mapping[str, Any], names: Mapping[str, str]) -> Figures:
    return {name: float(values[key]) for key, name in names.items() if _is_number(values.get(key))}


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


_READERS: Mapping[str, Callable[[str], ToolReport]] = {"wrk": _wrk, "iperf3": _iperf3}
