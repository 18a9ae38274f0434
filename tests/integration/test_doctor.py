"""The doctor on this very machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.emulation import run_tag
from testbed.emulation.machine import capabilities
from testbed.emulation.machine.capabilities import Backends, choose_backends, probe, start_open_vswitch
from testbed.emulation.machine.self_test import self_test
from testbed.emulation.netns.namespaces import Namespace, NamespaceError, entered
from testbed.emulation.switches import bridges

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _open_vswitch() -> None:
    start_open_vswitch()


def left_behind() -> set[str]:
    """Return this process's tags and what carries them."""
    registered = run_tag.registrations().items()
    mine = {tag for tag, registration in registered if registration and registration.owner.pid == os.getpid()}
    names = {name for _, name in socket.if_nameindex()} | {bridge.name for bridge in bridges.running_bridges()}
    return {str(tag) for tag in mine} | {name for name in names if run_tag.RunTag.of_interface(name) in mine}


def test_a_probe_finds_what_runs_need_and_leaves_nothing() -> None:
    interfaces = {name for _, name in socket.if_nameindex()}
    found = probe()
    assert all(row.present for row in found.rows if row.needed), [row for row in found.rows if row.needed]
    assert all(row.remedy for row in found.rows if not row.present)
    assert found.has("datapath_netdev")
    assert not {name for _, name in socket.if_nameindex()} - interfaces - _of_others()
    assert not left_behind()


def _of_others() -> set[str]:
    return {name for _, name in socket.if_nameindex() if run_tag.RunTag.of_interface(name)}


def test_open_vswitch_is_started_once_only() -> None:
    assert capabilities.open_vswitch_runs()
    assert start_open_vswitch() is False


def test_tcp_and_udp_pass_and_take_the_delay() -> None:
    said: list[str] = []
    result = self_test(choose_backends(probe()), said.append)
    assert result.rtt_median_ms is not None, result.problems
    assert result.rtt_median_ms >= result.rtt_configured_ms
    assert result.udp_received > 0
    assert result.tcp_mbps > 0
    assert len(result.links) == 2 * 3  # of a client, of an instance, between routers; both ways
    assert all(link.received < link.sent and link.early_ms == 0 for link in result.links)
    assert any("TCP" in message for message in said)
    assert not left_behind()


def test_a_backend_that_does_not_work_here_is_a_finding_not_a_crash() -> None:
    missing = [name for name in ("netem",) if not probe().has(name)]
    if not missing:
        pytest.skip("capability netem is there: no backend to miss")
    result = self_test(Backends("netdev", "netem"))
    assert not result.ok
    assert "cannot be built" in result.problems[0]
    assert not left_behind()


def examined(*, as_root: bool) -> tuple[int, dict[str, object]]:
    # Examined once before, so that everything is imported: the interpreter's files may be readable to root only.
    drop = "" if as_root else "doctor.examine(); os.setresgid(*[65534] * 3); os.setresuid(*[65534] * 3);"
    code = f"import os, sys; from testbed.emulation.machine import doctor; {drop} sys.exit(doctor.run(True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_whole_examination_is_json() -> None:
    code, found = examined(as_root=True)
    assert code == (0 if found["ok"] else 1)
    assert found["missing"] is None
    assert found["backends"] and found["self_test"]


def test_without_root_it_says_so_and_goes_no_further() -> None:
    code, found = examined(as_root=False)
    assert code == 1
    assert found["ok"] is False
    assert found["self_test"] is None
    assert str(found["missing"]).startswith("root is missing: user id 65534; remedy: sudo")


def test_ipv6_is_there_where_a_new_namespace_begins_without_it() -> None:
    setting = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    with Namespace() as namespace:
        with entered(namespace.pid):
            setting.write_text("1")
        address = ["ip", "address", "add", "2001:db8::2/128", "dev", "lo"]
        with pytest.raises(NamespaceError):  # it is off, indeed
            namespace.run(address)
        capabilities.probe_ipv6(namespace)
        namespace.run(address)
