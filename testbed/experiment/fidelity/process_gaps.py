"""Did every process of a run go on all the time? The longest gap of its loop, while there was traffic.

Pure: takes the gaps that processes noted (`testbed.runtime.pulse`) and the windows in which planned faults end or halt
them. The longest is judged and no quantile: a client that meets a halted process meets it for the first time.
Thresholds are the constants below (docs/fidelity.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from testbed.experiment.fidelity.verdict import Fidelity
from testbed.runtime.pulse import Gap, Recorded

GAP_SUSPECT_MS, GAP_INVALID_MS = 200.0, 1000.0
_NAMED = 3  # processes that have a reason each


class Window(NamedTuple):
    """A time in which a planned fault ends or halts a process; `end_s` may be infinite."""

    begin_s: float
    end_s: float


Windows = Mapping[str, Sequence[Window]]  # by process


def assess_gaps(
    fidelity: Fidelity, pulses: Mapping[str, Recorded | None], traffic: Window, planned: Windows
) -> dict[str, float]:
    """Judge the processes that stood still longest; return the longest gap of each that did, in ms, the worst first.

    `pulses`: of each process that was to leave one, what it left.
    """
    silent = [name for name, pulse in pulses.items() if pulse is None or not pulse.has_ended]
    fidelity.miss("how long these processes stood still", [n for n in silent if not is_gone(planned.get(n, ()))])
    found: dict[str, Gap] = {}
    for name, pulse in pulses.items():
        gaps = _unplanned(pulse.gaps if pulse else (), traffic, planned.get(name, ()))
        if gaps:
            found[name] = max(gaps, key=_length_ms)
    ranked = sorted(found, key=lambda name: -_length_ms(found[name]))
    fidelity.note("process_gap_ms", _length_ms(found[ranked[0]]) if ranked else 0.0)
    for name in ranked[:_NAMED]:
        _assess_gap(fidelity, name, _length_ms(found[name]), found[name].begin_s - traffic.begin_s)
    return {name: round(_length_ms(found[name]), 1) for name in ranked}


def _assess_gap(fidelity: Fidelity, name: str, length_ms: float, at_s: float) -> None:
    if length_ms > GAP_SUSPECT_MS:
        is_long = length_ms > GAP_INVALID_MS
        limit_ms = GAP_INVALID_MS if is_long else GAP_SUSPECT_MS
        said = f"{name} stood still for {length_ms:.0f} ms at {at_s:.1f} s (limit {limit_ms:g})"
        fidelity.say("invalid" if is_long else "suspect", said)


def is_planned(time_s: float, windows: Sequence[Window]) -> bool:
    """Tell whether a moment lies within a window."""
    return any(window.begin_s <= time_s <= window.end_s for window in windows)


def is_gone(windows: Sequence[Window]) -> bool:
    """Tell whether a process need not be there in the end."""
    return any(window.end_s == math.inf for window in windows)


def _unplanned(gaps: Sequence[Gap], traffic: Window, planned: Sequence[Window]) -> list[Gap]:
    """Return what of gaps lies in the traffic and outside all planned windows."""
    left = [Gap(max(gap.begin_s, traffic.begin_s), min(gap.end_s, traffic.end_s)) for gap in gaps]
    for window in planned:
        before = [Gap(gap.begin_s, min(gap.end_s, window.begin_s)) for gap in left]
        after = [Gap(max(gap.begin_s, window.end_s), gap.end_s) for gap in left]
        left = [gap for gap in (*before, *after) if gap.end_s > gap.begin_s]
    return [gap for gap in left if gap.end_s > gap.begin_s]


def _length_ms(gap: Gap) -> float:
    return (gap.end_s - gap.begin_s) * 1e3
