"""Counters of namespaces as the kernel writes them, in a folder in place of /proc."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from testbed.emulation.machine import host_drops
from testbed.emulation.machine.host_drops import HostDrops

_DEV = """Inter-|   Receive                       |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:  100    50    0    9    0     0          0         0     10    10    0    0    0     0       0          0
  eth0: 1000   500    0    2    0     0          0         0    100   100    0    3    0     0       0          0
"""
_SNMP = "Udp: InDatagrams NoPorts RcvbufErrors\nUdp: 80 0 7\n"
_SNMP6 = "Udp6InDatagrams                  \t12\nUdp6RcvbufErrors                \t4\n"
_NETSTAT = "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 0 1\n"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    net = tmp_path / "17" / "net"
    net.mkdir(parents=True)
    for name, text in (("dev", _DEV), ("snmp", _SNMP), ("snmp6", _SNMP6), ("netstat", _NETSTAT)):
        (net / name).write_text(text)
    monkeypatch.setattr(host_drops, "Path", lambda *parts: Path(str(tmp_path), *parts[1:]))
    return net


def test_interfaces_asked_for_and_all_sockets_are_counted(proc: Path) -> None:
    assert proc.exists()
    found = host_drops.count({"east": {"eth0"}}, {"east": 17}, ())
    assert found.received == 500
    assert +found.dropped == Counter(
        {"east eth0": 5, "east RcvbufErrors": 7, "east Udp6RcvbufErrors": 4, "east ListenDrops": 1}
    )


def test_sockets_of_who_may_be_overloaded_are_not(proc: Path) -> None:
    assert proc.exists()
    assert +host_drops.count({"east": {"eth0"}}, {"east": 17}, ("east",)).dropped == Counter({"east eth0": 5})
    assert +host_drops.count({}, {"gone": 99}, ()).dropped == Counter()


def test_only_what_came_in_addition_counts() -> None:
    before, after = HostDrops(10, Counter({"a": 3, "b": 1})), HostDrops(30, Counter({"a": 5, "b": 1, "c": 2}))
    assert after.since(before) == HostDrops(20, Counter({"a": 2, "c": 2}))
