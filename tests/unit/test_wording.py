"""No error says a thing twice, where one place names what another has named already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.emulation.switches import bridges
from testbed.emulation.switches.bridges import BridgeError
from testbed.linux.ovs_conntrack import Conntrack, ConntrackError
from testbed.records import manifest
from testbed.records.manifest import ManifestError
from tests.wording import stutters

_CALLS = {
    "ovs-vsctl": (lambda: bridges.vsctl("list", "Nope"), "ovs-vsctl: unknown table"),
    "ovs-ofctl": (lambda: bridges.dump_flows("none"), "ovs-ofctl: none is not a bridge or a socket"),
    "ovs-appctl": (
        lambda: str(Conntrack("nope").count(1)),
        "ovs-vswitchd: datapath not found\\novs-appctl: /run/openvswitch/ovs-vswitchd.1.ctl: server returned an error",
    ),
}


def test_what_a_stutter_is() -> None:
    assert stutters("malformed: malformed: 3 bytes too many")
    assert stutters("ovs-vsctl failed: ovs-vsctl: no bridge named b")
    assert stutters("a@x ended with code 1: a@x: no room")
    assert not stutters("malformed: 3 bytes too many")
    assert not stutters("a.yaml: b.yaml: nodes[0]: node 'a': latitude must be in -90..90")


@pytest.mark.parametrize("program", _CALLS)
def test_a_program_that_names_itself_is_not_named_again(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, says = _CALLS[program]
    _stand_in(tmp_path / program, says)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said = _error_of(call)
    assert said.startswith(program)
    assert said.count(f"{program}: ") == 0
    assert not stutters(said)
    assert says.partition("\\n")[0].partition(": ")[2] in said


def test_a_manifest_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ManifestError) as caught:
        manifest.read(tmp_path / "manifest.json")
    assert str(caught.value).count("manifest.json") == 1
    assert "(it is no regular file)" in str(caught.value)


def _stand_in(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\nprintf '{says}\\n' >&2\nexit 1\n")
    path.chmod(0o755)


def _error_of(call: Callable[[], str]) -> str:
    with pytest.raises((BridgeError, ConntrackError)) as caught:
        call()
    return str(caught.value)
