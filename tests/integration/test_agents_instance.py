"""A service instance as a real process, with real clients: curl, ffmpeg, plain sockets. Loopback only."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.agents.host import state_socket
from testbed.rtp import header as rtp_header
from testbed.runtime.polling import wait_until
from tests.integration.agent_processes import NAME, RunningInstance, Start, ask, curl, launcher


@pytest.fixture(name="start")
def fixture_start(tmp_path: Path) -> Iterator[Start]:
    with launcher(tmp_path) as start:
        yield start


@pytest.fixture(name="instance")
def fixture_instance(start: Start) -> RunningInstance:
    return start()


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@needs_curl
def test_curl_gets_its_answer_in_both_families(instance: RunningInstance) -> None:
    for host in ("127.0.0.1", "[::1]"):
        answer = curl("-i", f"http://{host}:{instance.http}/?work_ms=5")
        lines = answer.splitlines()
        assert lines[0] == "HTTP/1.1 200 OK"
        assert {f"X-Dyncast-Instance: {NAME}", "X-Dyncast-Service-Ms: 5.000"} <= set(lines)
    assert instance.metrics()["completed"] == 2
    assert instance.stop() == 0
    flows = instance.table("affinity")
    assert [(flow["proto"], flow["src"], flow["dst"]) for flow in flows] == [
        ("tcp", "127.0.0.1", "127.0.0.1"),
        ("tcp", "::1", "::1"),
    ]
    assert all(int(flow["dst_port"]) == instance.http and int(flow["packets"]) >= 3 for flow in flows)


@needs_curl
def test_head_post_and_sizes(instance: RunningInstance) -> None:
    url = f"http://127.0.0.1:{instance.http}/?work_ms=1"
    assert len(curl(f"{url}&bytes=3000000")) == 3_000_000
    assert "Content-Length: 77" in curl("-I", f"{url}&bytes=77")
    body = instance.folder / "body"
    body.write_bytes(bytes(2_000_000))  # large enough for curl to ask for leave (100-continue)
    assert curl("--data-binary", f"@{body}", url) == f"{NAME}\n"
    assert curl("-H", "Transfer-Encoding: chunked", "--data-binary", f"@{body}", url) == f"{NAME}\n"


_REQUEST = """
import socket, sys
name, state = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as opened, opened.makefile("rb") as answers:
    opened.connect("\\0" + name)
    opened.sendall(state.encode() + b"\\n")
    sys.stdout.buffer.write(answers.readline())
"""


def requested(instance: RunningInstance, state: str, user: int | None = None) -> str:
    """What the instance answers a process of a user that requests a state."""
    name = state_socket.NAME.format(admin_port=instance.admin).removeprefix("\0")
    argv = ["/usr/bin/python3", "-c", _REQUEST, name, state]
    return subprocess.run(argv, user=user, capture_output=True, text=True, check=False).stdout


@needs_curl
def test_an_instance_that_is_told_to_drain_says_so_and_serves_on(instance: RunningInstance) -> None:
    assert instance.metrics()["state"] == "up"
    for state in ("draining", "up"):
        assert requested(instance, state) == f"{state}\n"
        assert instance.metrics()["state"] == state
        assert "200 OK" in curl("-i", f"http://127.0.0.1:{instance.http}/?work_ms=1")
    assert requested(instance, "asleep") == "refused\n"
    assert instance.metrics()["state"] == "up"


@needs_curl
def test_no_client_changes_the_state_of_an_instance(instance: RunningInstance) -> None:
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    for method in ("PUT", "POST", "DELETE"):
        assert curl(*status, "-X", method, f"http://127.0.0.1:{instance.admin}/state/draining") == "404"
        curl(*status, "-X", method, f"http://127.0.0.1:{instance.http}/state/draining")
    assert curl(*status, "-X", "PUT", f"http://127.0.0.1:{instance.admin}/metrics") == "405"
    assert instance.metrics()["state"] == "up"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_no_other_user_changes_the_state_of_an_instance(instance: RunningInstance) -> None:
    assert requested(instance, "draining", user=65534) == ""
    assert instance.metrics()["state"] == "up"


@needs_curl
def test_bad_requests_are_answered_and_counted(instance: RunningInstance) -> None:
    url = f"http://127.0.0.1:{instance.http}/"
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    assert curl(*status, f"{url}?work_ms=soon") == "400"
    assert curl(*status, f"{url}?work_ms=nan") == "400"
    assert curl(*status, f"{url}?bytes=-1") == "400"
    assert curl(*status, "-X", "PUT", url) == "405"
    assert curl(*status, "-H", f"X: {'a' * 20_000}", url) == "431"
    assert curl(*status, f"http://127.0.0.1:{instance.admin}/elsewhere") == "404"
    metrics = instance.metrics()
    assert (metrics["malformed"], metrics["completed"]) == (5, 0)


def test_the_full_queue_refuses_with_503(instance: RunningInstance) -> None:
    """Two workers and two places: of seven jobs at once four are taken."""

    async def burst() -> list[bytes]:
        return await asyncio.gather(*(ask(instance.http, 1500) for _ in range(7)))

    answers = asyncio.run(burst())
    assert sorted(answer.split(b" ")[1] for answer in answers) == [b"200"] * 4 + [b"503"] * 3
    assert all(NAME.encode() in answer for answer in answers)
    waits = sorted(
        float(answer.split(b"X-Dyncast-Wait-Ms: ")[1].split(b"\r")[0]) for answer in answers if b" 200 " in answer
    )
    assert waits[1] < waits[2]
    metrics = instance.metrics()
    assert (metrics["completed"], metrics["refused"]) == (4, 3)


def test_hundreds_of_connections_at_once(start: Start) -> None:
    running = start(workers=400, queue_limit=0)

    async def burst() -> list[bytes]:
        return await asyncio.gather(*(ask(running.http, 300) for _ in range(400)))

    answers = asyncio.run(burst())
    assert {answer.split(b" ")[1] for answer in answers} == {b"200"}
    assert running.stop() == 0
    assert len(running.table("affinity")) == 400


@needs_curl
def test_the_job_of_a_client_that_leaves_is_done_all_the_same(instance: RunningInstance) -> None:
    with socket.create_connection(("127.0.0.1", instance.http)) as client:
        client.sendall(b"GET /?work_ms=300 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: instance.metrics()["busy_workers"] == 1, what="the job to start")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert instance.metrics()["sessions"] in (0, 1)
    wait_until(lambda: instance.metrics()["completed"] == 1, what="the job to finish")
    wait_until(lambda: instance.metrics()["abandoned"] == 1, what="the answer to be given up")


def test_requests_on_one_connection_are_answered_in_order(instance: RunningInstance) -> None:
    """Pipelined, half-closed, the longer job first."""
    with socket.create_connection(("127.0.0.1", instance.http), timeout=10) as client:
        client.sendall(
            b"GET /?work_ms=30&bytes=3 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /?work_ms=1&bytes=5 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /?work_ms=1&bytes=4 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(65536):
            answer += part
    lengths = [line for line in answer.split(b"\r\n") if line.startswith(b"Content-Length")]
    assert lengths == [b"Content-Length: 3", b"Content-Length: 5", b"Content-Length: 4"]
    assert answer.endswith(b"\r\n\r\nrend")


def rtp_packet(sequence: int, sent_ns: int | None = None) -> bytes:
    extension = b"" if sent_ns is None else rtp_header.sent_extension(sent_ns)
    return (
        struct.pack("!BBHII", 0x90 if extension else 0x80, 0, sequence, sequence * 160, 0xCAFE) + extension + b"v" * 160
    )


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.5"), (socket.AF_INET6, "::1")])
def test_packets_come_back_unchanged_from_the_address_they_went_to(
    instance: RunningInstance, family: socket.AddressFamily, address: str
) -> None:
    packets = [rtp_packet(number, time.monotonic_ns()) for number in range(20)]
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect((address, instance.rtp))  # a connected socket takes answers from there only
        for packet in packets:
            client.send(packet)
            assert client.recv(2000) == packet
        client.send(b"not RTP")
        port = client.getsockname()[1]
    wait_until(lambda: instance.metrics()["malformed"] == 1, what="the malformed packet to be counted")
    assert instance.metrics()["sessions"] == 1
    assert instance.stop() == 0
    (row,) = instance.table("rtp")
    assert (row["direction"], row["src_port"], row["ssrc"]) == ("up", str(port), str(0xCAFE))
    assert (row["packets_expected"], row["packets_received"], row["packets_lost"]) == ("20", "20", "0")
    assert 0 < float(row["delay_mean_ms"]) <= float(row["delay_max_ms"])
    (flow,) = instance.table("affinity")
    assert (flow["dst"], flow["dst_port"], flow["packets"]) == (address, str(instance.rtp), "21")


def test_packets_that_find_the_queue_full_are_lost_and_counted(start: Start) -> None:
    running = start(workers=1, queue_limit=3, packet_time={"distribution": "constant", "mean_ms": 1000})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", running.rtp))
        for number in range(10):
            client.send(rtp_packet(number))
        echoed = [struct.unpack_from("!H", client.recv(2000), 2)[0] for _ in range(4)]
    assert echoed == [0, 1, 2, 3]
    assert running.stop() == 0
    assert running.table("instances")[-1]["refused"] == "6"


def test_a_sender_report_is_answered_with_a_report_about_its_stream(instance: RunningInstance) -> None:
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0xCAFE, 0x11112222, 0x33334444, 0, 3, 480)
    bye = struct.pack("!BBHI", 0x81, 203, 1, 0xCAFE)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
    ):
        media.settimeout(10)
        control.settimeout(10)
        for number in (0, 1, 3):
            media.sendto(rtp_packet(number), ("127.0.0.1", instance.rtp))
            media.recv(2000)
        control.connect(("127.0.0.1", instance.rtp + 1))
        control.send(report)
        answer = control.recv(2000)
        # The same on the RTP port, as with rtcp-mux.
        media.sendto(report, ("127.0.0.1", instance.rtp))
        assert media.recv(2000)[1] == 201
        control.send(bye)
        wait_until(lambda: instance.metrics()["sessions"] == 0, timeout_s=1.5, what="the goodbye to be heard")
    assert answer[:2] == b"\x81\xc9"
    ssrc, lost, highest, _, last_report, _ = struct.unpack_from("!IIIIII", answer, 8)
    assert (ssrc, lost & 0xFFFFFF, highest, last_report) == (0xCAFE, 1, 3, 0x22223333)
    assert NAME.encode() in answer


@needs_ffmpeg
def test_ffmpeg_streams_a_call_without_loss(instance: RunningInstance) -> None:
    source = ["-re", "-f", "lavfi", "-i", "sine", "-t", "2", "-ar", "8000", "-acodec", "pcm_mulaw"]
    command = ["ffmpeg", "-v", "error", *source, "-f", "rtp", f"rtp://127.0.0.1:{instance.rtp}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=60)
    assert instance.stop() == 0
    (row,) = instance.table("rtp")
    assert (row["payload_type"], row["packets_lost"], row["duplicates"]) == ("0", "0", "0")
    assert int(row["packets_received"]) == int(row["packets_expected"]) > 50
    assert row["delay_mean_ms"] == ""  # ffmpeg's packets carry no sending time


def test_load_is_written_at_each_interval(instance: RunningInstance) -> None:
    wait_until(lambda: len(instance.table("instances")) > 3, what="rows of load")
    assert instance.stop() == 0
    rows = instance.table("instances")
    assert {(row["instance"], row["site"], row["workers"]) for row in rows} == {(NAME, "chicago", "2")}
    times = [float(row["time_s"]) for row in rows]
    assert times == sorted(times)


def test_a_port_taken_is_one_line_and_nothing_is_ready(tmp_path: Path, start: Start) -> None:
    first = start()
    second = tmp_path / "second"
    second.mkdir()
    rival = start(folder=second, ready=False, http_port=first.http)
    error = f"{NAME}: http_port {first.http} is taken; end the process that holds it or choose another\n"
    assert rival.outcome() == (1, error)
    assert not (second / f"{NAME}.ready").exists()


def test_a_bad_configuration_is_one_line_and_exit_code_2(tmp_path: Path, start: Start) -> None:
    error = f"{tmp_path / 'config.json'}: workers must be an integer, not 'four'\n"
    assert start(ready=False, workers="four").outcome() == (2, error)


def test_a_full_disk_is_one_line(tmp_path: Path, start: Start) -> None:
    (tmp_path / f"instances.{NAME}.part.csv").symlink_to("/dev/full")
    code, error = start(ready=False).outcome()
    assert code == 1
    assert "No space left on device" in error
    assert error.count("\n") == 1
