"""The flow ledger, addresses, the CPU hierarchy, and answers to a poll."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.agents.host.addresses import plain_address
from testbed.agents.host.cpu_limit import hierarchy
from testbed.agents.host.flow_ledger import FlowKey, FlowLedger, FlowTally
from testbed.agents.host.resource_use import cgroup_limits, traffic
from testbed.agents.metric_agent.metrics_client import MalformedAnswer, read_answer
from testbed.records.tables import columns_of

KEY = FlowKey("udp", "10.0.0.1", 4000, "10.0.1.1", 5004)
METRICS = {
    "state": "up",
    "workers": 4,
    "busy_workers": 3,
    "queue_length": 2,
    "queue_limit": 50,
    "sessions": 5,
    "sessions_started": 1242,
    "utilisation": 0.71,
    "service_time_ms": 48.2,
    "cpu_utilisation": 0.05,
    "memory_bytes": 14_100_000,
    "memory_limit_bytes": 8_000_000_000,
    "capacity_per_s": 82.9,
    "throughput_bps": 1.5e6,
}


def test_ledger_rows_fit_the_affinity_table() -> None:
    ledger = FlowLedger("render-1@x", "render")
    ledger.packet(KEY, 1.0, 100)
    ledger.packet(KEY, 2.0, 50)
    (row,) = ledger.all_rows()
    assert tuple(row) == columns_of("affinity")
    assert tuple(row.values()) == ("render-1@x", "render", *KEY, 1.0, 2.0, 2, 150, None)
    assert ledger.all_rows() == []


def test_an_idle_flow_is_written_and_forgotten() -> None:
    ledger = FlowLedger("i", "s", idle_s=10.0)
    ledger.packet(KEY, 0.0, 1)
    ledger.packet(KEY._replace(src_port=4001), 5.0, 1)
    assert ledger.due_rows(9.9) == []
    assert [row["src_port"] for row in ledger.due_rows(10.0)] == [4000]
    ledger.packet(KEY, 11.0, 1)
    assert sorted(row["src_port"] for row in ledger.all_rows()) == [4000, 4001]  # type: ignore[type-var]


def test_a_flow_that_ended_is_written_at_the_next_occasion() -> None:
    ledger = FlowLedger("i", "s")
    ledger.ended(KEY._replace(proto="tcp"), FlowTally(1.0, 2.0, 10, 1000))
    assert [(row["packets"], row["ended"]) for row in ledger.due_rows(2.0)] == [(10, 1)]
    assert ledger.due_rows(2.0) == []


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:0:1", "::ffff:0:1"),
    ],
)
def test_addresses_are_written_plainly(told: str, written: str) -> None:
    assert plain_address(told) == written


def test_the_cpu_hierarchy_is_found(tmp_path: Path) -> None:
    v1, v2, hidden = tmp_path / "cpu,cpuacct", tmp_path / "unified", tmp_path / "hidden"
    for folder in (v1, v2):
        folder.mkdir()
        (folder / "cgroup.procs").touch()
    (v2 / "cgroup.controllers").write_text("memory pids\n")
    mounts = [f"cgroup2 {v2} cgroup2 rw 0 0", f"cgroup {v1} cgroup rw,relatime,cpu,cpuacct 0 0"]
    assert hierarchy(mounts) == (v1, False)
    (v2 / "cgroup.controllers").write_text("cpuset cpu memory\n")
    assert hierarchy(mounts) == (v2, True)
    assert hierarchy(["proc /proc proc rw 0 0", f"cgroup {v1} cgroup rw,cpuset 0 0", ""]) is None
    assert hierarchy([f"cgroup {hidden} cgroup rw,cpu 0 0"]) is None


def test_the_memory_limits_of_control_groups_are_found(tmp_path: Path) -> None:
    v1, v2 = tmp_path / "memory", tmp_path / "unified"
    (v1 / "jobs" / "one").mkdir(parents=True)
    (v2 / "slice").mkdir(parents=True)
    (v1 / "jobs" / "one" / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # no limit
    (v1 / "jobs" / "memory.limit_in_bytes").write_text("1000000\n")
    (v2 / "slice" / "memory.max").write_text("max\n")
    mounts = [f"cgroup {v1} cgroup rw,memory 0 0", f"cgroup2 {v2} cgroup2 rw 0 0", "proc /proc proc rw 0 0"]
    memberships = ["4:memory:/jobs/one", "2:cpu,cpuacct:/x", "0::/slice"]
    assert cgroup_limits(mounts, memberships) == [1_000_000]
    (v2 / "slice" / "memory.max").write_text("500\n")
    assert cgroup_limits(mounts, memberships) == [1_000_000, 500]
    assert cgroup_limits(mounts[2:], memberships) == []


def test_traffic_is_that_of_all_interfaces_but_loopback() -> None:
    lines = ["Inter-| Receive | Transmit", " face |bytes packets |bytes", "    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0"]
    lines += ["  eth0: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0", "  eth1:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0"]
    assert traffic(lines) == (15, 27)


def answer(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_a_good_answer_is_read() -> None:
    polled = read_answer(answer(json.dumps(METRICS)))
    assert polled.raw.busy_workers == 3
    assert polled.raw.service_time_s == pytest.approx(0.0482)
    assert (polled.raw.cpu_utilisation, polled.raw.memory_bytes) == (0.05, 14_100_000)
    assert (polled.raw.capacity_per_s, polled.raw.throughput_bps) == (82.9, 1.5e6)
    assert not polled.is_draining
    assert read_answer(answer(json.dumps({**METRICS, "state": "draining"}))).is_draining


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no HTTP answer"),
        (b"SSH-2.0\r\n\r\n", "no HTTP answer"),
        (answer("x" * 70_000), "no HTTP answer"),
        (answer("", "404 Not Found"), "HTTP status 404"),
        (answer("{"), "no JSON"),
        (answer("[]"), "no JSON object"),
        (answer("[" * 60_000), "no JSON"),
        (answer('{"workers": ' + "9" * 5000 + "}"), "no JSON"),
        (answer(json.dumps({**METRICS, "queue_length": 10**400})), "queue_length is above 18446744073709551615"),
        (answer(json.dumps({**METRICS, "workers": "4"})), "workers must be an integer"),
        (answer(json.dumps({**METRICS, "workers": 0})), "workers >= 1"),
        (answer(json.dumps({**METRICS, "queue_length": -1})), "counts must be >= 0"),
        (answer(json.dumps({**METRICS, "utilisation": float("nan")})), "no JSON"),
        (answer(json.dumps({**METRICS, "service_time_ms": 1e300})), "service_time_ms must be a number"),
        (answer(json.dumps({**METRICS, "service_time_ms": 10**400})), "service_time_ms must be a number"),
        (answer(json.dumps({**METRICS, "cpu_utilisation": 1.1})), "cpu_utilisation must be a number in 0..1"),
        (answer(json.dumps({**METRICS, "memory_bytes": 0.5})), "memory_bytes must be an integer"),
        (answer(json.dumps({**METRICS, "state": "sideways"})), "state must be up or draining"),
        (answer(json.dumps({"state": "up"})), "workers must be an integer"),
    ],
)
def test_a_malformed_answer_says_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(MalformedAnswer, match=message):
        read_answer(data)
