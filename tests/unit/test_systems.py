"""The list of systems: registered once, their parts imported when they are asked for."""

from __future__ import annotations

import sys
import types

import pytest

from testbed import systems


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "_registered", dict(systems._registered))


def test_dyncast_and_alto_are_systems() -> None:
    assert [item.name for item in systems.registered()] == ["dyncast", "alto"]


def test_the_same_registration_again_changes_nothing() -> None:
    systems.register("clock", tables="its.tables")
    systems.register("clock", tables="its.tables")
    assert [item.name for item in systems.registered()] == ["dyncast", "alto", "clock"]


def test_two_systems_of_one_name_are_refused() -> None:
    systems.register("clock", tables="its.tables")
    with pytest.raises(ValueError, match="another system called 'clock'"):
        systems.register("clock", tables="other.tables")


def test_parts_are_those_that_systems_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "its.tables", types.SimpleNamespace(TABLES={"ticks": ()}))
    systems.register("clock", tables="its.tables")
    assert systems.parts("tables")["clock"] == {"ticks": ()}
    assert "clock" not in systems.parts("analysis")
