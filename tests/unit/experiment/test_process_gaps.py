"""Which gaps of processes spoil a run, and which a planned fault explains."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from testbed.experiment.fidelity.process_gaps import Window, Windows, assess_gaps
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.plan.planned_fault import PlannedFault
from testbed.experiment.systems.dyncast.faults.windows import START_S, planned_windows
from testbed.runtime.pulse import Gap, Recorded

_TRAFFIC = Window(100.0, 120.0)


def _assessed(
    *gaps: tuple[float, float], planned: Sequence[tuple[float, float]] = (), has_ended: bool = True
) -> Fidelity:
    pulses = {"dma@east": Recorded(tuple(Gap(*gap) for gap in gaps), has_ended), "control@east": Recorded((), True)}
    fidelity = Fidelity()
    windows: Windows = {"dma@east": [Window(*window) for window in planned]}
    assess_gaps(fidelity, pulses, _TRAFFIC, windows)
    return fidelity


@pytest.mark.parametrize(
    ("gap", "verdict", "length_ms"),
    [
        ((104.3, 104.4), "valid", 100),
        ((104.3, 104.6), "suspect", 300),
        ((104.3, 105.82), "invalid", 1520),
        ((99.0, 100.5), "suspect", 500),  # what lies before the traffic does no harm
        ((119.5, 125.0), "suspect", 500),
        ((90.0, 99.0), "valid", 0),
        ((121.0, 129.0), "valid", 0),
    ],
)
def test_the_longest_gap_in_the_traffic_decides(gap: tuple[float, float], verdict: str, length_ms: float) -> None:
    assessed = _assessed((110.0, 110.05), gap)
    assert assessed.verdict == verdict
    assert assessed.measured["process_gap_ms"] == pytest.approx(max(length_ms, 50))
    assert all("dma@east stood still for" in reason for reason in assessed.reasons)


def test_a_reason_names_process_length_and_time() -> None:
    assert _assessed((104.3, 105.82)).reasons == ["dma@east stood still for 1520 ms at 4.3 s (limit 1000)"]


def test_all_that_stood_still_are_kept_and_the_worst_have_a_reason_each() -> None:
    pulses = {f"p{number}": Recorded((Gap(101.0, 101.1 + number),), True) for number in range(6)}
    fidelity = Fidelity()
    gaps_ms = assess_gaps(fidelity, {**pulses, "q": Recorded((), True)}, _TRAFFIC, {})
    assert gaps_ms == pytest.approx({f"p{number}": 100.0 + 1000 * number for number in range(5, -1, -1)})
    assert list(gaps_ms) == ["p5", "p4", "p3", "p2", "p1", "p0"]
    assert [reason.split()[0] for reason in fidelity.reasons] == ["p5", "p4", "p3"]


@pytest.mark.parametrize("pulse", [None, Recorded((), False)])
def test_a_process_that_left_no_pulse_makes_a_run_suspect(pulse: Recorded | None) -> None:
    fidelity = Fidelity()
    assess_gaps(fidelity, {"dma@east": pulse, "control@east": Recorded((), True)}, _TRAFFIC, {})
    assert fidelity.verdict == "suspect"
    assert fidelity.reasons == ["nothing says how long these processes stood still: dma@east"]


def test_what_a_planned_fault_does_is_no_reason_in_its_window_and_one_beyond_it() -> None:
    assert _assessed((105.0, 109.0), planned=[(104.9, 110.0)]).verdict == "valid"
    assert _assessed((105.0, 109.0), planned=[(104.9, 107.0), (106.5, 110.0)]).verdict == "valid"
    late = _assessed((105.0, 109.0), planned=[(104.9, 108.5)])
    assert late.verdict == "suspect" and "stood still for 500 ms at 8.5 s" in late.reasons[0]
    early = _assessed((105.0, 109.0), planned=[(106.5, 110.0)])
    assert early.verdict == "invalid" and "stood still for 1500 ms at 5.0 s" in early.reasons[0]


def test_who_is_killed_for_good_need_leave_nothing() -> None:
    assert _assessed(planned=[(105.0, math.inf)], has_ended=False).verdict == "valid"
    assert _assessed(planned=[(105.0, 110.0)], has_ended=False).verdict == "suspect"


def test_windows_are_those_of_the_processes_that_faults_end_or_halt() -> None:
    def fault(kind: str, at_s: float, until_s: float | None = None, **more: str) -> PlannedFault:
        return PlannedFault(0, kind, "", at_s, until_s, **more)  # type: ignore[arg-type]

    faults = [
        fault("agent_silent", 1, 3, site="east"),
        fault("control_killed", 4, site="west"),
        fault("instance_crash", 2, 5, instance="render-1@east"),
        fault("instance_start", 6, instance="render-2@east"),
        fault("migrate", 7, 9, instance="render-3@east", to="render-4@east"),
        fault("instance_drain", 1, 2, instance="render-5@east"),
        fault("link_down", 1, 2),
    ]
    assert planned_windows(faults, 100.0) == {
        "dma@east": [Window(101, 103 + START_S)],
        "control@west": [Window(104, math.inf)],
        "render-1@east": [Window(102, 105 + START_S)],
        "render-2@east": [Window(106, 106 + START_S)],
        "render-4@east": [Window(107, 107 + START_S)],
        "render-3@east": [Window(109, 109 + START_S)],
    }
