"""What `dyncast inspect` understands and says, and what a control process makes of requests."""

from __future__ import annotations

import io
import json
import sys
import types
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from rich.console import Console

from ryu_apps.dyncast.inspection.answers import Inspection
from testbed import systems
from testbed.cli.inspection import sections as cli_inspect
from testbed.cli.inspection.sections import Asked, Up
from testbed.dyncast.actions import Action, InstallAffinity, RemoveAffinity
from testbed.dyncast.nodes import inspection
from testbed.dyncast.nodes.d_router import DRouter
from testbed.emulation.inspection.client import InspectionError
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches.bridges import RunningBridge
from testbed.experiment.inspection import Node, SystemInspection
from testbed.experiment.systems.dyncast.inspection import INSPECTION
from tests.dyncast_samples import d_router, flow, informed, only, service

BRIDGES = [
    RunningBridge(RunTag(tag), f"dy{tag}-b{number}", "netdev", name, ())
    for tag, names in {"00aa": ("denver", "chicago"), "00bb": ("chicago",)}.items()
    for number, name in enumerate(names)
]
UP = [(INSPECTION, Node(str(bridge.tag), bridge.d_router, bridge)) for bridge in BRIDGES]


def names(asked: Asked) -> list[tuple[str, str]]:
    return [(node.run, node.name) for _, node in asked.among(UP)]


def test_words_are_sections_and_d_routers_in_any_order() -> None:
    asked = Asked.of(["flows", "chicago", "services"])
    assert (asked.nodes, asked.sections) == (("chicago",), ("services", "flows"))
    assert names(asked) == [("00aa", "chicago"), ("00bb", "chicago")]
    assert Asked.of([]).sections == ("services", "bindings", "weights", "neighbours", "clusters")


def test_a_run_can_be_named() -> None:
    assert names(Asked.of([], "00bb")) == [("00bb", "chicago")]
    assert len(names(Asked.of([]))) == 3


@pytest.mark.parametrize(
    ("asked", "up", "said"),
    [
        (Asked.of([]), [], "no run is up; start one with `dyncast run`"),
        (Asked.of([], "00cc"), UP, "no run '00cc' is up; there are: 00aa, 00bb"),
        (Asked.of(["flow"]), UP, "no D-Router 'flow'; there are: chicago, denver (and the sections services, "),
        (Asked.of(["denver"], "00bb"), UP, "no D-Router 'denver'; there are: chicago (and "),
    ],
)
def test_what_is_not_there_is_said_with_what_is(asked: Asked, up: Up, said: str) -> None:
    with pytest.raises(InspectionError) as refusal:
        asked.among(up)
    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize("mode", ["reactive", "datapath"])
def test_every_section_fits_its_table(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    def document(bridge: RunningBridge, sections: Iterable[str], most_flows: int | None) -> dict[str, Any]:
        assert most_flows == cli_inspect.FLOWS_SHOWN
        router = informed(d_router(service(affinity_mode=mode)))
        if mode == "reactive":
            router.on_packet(flow(), 0.0)
        found: dict[str, Any] = {"run": str(bridge.tag), "d_router": bridge.d_router, "more_flows": True}
        for section in sections:
            found[section] = inspection.page(router, section, 0, 1.0).rows
        found["counters"] = [{"direction": "local", "peer": "", "kind": "decisions", "messages": 1, "bytes": 0}]
        return found

    monkeypatch.setattr("testbed.emulation.inspection.binding_tables.d_routers", lambda: BRIDGES)
    monkeypatch.setattr("testbed.emulation.inspection.client.document", document)
    out = Console(record=True, width=250)
    asked = Asked.of(inspection.SECTIONS)
    assert cli_inspect.show(asked, as_json=False, all_flows=False, out=out, err=Console()) == 0
    text = out.export_text()
    for section in inspection.SECTIONS:
        assert f"{section} (" in text
    assert "00bb" in text and "denver" in text and "there are more flows" in text


def test_who_does_not_answer_hides_nobody_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def document(bridge: RunningBridge, *_: object) -> dict[str, Any]:
        if bridge.d_router == "denver":
            raise InspectionError("D-Router denver of run 00aa: gone")
        return {"d_router": bridge.d_router}

    monkeypatch.setattr("testbed.emulation.inspection.binding_tables.d_routers", lambda: BRIDGES)
    monkeypatch.setattr("testbed.emulation.inspection.client.document", document)
    err = Console(record=True)
    assert cli_inspect.show(Asked.of([]), as_json=True, all_flows=False, out=Console(), err=err) == 1
    assert capsys.readouterr().out.count('"d_router": "chicago"') == 2
    assert "denver of run 00aa: gone" in err.export_text()


class Clocks(SystemInspection):
    kind, key = "clock", "clock"
    sections = {"ticks": {"at": lambda row: row["time_s"], "tone": lambda row: row["tone"]}}
    words = frozenset({"tone"})

    def nodes(self) -> list[Node]:
        return [Node("00aa", "tower"), Node("00aa", "hall")]

    def document(self, node: Node, sections: Sequence[str], most_flows: int | None) -> dict[str, Any]:
        assert (list(sections), most_flows) == (["ticks"], cli_inspect.FLOWS_SHOWN)
        return {"run": node.run, "clock": node.name, "ticks": [{"time_s": 1.5, "tone": f"{node.name} strikes"}]}


def test_a_system_from_elsewhere_is_looked_into_like_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(systems, "_registered", dict(systems._registered))
    monkeypatch.setitem(sys.modules, "clock.inspection", types.SimpleNamespace(INSPECTION=Clocks()))
    systems.register("clock", inspection="clock.inspection")
    monkeypatch.setattr("testbed.emulation.inspection.binding_tables.d_routers", lambda: BRIDGES)
    out = Console(record=True, width=120, file=io.StringIO())
    assert cli_inspect.show(Asked.of(["ticks", "hall"]), as_json=False, all_flows=False, out=out, err=Console()) == 0
    assert "ticks of hall (1)" in (text := out.export_text()) and "hall strikes" in text and "tower" not in text
    assert cli_inspect.show(Asked.of(["ticks", "tower"]), as_json=True, all_flows=False, out=out, err=Console()) == 0
    assert json.loads(capsys.readouterr().out)[0]["clock"] == "tower"
    with pytest.raises(InspectionError, match="no D-Router or clock 'church'; there are: chicago, denver, hall, tower"):
        cli_inspect.show(Asked.of(["church"]), as_json=True, all_flows=False, out=out, err=Console())
    refusals = Console(record=True, width=120)
    assert cli_inspect.reset(Asked.of(["tower"]), None, as_json=False, out=out, err=refusals) == 1
    assert "clock tower keeps no bindings that could be reset" in refusals.export_text()


def test_sections_of_which_nobody_has_rows_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_inspect, "all_up", lambda: UP)
    with pytest.raises(InspectionError, match="nothing that is up has clusters to show"):
        cli_inspect.show(Asked.of(["clusters"]), as_json=True, all_flows=False, out=Console(), err=Console())


class Hours(Clocks):
    def nodes(self) -> list[Node]:
        return [Node("00aa", "ticks"), Node("00aa", "hall")]


@pytest.mark.parametrize(
    ("words", "nodes", "shown", "is_said"),
    [
        (["ticks"], [], {"ticks", "hall"}, True),
        (["ticks", "hall"], [], {"hall"}, True),
        (["ticks"], ["ticks"], {"ticks"}, False),
    ],
    ids=["section", "section of another", "both"],
)
def test_a_node_that_is_called_like_a_section_is_named_by_option(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    nodes: list[str],
    shown: set[str],
    is_said: bool,
) -> None:
    monkeypatch.setattr(systems, "_registered", {})
    monkeypatch.setitem(sys.modules, "clock.inspection", types.SimpleNamespace(INSPECTION=Hours()))
    systems.register("clock", inspection="clock.inspection")
    err = Console(record=True, width=120, file=io.StringIO())
    asked = Asked.of(words, nodes=nodes)
    assert cli_inspect.show(asked, as_json=True, all_flows=False, out=Console(), err=err) == 0
    assert {document["clock"] for document in json.loads(capsys.readouterr().out)} == shown
    assert ("'ticks' is taken for the section; the node of that name: --node ticks" in err.export_text()) == is_said


# -- requests ----------------------------------------------------------------------------------------


def inspected() -> tuple[DRouter, Inspection, list[Action]]:
    router = informed(d_router())
    performed: list[Action] = []
    return router, Inspection(router, lambda: [{"kind": "any"}], performed.extend, lambda: True), performed


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "no section 'None'"),
        ({"section": "weather"}, "no section 'weather'; there are: services"),
        ({"section": "flows", "start": -1}, "start must be an integer >= 0"),
        ({"section": "flows", "start": "1"}, "start must be an integer >= 0"),
        ({"sections": "flows"}, "unknown key 'sections'"),
        ({"reset": True, "service": "nope"}, "no service 'nope'; there are: render"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        inspected()[1].answer(request_)


def test_a_reset_that_the_switch_does_not_confirm_is_no_success() -> None:
    router = informed(d_router())
    with pytest.raises(ValueError, match="the switch has not confirmed"):
        Inspection(router, list, [].extend, lambda: False).answer({"reset": True})


def test_a_page_says_where_the_next_one_starts() -> None:
    router, inspection_, _ = inspected()
    for port in range(1000, 1800):
        only(router.on_packet(flow(port), 0.0), InstallAffinity)
    first = inspection_.answer({"section": "flows"})
    assert first["following"]
    rest = inspection_.answer({"section": "flows", "start": first["following"]})
    assert rest["following"] is None
    assert len([*first["rows"], *rest["rows"]]) == 800  # type: ignore[misc]
    assert inspection_.answer({"section": "counters"})["rows"] == [{"kind": "any"}]


def test_a_reset_performs_what_it_takes_and_says_how_many_it_ended() -> None:
    router, inspection_, performed = inspected()
    for port in range(1000, 1800):
        only(router.on_packet(flow(port), 0.0), InstallAffinity)
    assert inspection_.answer({"reset": True, "service": "render"}) == {"reset": 800, "services": ["render"]}
    assert len([action for action in performed if isinstance(action, RemoveAffinity)]) == 800
    assert inspection_.answer({"reset": True}) == {"reset": 0, "services": ["render"]}
