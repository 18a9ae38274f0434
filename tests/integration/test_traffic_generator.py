"""The generator process against real peers on the loopback: every flow due has its row, with the right outcome."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from testbed.records.parts import whole_rows
from testbed.rtp import header as rtp_header
from testbed.runtime.polling import wait_until
from tests.integration.generator_process import (
    ANSWER,
    REPOSITORY,
    Client,
    TcpPeer,
    UdpPeer,
    closed_port,
    echo,
    outcomes,
    running,
)
from traffic.arrivals.file import Arrival


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def test_every_request_is_recorded_with_its_times_and_instance(client: Client):
    arrivals = [Arrival(0.002 * number, 1.5) for number in range(300)]
    with running(TcpPeer("answer").begin) as peer:
        client.http(peer.port, arrivals)
        client.run()
    rows = client.rows("flows")
    assert outcomes(rows) == {"ok": 300}
    assert {row["flow_id"] for row in rows} == {f"jobs/client-1/{number}" for number in range(300)}
    assert len({row["src_port"] for row in rows}) == 300
    start_s = client.summary()["start_s"]
    for row in rows:
        number = int(row["flow_id"].rsplit("/", 1)[1])
        assert float(row["due_s"]) == pytest.approx(start_s + arrivals[number].offset_s, abs=2e-6)
        assert row["due_s"] <= row["started_s"] <= row["connected_s"] <= row["finished_s"]
        completion_ms = (float(row["finished_s"]) - float(row["due_s"])) * 1e3
        assert float(row["completion_ms"]) == pytest.approx(completion_ms, abs=0.003)
        assert (row["bytes_sent"], row["bytes_received"]) == ("200", str(len(ANSWER)))
        assert (row["instance"], row["proto"], row["kind"]) == ("one@here", "tcp", "http")
        assert (row["d_sid"], row["dst_port"], row["src"]) == ("127.0.0.1", str(peer.port), "127.0.0.1")
    assert all(request.startswith(b"GET /?work_ms=1.5&bytes=2000 HTTP/1.1\r\n") for request in peer.requests)
    sending = client.summary()["workloads"]["jobs"]["sending"]
    assert sending["requested"] == sending["achieved"] == len(peer.requests) == 300
    assert sending["lateness_ms"]["median"] <= sending["lateness_ms"]["p99"] <= sending["lateness_ms"]["max"] * 1.01


@pytest.mark.parametrize(
    ("mode", "timeout_s", "outcome"),
    [
        ("busy", 30, "refused"),
        ("reset", 30, "reset"),
        ("short", 30, "reset"),
        ("missing", 30, "error"),
        ("garbage", 30, "error"),
        ("silent", 0.5, "timeout"),
    ],
)
def test_outcomes_of_requests(client: Client, mode: str, timeout_s: float, outcome: str):
    with running(TcpPeer(mode).begin) as peer:
        client.http(peer.port, [Arrival(0.01 * number, 1) for number in range(20)], timeout_s=timeout_s)
        client.run()
    rows = client.rows("flows")
    assert outcomes(rows) == client.summary()["workloads"]["jobs"]["outcomes"] == {outcome: 20}
    assert all(row["connected_s"] for row in rows)


def test_a_closed_port_resets_before_the_connection(client: Client):
    client.http(closed_port(socket.SOCK_STREAM), [Arrival(0, 1), Arrival(0.01, 1)])
    client.run()
    rows = client.rows("flows")
    assert outcomes(rows) == {"reset": 2}
    assert not any(row["connected_s"] for row in rows)


def test_requests_do_not_wait_for_each_other(client: Client):
    with running(TcpPeer("silent").begin) as peer:
        client.http(peer.port, [Arrival(0.001 * number, 1) for number in range(100)], timeout_s=60)
        process = client.start()
        wait_until(lambda: len(peer.requests) == 100, 10, "all requests, of which none is answered")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0
    assert outcomes(client.rows("flows")) == {"interrupted": 100}


def test_more_flows_than_sockets_are_counted(tmp_path: Path):
    client = Client(tmp_path, max_sockets=5)
    with running(TcpPeer("silent").begin) as peer:
        client.http(peer.port, [Arrival(0, 1)] * 20, timeout_s=0.5)
        client.run()
    assert outcomes(client.rows("flows")) == {"timeout": 5, "local_limit": 15}
    assert client.summary()["workloads"]["jobs"]["sending"]["achieved"] == 5


def test_calls_send_their_stream_and_measure_its_echo(client: Client):
    arrivals = [Arrival(0.05 * number, 0.5) for number in range(4)]
    with running(UdpPeer(echo).begin) as peer:
        client.rtp(peer.port, arrivals, timeout_s=30)
        client.run()
    rows, streams = client.rows("flows"), client.rows("rtp")
    assert outcomes(rows) == {"ok": 4}
    assert {row["kind"] for row in rows} == {"rtp_audio"}
    assert {row["flow_id"] for row in streams} == {row["flow_id"] for row in rows}
    for row in rows:
        assert (row["packets_sent"], row["packets_received"], row["requested_rate_pps"]) == ("25", "25", "50.000000")
        assert 0 < float(row["achieved_rate_pps"]) <= 50
    for stream in streams:
        assert (stream["direction"], stream["receiver"], stream["payload_type"]) == ("echo", "client-1", "0")
        assert (stream["packets_expected"], stream["packets_received"], stream["packets_lost"]) == ("25", "25", "0")
        assert 0 < float(stream["delay_mean_ms"]) <= float(stream["delay_max_ms"])
        packets = peer.received["127.0.0.1", int(stream["src_port"])]
        headers = [rtp_header.parse(packet) for packet in packets]
        assert {header.ssrc for header in headers} == {int(stream["ssrc"])}
        # The stream of 10 packets was sent two and a half times, as one stream without a seam.
        assert {(later.sequence - earlier.sequence) % 2**16 for earlier, later in pairwise(headers)} == {1}
        assert {(later.timestamp - earlier.timestamp) % 2**32 for earlier, later in pairwise(headers)} == {160}
        sent_s = [header.sent_ns / 1e9 for header in headers]
        assert sent_s == sorted(sent_s)
        assert sent_s[0] == pytest.approx(float(row_of(rows, stream)["started_s"]), abs=2e-6)
    assert len({stream["ssrc"] for stream in streams}) == 4


def row_of(rows: list[dict[str, str]], stream: dict[str, str]) -> dict[str, str]:
    return next(row for row in rows if row["flow_id"] == stream["flow_id"])


def test_video_is_sent_in_bursts_that_end_with_the_marker(client: Client):
    with running(UdpPeer(echo).begin) as peer:
        client.rtp(peer.port, [Arrival(0, 0.2)], media="video")
        client.run()
    (packets,) = peer.received.values()
    headers = [rtp_header.parse(packet) for packet in packets]
    (row,) = client.rows("flows")
    assert (row["kind"], row["outcome"], int(row["packets_sent"])) == ("rtp_video", "ok", len(packets))
    assert len({header.timestamp for header in headers}) == sum(header.marker for header in headers) == 6
    assert all(later.timestamp != header.timestamp for header, later in pairwise(headers) if header.marker)


def test_lost_repeated_and_foreign_packets_are_told_apart(client: Client):
    def answers(number: int, data: bytes) -> list[bytes]:
        if number % 5 == 4:
            return []
        if number % 5 == 1:
            return [data, data]
        return [b"\x80\x00junk", data] if number == 2 else [data]

    with running(UdpPeer(answers).begin) as peer:
        client.rtp(peer.port, [Arrival(0, 0.5)], timeout_s=1)
        client.run()
    (row,), (stream,) = client.rows("flows"), client.rows("rtp")
    assert (row["outcome"], row["packets_sent"], row["packets_received"]) == ("ok", "25", "20")
    assert (stream["packets_lost"], stream["duplicates"], stream["loss_fraction"]) == ("5", "5", "0.200000")
    assert client.summary()["workloads"]["calls"]["counts"] == {"malformed_packets": 1}


def test_a_silent_peer_is_no_answer_and_all_loss(client: Client):
    with running(UdpPeer(lambda *_: []).begin) as peer:
        client.rtp(peer.port, [Arrival(0, 0.1)], timeout_s=0.2)
        client.run()
    (row,), (stream,) = client.rows("flows"), client.rows("rtp")
    assert (row["outcome"], row["packets_sent"], row["packets_received"]) == ("no_answer", "5", "0")
    assert (stream["loss_fraction"], stream["jitter_ms"]) == ("1.000000", "")


def test_a_closed_udp_port_is_unreachable_and_does_not_stop_the_sender(client: Client):
    client.rtp(closed_port(socket.SOCK_DGRAM), [Arrival(0, 0.2)], timeout_s=0.2)
    client.run()
    (row,) = client.rows("flows")
    assert (row["outcome"], row["packets_sent"]) == ("unreachable", "10")
    assert client.summary()["workloads"]["calls"]["counts"]["icmp_errors"] > 0


def test_both_families_and_kinds_in_one_generator(tmp_path: Path):
    client = Client(tmp_path, source={"4": "127.0.0.1", "6": "::1"})
    with running(TcpPeer("answer", "::1").begin) as web, running(UdpPeer(echo, "::1").begin) as media:
        client.http(web.port, [Arrival(0.01 * number, None) for number in range(10)], d_sid="::1")
        client.rtp(media.port, [Arrival(0, 0.2)], d_sid="::1")
        client.run()
    assert outcomes(client.rows("flows")) == {"ok": 11}
    assert all(f"Host: [::1]:{web.port}\r\n".encode() in request for request in web.requests)
    assert {row["src"] for row in client.rows("flows")} == {"::1"}


def test_ready_before_the_start_and_silent_until_then(client: Client):
    with running(TcpPeer("answer").begin) as peer:
        client.http(peer.port, [Arrival(0, 1)])
        process = client.start(delay_s=3600)
        wait_until((client.folder / "client-1.ready").exists, 10, "the ready file")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert peer.requests == []
    assert process.returncode == 0
    assert client.rows("flows") == []
    assert client.summary()["interrupted"]
    assert client.summary()["workloads"]["jobs"]["flows_due"] == 1


def test_interrupted_calls_keep_what_they_measured(client: Client):
    with running(UdpPeer(echo).begin) as peer:
        client.rtp(peer.port, [Arrival(0, 600), Arrival(500, 600)])
        process = client.start()
        wait_until(lambda: any(len(packets) > 10 for packets in peer.received.values()), 10, "ten packets")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0
    (row,), (stream,) = client.rows("flows"), client.rows("rtp")
    assert row["outcome"] == "interrupted"
    assert 10 < float(row["requested_rate_pps"]) < 60  # of the part that was due, not of the ten minutes asked for
    assert int(stream["packets_received"]) > 5


def test_an_empty_schedule_ends_at_once(client: Client):
    client.http(80, [])
    client.run()
    assert client.summary()["workloads"]["jobs"]["flows_recorded"] == 0


def test_bad_input_is_one_line_and_exit_code_2(client: Client):
    client.http(0, [])
    process = client.start()
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert errors == f"{client.folder}/client-1.json: workloads[0].port must be in 1..65535, not 0\n"


def test_a_source_that_is_not_this_hosts_is_bad_input(tmp_path: Path):
    process = Client(tmp_path, source={"4": "192.0.2.77"}).start()
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "source: cannot bind to it here" in errors


@pytest.mark.root
def test_a_network_without_a_route_is_unreachable(client: Client):
    client.http(80, [Arrival(0, 1)], d_sid="203.0.113.10")
    client.rtp(5004, [Arrival(0, 0.1)], d_sid="203.0.113.11")
    client.run(prefix=("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"))
    assert outcomes(client.rows("flows")) == {"unreachable": 2}
    assert client.summary()["workloads"]["calls"]["sending"]["achieved"] == 0


def test_against_a_real_service_instance(client: Client, tmp_path: Path):
    http_port = closed_port(socket.SOCK_STREAM)
    admin_port = closed_port(socket.SOCK_STREAM, above=http_port + 1)
    rtp_port = closed_port(socket.SOCK_DGRAM)
    config = {
        "name": "render-1@here",
        "service": "render",
        "site": "here",
        "seed": 7,
        "http_port": http_port,
        "rtp_port": rtp_port,
        "admin_port": admin_port,
        "workers": 4,
        "queue_limit": 100,
        "speed": 1.0,
        "service_time": {"distribution": "constant", "mean_ms": 2},
        "packet_time": {"distribution": "constant", "mean_ms": 0.1},
        "mode": "clock",
        "cpu_limit": None,
        "out_dir": str(tmp_path),
        "sample_interval_s": 0.5,
    }
    (tmp_path / "instance.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "testbed.agents.instance", str(tmp_path / "instance.json")]
    instance = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        wait_until((tmp_path / "render-1@here.ready").exists, 10, "the instance")
        client.http(http_port, [Arrival(0.01 * number, 1.5) for number in range(50)], request_bytes=9000)
        client.rtp(rtp_port, [Arrival(0, 0.5)])
        client.run()
    finally:
        instance.terminate()
        instance.wait(10)
    rows = client.rows("flows")
    assert outcomes(rows) == {"ok": 51}
    assert {row["instance"] for row in rows if row["kind"] == "http"} == {"render-1@here"}
    affinity = whole_rows(tmp_path / "affinity.render-1@here.part.csv")
    seen = {(row["proto"], row["src_port"]) for row in affinity}
    assert {(row["proto"], row["src_port"]) for row in rows} <= seen
