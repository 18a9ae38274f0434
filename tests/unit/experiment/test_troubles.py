"""Sessions lost, messages refused or unsent, daemons that ended: read from what processes wrote, and judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.emulation.switches.daemons import DaemonEnd
from testbed.experiment.fidelity.process_gaps import Window
from testbed.experiment.fidelity.troubles import KINDS, Trouble, assess_daemons, assess_troubles
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.experiment.systems.dyncast.run.fidelity import troubles
from testbed.records.writer import RecordWriter
from tests.scenarios import small_plan

_START_S = 100.0


def _write(folder: Path, process: str, node: str, *rows: tuple[float, str, int]) -> None:
    with RecordWriter(folder, process) as writer:
        for time_s, kind, count in rows:
            row = {"time_s": time_s, "node": node, "direction": "local", "kind": kind, "messages": count}
            writer.write("control", row)


def _read(folder: Path, **planned: list[Window]) -> list[Trouble]:
    return troubles(folder, DyncastPlan.of(small_plan()), _START_S, planned)


def _reasons(found: list[Trouble]) -> tuple[str, list[str]]:
    fidelity = Fidelity()
    assess_troubles(fidelity, found)
    return fidelity.verdict, fidelity.reasons


def test_a_run_without_trouble_is_valid_and_its_figures_are_zero() -> None:
    fidelity = Fidelity()
    assess_troubles(fidelity, [])
    assert (fidelity.verdict, fidelity.measured) == ("valid", dict.fromkeys(KINDS, 0))


def test_a_session_that_was_lost_is_named_with_d_router_and_time(tmp_path: Path) -> None:
    _write(tmp_path, "control@east", "east",
           (90.0, "switch_connected", 1), (112.3, "switch_lost", 1), (113.0, "switch_connected", 2),
           (113.0, "switch_lost", 1), (114.0, "switch_connected", 2), (114.0, "switch_lost", 1))  # fmt: skip
    assert _reasons(_read(tmp_path)) == ("invalid", ["the switch session of D-Router east was lost at 12.3 s"])


def test_a_session_that_was_lost_before_the_traffic_and_for_good_is_said_so(tmp_path: Path) -> None:
    _write(tmp_path, "control@east", "east",
           (90.0, "switch_connected", 1), (97.9, "switch_lost", 1), (114.0, "switch_connected", 1),
           (114.0, "switch_lost", 1))  # fmt: skip
    words = "the switch session of D-Router east was lost 2.1 s before the traffic and did not come back"
    assert _reasons(_read(tmp_path)) == ("invalid", [words])


@pytest.mark.parametrize(
    ("process", "node", "kind", "words"),
    [
        (
            "control@middle",
            "middle",
            "switch_errors",
            "the switch of D-Router middle refused 2 messages, first at 5.0 s",
        ),
        (
            "control@middle",
            "middle",
            "fell_back_to_reactive",
            "2 services of D-Router middle fell back to reactive at 5.0 s",
        ),
        ("control@middle", "middle", "messages_unsent", "D-Router middle could not send 2 messages, first at 5.0 s"),
        (
            "control@middle",
            "middle",
            "refused_conntrack_full",
            "the connection table of D-Router middle refused 2 packets",
        ),
        ("control@middle", "middle", "dropped_while_taking_over", "D-Router middle dropped 2 packets while it took"),
        ("control@middle", "middle", "unhandled_report", "D-Router middle could not handle 2 messages, first at 5.0 s"),
        ("dma@middle", "dma@middle", "messages_unsent", "dma@middle could not send 2 messages"),
        ("render-1@middle", "render-1@middle", "packets_unsent", "render-1@middle could not send 2 packets"),
        ("render-1@middle", "render-1@middle", "flow_packets_unseen", "render-1@middle had no time to see 2 packets"),
    ],
)
def test_each_kind_is_a_reason(process: str, node: str, kind: str, words: str, tmp_path: Path) -> None:
    _write(tmp_path, process, node, (105.0, kind, 2), (106.0, kind, 2), (107.0, "decisions", 9))
    verdict, (reason,) = _reasons(_read(tmp_path))
    assert verdict == "suspect" and reason.startswith(words)


def test_errors_that_d_routers_steer_or_drop_are_results(tmp_path: Path) -> None:
    _write(tmp_path, "control@east", "east", (105.0, "errors_steered", 2), (105.0, "errors_malformed", 1))
    assert _read(tmp_path) == []


def test_a_counter_of_before_the_traffic_is_no_trouble_of_it_unless_it_stays(tmp_path: Path) -> None:
    _write(tmp_path, "control@east", "east", (99.0, "messages_unsent", 3), (101.0, "messages_unsent", 3))
    _write(
        tmp_path, "control@middle", "middle", (99.0, "fell_back_to_reactive", 1), (101.0, "fell_back_to_reactive", 1)
    )
    (trouble,) = _read(tmp_path)
    assert (trouble.who, trouble.kind) == ("D-Router middle", "fell_back_to_reactive")


def test_what_lies_in_the_window_of_a_planned_fault_is_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "control@east", "east", (106.0, "messages_unsent", 3), (112.0, "messages_unsent", 4))
    (trouble,) = _read(tmp_path, **{"control@east": [Window(105, 110)]})
    assert (trouble.total, trouble.first_s) == (1, 12.0)
    assert _read(tmp_path, **{"control@east": [Window(105, 115)]}) == []


def test_a_process_that_came_back_counts_from_nothing_again(tmp_path: Path) -> None:
    _write(tmp_path, "control@east~1", "east", (101.0, "messages_unsent", 3))
    _write(tmp_path, "control@east", "east", (110.0, "messages_unsent", 2))
    assert sum(trouble.total for trouble in _read(tmp_path)) == 5


@pytest.mark.parametrize(
    ("end", "name", "words"),
    [
        (DaemonEnd("ovs-vswitchd", 105.2, 106.1), "ovs-vswitchd", "ended at 5.2 s and was back at 6.1 s"),
        (DaemonEnd("ovsdb-server", 98.0), "ovsdb-server", "ended 2.0 s before the traffic and did not come back"),
    ],
)
def test_a_daemon_that_ended_makes_a_run_invalid(end: DaemonEnd, name: str, words: str) -> None:
    fidelity = Fidelity()
    assess_daemons(fidelity, [end], [], ["east", "middle"], _START_S)
    assert (fidelity.verdict, fidelity.reasons) == ("invalid", [f"{name} (bridges of east, middle) {words}"])
    assert fidelity.measured == {"switch_daemon_ends": 1}


def test_a_daemon_that_nobody_watched_makes_a_run_suspect() -> None:
    fidelity = Fidelity()
    assess_daemons(fidelity, [], ["ovs-vswitchd"], ["east"], _START_S)
    assert fidelity.verdict == "suspect" and "ovs-vswitchd" in fidelity.reasons[0]
