"""The sockets that Open vSwitch reads its ports by: what `ss` says of them, and the room they are given."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.emulation.switches import shared_lock, switch_sockets

_LINES = """p_raw 0      0      [0]:*         * skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)
p_raw 0      0        *:dyf817-p2 * skmem:(r0,rb33554432,t0,tb212992,f0,w0,o176,bl0,d12)
p_raw 128    0        *:dyf817-p3 * skmem:(r0,rb33554432,t0,tb212992,f0,w0,o176,bl0,d3)
p_raw 0      0        *:dyffff-p3 * skmem:(r0,rb33554432,t0,tb212992,f0,w0,o176,bl0,d500)
"""


def test_what_found_no_room_is_summed_up_over_a_run_s_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 0, stdout=_LINES)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert switch_sockets.lost(["dyf817-p2", "dyf817-p3"]) == 15
    assert switch_sockets.lost([]) == 0


def test_a_machine_without_ss_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("ss")

    monkeypatch.setattr(subprocess, "run", absent)
    assert switch_sockets.lost(["dyf817-p2"]) is None
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, stdout=_LINES))
    assert switch_sockets.lost(["dyf817-p2"]) is None


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's default, and a place for locks."""
    monkeypatch.setattr(shared_lock, "_FOLDER", tmp_path)
    monkeypatch.setattr(switch_sockets, "_FORMER", tmp_path / "former")
    monkeypatch.setattr(switch_sockets, "_DEFAULT", tmp_path / "rmem_default")
    (tmp_path / "rmem_default").write_text("212992\n")
    return tmp_path / "rmem_default"


def _have_room() -> None:
    with switch_sockets.roomy():
        pass


def test_sockets_have_room_in_the_block_alone(default: Path) -> None:
    with switch_sockets.roomy():
        assert default.read_text() == str(switch_sockets.ROOM_BYTES)
    assert default.read_text() == "212992\n"
    assert not (default.parent / "former").exists()


@pytest.mark.parametrize("next_one", [switch_sockets.put_back_default, _have_room], ids=["clean-up", "run"])
def test_the_default_outlives_who_is_killed_in_the_block(
    default: Path, monkeypatch: pytest.MonkeyPatch, next_one: Callable[[], None]
) -> None:
    with monkeypatch.context() as killed, switch_sockets.roomy():
        killed.setattr(switch_sockets, "_put_back", lambda: None)  # it never comes to that
    killed.undo()
    assert default.read_text() == str(switch_sockets.ROOM_BYTES)
    next_one()
    assert default.read_text() == "212992\n"
    assert not (default.parent / "former").exists()


def test_nothing_is_put_back_for_who_was_killed_before_it_changed_anything(default: Path) -> None:
    (default.parent / "former").write_text("")
    switch_sockets.put_back_default()
    assert default.read_text() == "212992\n"
    assert not (default.parent / "former").exists()
