"""What `ss` says of the sockets that Open vSwitch reads its ports by."""

from __future__ import annotations

import subprocess

import pytest

from testbed.emulation.switches import switch_sockets

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
    assert switch_sockets.lost(["dyf817-p2"]) == 0
