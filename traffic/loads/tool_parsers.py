"""What load generators that others wrote print at their end, as figures with units in their names.

Pure. Owns the forms of `wrk --latency` and `iperf3 --json`; of any other tool, or of output that was cut short, there
are no figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

Figures = dict[str, float]

_IN_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_WRK_LATENCY = re.compile(r"^ {4}Latency\s+([\d.]+)(us|ms|s|m)\s", re.MULTILINE)
_WRK_PERCENTILE = re.compile(r"^\s+(50|75|90|99)%\s+([\d.]+)(us|ms|s|m)$", re.MULTILINE)
_WRK_REQUESTS = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)
_WRK_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
_WRK_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_WRK_BAD_ANSWERS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_IPERF3_FIGURES = {"bits_per_second": "bits_per_s", "bytes": "bytes", "jitter_ms": "jitter_ms",
                   "lost_percent": "lost_percent"}  # fmt: skip


def figures(program: str, output: str) -> Figures:
    """Return the figures that a tool's output ends with; none if it is not known."""
    reader = _READERS.get(PurePath(program).name)
    return reader(output) if reader else {}


def _wrk(output: str) -> Figures:
    requests, rate = _WRK_REQUESTS.search(output), _WRK_RATE.search(output)
    if requests is None or rate is None:
        return {}
    errors, bad_answers = _WRK_ERRORS.search(output), _WRK_BAD_ANSWERS.search(output)
    found: Figures = {"requests": int(requests[1]), "requests_per_s": float(rate[1])}
    if mean := _WRK_LATENCY.search(output):
        found["latency_mean_ms"] = round(float(mean[1]) * _IN_MS[mean[2]], 6)
    for percent, value, unit in _WRK_PERCENTILE.findall(output):
        found[f"latency_p{percent}_ms"] = round(float(value) * _IN_MS[unit], 6)
    found["socket_errors"] = sum(map(int, errors.groups())) if errors else 0
    found["bad_answers"] = int(bad_answers[1]) if bad_answers else 0
    return found


def _iperf3(output: str) -> Figures:
    try:
        end = json.loads(output[output.index("{") :])["end"]
        total = end.get("sum") or end["sum_received"]
    except (ValueError, KeyError, TypeError):
        return {}
    found = {name: float(total[key]) for key, name in _IPERF3_FIGURES.items() if _is_number(total.get(key))}
    retransmits = end.get("sum_sent", {}).get("retransmits")
    return {**found, **({"retransmits": retransmits} if _is_number(retransmits) else {})}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_READERS: Mapping[str, Callable[[str], Figures]] = {"wrk": _wrk, "iperf3": _iperf3}
