"""Calls of audio and video by the generator process, against a real service instance on the loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.integration.generator_process import REPOSITORY, Client, UdpPeer, closed_port, outcomes, running
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival
from traffic.content.packets import build_stream

KINDS = ("rtp_audio", "rtcp", "rtp_video", "rtcp")


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def call(client: Client, port: int, arrivals: list[Arrival], **keys: object) -> None:
    """Add a workload of calls."""
    arrivals_file.write(client.folder / "calls.csv", "duration_s", arrivals)
    files = {}
    for medium in ("audio", "video"):
        path = client.folder / f"{medium}.stream"
        path.write_bytes(build_stream(medium, 0.2))
        files[f"{medium}_file"] = str(path)
    client.workloads.append(
        {"kind": "call", "name": "calls", "service": "conference", "d_sid": "127.0.0.1", "port": port,
         "arrivals_file": str(client.folder / "calls.csv"), **files, **keys}
    )  # fmt: skip


@contextmanager
def instance(folder: Path) -> Iterator[int]:
    """Run a service instance with two pairs of RTP and RTCP ports; yield the first."""
    first = closed_port(socket.SOCK_DGRAM)
    rtp_port = next(port for port in range(first + 3 & ~3, 16_000, 4) if free(range(port, port + 4)))
    config: dict[str, Any] = {
        "name": "conference-1@here", "service": "conference", "site": "here", "seed": 7, "http_port": None,
        "rtp_port": rtp_port, "rtp_pairs": 2, "admin_port": closed_port(socket.SOCK_STREAM), "workers": 4,
        "queue_limit": 1000, "speed": 1.0, "service_time": {"distribution": "constant", "mean_ms": 1},
        "packet_time": {"distribution": "constant", "mean_ms": 0.1}, "mode": "clock", "cpu_limit": None,
        "out_dir": str(folder), "sample_interval_s": 0.5,
    }  # fmt: skip
    (folder / "instance.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed.agents.instance", str(folder / "instance.json")], cwd=REPOSITORY
    )
    try:
        wait_until((folder / "conference-1@here.ready").exists, 10, "the instance")
        yield rtp_port
    finally:
        process.terminate()
        process.wait(10)


def free(ports: range) -> bool:
    return all(closed_port(socket.SOCK_DGRAM, above=port) == port for port in ports)


def of_instance(folder: Path, table: str) -> list[dict[str, str]]:
    return list(whole_rows(folder / f"{table}.conference-1@here.part.csv"))


def test_a_call_is_four_flows_on_neighbouring_ports_and_one_cname(client: Client) -> None:
    with instance(client.folder) as port:
        call(client, port, [Arrival(0.05 * number, 0.4) for number in range(6)], port_block=8)
        client.run()
    rows = client.rows("flows")
    assert outcomes(rows) == {"ok": 24}
    calls = defaultdict(list)
    for row in rows:
        calls[row["call"]].append(row)
    assert set(calls) == {f"calls/client-1/{number}" for number in range(6)}
    for name, flows in calls.items():
        flows.sort(key=lambda row: int(row["dst_port"]))
        assert [row["kind"] for row in flows] == list(KINDS)
        assert [int(row["dst_port"]) for row in flows] == list(range(port, port + 4))
        first = int(flows[0]["src_port"])
        assert first % 8 == 0
        assert [int(row["src_port"]) for row in flows] == list(range(first, first + 4))
        parts = ("audio", "audio-rtcp", "video", "video-rtcp")
        assert [row["flow_id"] for row in flows] == [f"{name}/{part}" for part in parts]
        assert [row["packets_sent"] for row in flows][1::2] == ["2", "2"]  # one report at once, one with the goodbye
        assert [row["packets_received"] for row in flows][1::2] == ["2", "2"]
        assert flows[0]["packets_sent"] == "20"

    echoed = {(row["call"], row["ssrc"]): row["payload_type"] for row in client.rows("rtp")}
    heard = {(row["call"], row["ssrc"]): row["payload_type"] for row in of_instance(client.folder, "rtp")}
    assert heard == echoed  # the instance knows by CNAME and SSRC which call, and by payload type which medium
    assert sorted(echoed.values()) == ["0"] * 6 + ["96"] * 6
    assert len({row["src_port"] for row in of_instance(client.folder, "affinity")}) == 24
    assert client.summary()["workloads"]["calls"]["flows_recorded"] == 24


def test_a_call_that_nobody_answers_has_all_its_rows(client: Client) -> None:
    with running(UdpPeer(lambda *_: []).begin) as peer:  # which hears the audio alone; the other ports are closed
        call(client, peer.port, [Arrival(0, 0.2)], timeout_s=0.3)
        client.run()
    assert outcomes(client.rows("flows")) == {"no_answer": 1, "unreachable": 3}
    assert {row["call"] for row in client.rows("flows")} == {"calls/client-1/0"}


def test_no_call_begins_without_sockets_for_all_its_flows(tmp_path: Path) -> None:
    client = Client(tmp_path, max_sockets=7)
    with instance(client.folder) as port:
        call(client, port, [Arrival(0, 0.5), Arrival(0.1, 0.5)])
        client.run()
    assert outcomes(client.rows("flows")) == {"ok": 4, "local_limit": 4}
