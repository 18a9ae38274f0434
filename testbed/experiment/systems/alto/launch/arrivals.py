"""When functions are invoked: by the stage's arrival processes, or as a trace of invocations says.

Owns what keys of a scenario mean to a trace, and which key an error is of.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed.experiment.launch import generators
from testbed.experiment.systems.alto.keys.arrivals import InvocationsKeys, InvokeArrivalKeys
from testbed.experiment.systems.alto.keys.workload import InvokeKeys
from testbed.experiment.systems.alto.plan.plan import MOST_INVOCATIONS_PER_CLIENT_PER_S, AltoPlan
from traffic.arrivals.file import Arrival
from traffic.arrivals.processes import ArrivalsError
from traffic.traces import file as trace_file
from traffic.traces.file import Drawn, InvocationTrace
from traffic.traces.lines import TraceError

Traced = Callable[[InvokeKeys, Drawn], None]
_KEY = re.compile(r"(functions\[\d+\]|first_minute|load): ")  # that an error of a trace may begin with


def drawn(
    plan: AltoPlan, number: int, workload: InvokeKeys, rng: random.Random, base: Path, traced: Traced
) -> Sequence[Arrival]:
    """Draw the arrivals of a workload; `base`: what paths are relative to. `traced` takes what a trace had.

    Raises ArrivalsError naming the key.
    """
    found = _traced(plan, number, workload, rng, base)
    if found is not None:
        traced(workload, found)
        return found.arrivals
    return [Arrival(offset_s, None) for offset_s in generators.offsets_s(plan, number, rng, base)]


def _traced(plan: AltoPlan, number: int, workload: InvokeKeys, rng: random.Random, base: Path) -> Drawn | None:
    """Return the arrivals that a trace of invocations has; None where there is no such trace."""
    keys, place = workload.arrivals, f"workloads[{number}].arrivals"
    if keys.process != "trace" or keys.path is None:
        return None
    path = base / keys.path
    try:
        if keys.invocations is None and trace_file.year_of(path) is None:
            return None  # a column of offsets
        trace = InvocationTrace.at(path)
    except TraceError as error:
        raise ArrivalsError(f"{place}.path: {error}") from error
    found = _drawn(place, trace, keys, plan.scenario.duration_s, rng, base)
    _check_rate(place, found, _window_s(keys, plan.scenario.duration_s), len(plan.clients_of(workload)))
    return found


def _drawn(
    place: str, trace: InvocationTrace, keys: InvokeArrivalKeys, duration_s: float, rng: random.Random, base: Path
) -> Drawn:
    of = keys.invocations or InvocationsKeys()
    length_s = _window_s(keys, duration_s)
    try:
        durations = None if of.durations is None else trace_file.durations(base / of.durations)
    except TraceError as error:
        raise ArrivalsError(f"{place}.invocations.durations: {error}") from error
    if of.duration_parameter is not None and durations is None and trace.year == 2019:
        raise ArrivalsError(f"{place}.invocations.durations: a trace of 2019 has them in a file of its own; name it")
    try:
        found = trace.draw(of.functions, of.replay().until(length_s), rng, durations)
    except TraceError as error:
        key = f"{place}.invocations." if _KEY.match(str(error)) else f"{place}.path: "
        raise ArrivalsError(f"{key}{error}") from error
    kept = [
        Arrival(keys.start_s + offset_s, amount if of.duration_parameter else None)
        for offset_s, amount in found.arrivals
        if offset_s < length_s
    ]
    return Drawn(kept, found.functions, found.counted, found.notes)


def _window_s(keys: InvokeArrivalKeys, duration_s: float) -> float:
    end_s: float = min(keys.end_s or duration_s, duration_s)
    return end_s - keys.start_s


def _check_rate(place: str, found: Drawn, window_s: float, clients: int) -> None:
    """Refuse more load than the generators can send on average: the numbers would be theirs, not the network's."""
    rate_per_s, most_per_s = len(found.arrivals) / window_s, MOST_INVOCATIONS_PER_CLIENT_PER_S * clients
    if rate_per_s > most_per_s:
        raise ArrivalsError(
            f"{place}.invocations.load: {rate_per_s:,.0f} invocations/s from {clients} client(s) are more than their "
            f"generators can send ({most_per_s:g}); lower load or speed, or add clients"
        )
