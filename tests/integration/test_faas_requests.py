"""Requests to a cluster over sockets: too long, cut off, by clients that leave; and options that cannot be."""

from __future__ import annotations

import base64
import io
import json
import socket
import zipfile
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from testbed.runtime.polling import wait_until
from tests.faas_process import ClusterOfTest, cluster
from tests.machine import dyncast

pytestmark = [pytest.mark.root]
ACTIONS = "/api/v1/namespaces/_/actions"


@pytest.fixture(scope="module")
def standing() -> Iterator[ClusterOfTest]:
    with cluster("--memory", "512") as running:
        yield running


def connected(running: ClusterOfTest) -> socket.socket:
    parts = urlsplit(running.url)
    assert parts.hostname is not None
    return socket.create_connection((parts.hostname, parts.port or 0), timeout=30)


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1])


def test_a_body_beyond_the_limit_is_refused_before_it_is_sent(standing: ClusterOfTest) -> None:
    with connected(standing) as opened:
        opened.sendall(b"POST %s/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000000\r\n\r\n" % ACTIONS.encode())
        assert status_of(opened.recv(1 << 16)) == 413


def test_a_body_of_unknown_length_is_refused_where_it_gets_too_long(standing: ClusterOfTest) -> None:
    with connected(standing) as opened:
        opened.sendall(b"POST %s/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % ACTIONS.encode())
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        try:
            for _ in range(40):
                opened.sendall(chunk)
        except OSError:  # it does not read on
            pass
        assert status_of(opened.recv(1 << 16)) == 413


def test_what_is_no_http_ends_its_connection_alone(standing: ClusterOfTest) -> None:
    for octets in (b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n"):
        with connected(standing) as opened:
            opened.sendall(octets)
            assert status_of(opened.recv(1 << 16)) == 400
    assert standing.ask("GET", "actions").status == 200


def test_a_client_that_sends_half_a_request_holds_nobody_up(standing: ClusterOfTest) -> None:
    with connected(standing) as opened:
        opened.sendall(b"PUT %s/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{" % ACTIONS.encode())
        assert standing.ask("GET", "actions").status == 200


def test_a_client_that_leaves_does_not_end_its_activation(standing: ClusterOfTest) -> None:
    standing.create("nap", "import time\ndef main(args):\n    time.sleep(0.5)\n    return {'napped': True}")
    with connected(standing) as opened:
        head = f"POST {ACTIONS}/nap?blocking=true HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        opened.sendall(f"{head}Authorization: {standing.authorization}\r\n\r\n{{}}".encode())
        wait_until(lambda: standing.state()["in_flight"] == 1, 20, "the activation")
    wait_until(lambda: standing.state()["in_flight"] == 0, 20, "its end")
    (record,) = standing.ask("GET", "activations?name=nap&docs=true").document
    assert record["response"]["result"] == {"napped": True}


def test_a_result_beyond_the_limit_is_an_error_and_the_next_run_is_well(standing: ClusterOfTest) -> None:
    standing.create("long", "def main(args):\n    return {'x': 'y' * args['n']}")
    assert len(standing.result("long", {"n": 100_000})["x"]) == 100_000
    reply = standing.invoke("long", {"n": 3_000_000})
    assert (reply.status, reply.document["response"]["status"]) == (502, "application error")
    assert standing.result("long", {"n": 1}) == {"x": "y"}


def test_logs_beyond_the_limit_are_cut_and_say_so(standing: ClusterOfTest) -> None:
    source = "def main(args):\n    for _ in range(40):\n        print('z' * 50_000)\n    return {}"
    standing.create("chatty", source, limits={"logs": 1})
    logs = standing.invoke("chatty").document["logs"]
    assert sum(map(len, logs)) < 1_200_000
    assert "log limit" in logs[-1]


def test_a_code_archive_that_is_a_bomb_is_refused(standing: ClusterOfTest) -> None:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("__main__.py", "")
        opened.writestr("zeros", bytes(300 << 20))
    reply = standing.create("bomb", base64.b64encode(octets.getvalue()).decode(), exec={"binary": True})
    assert reply.status == 400 and "unpacks to" in reply.document["error"]


def test_a_function_larger_than_the_cluster_is_refused(standing: ClusterOfTest) -> None:
    reply = standing.create("huge", limits={"memory": 1024})
    assert reply.status == 400 and "limits.memory must be in 32..512" in reply.document["error"]


def test_the_queue_and_the_slots_are_limits() -> None:
    with cluster("--slots", "1", "--queue", "1") as small:
        small.create("nap", "import time\ndef main(args):\n    time.sleep(3)\n    return {}")
        statuses = [small.ask("POST", "actions/nap", {}).status for _ in range(3)]
        assert statuses == [202, 202, 503]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sandbox", "jail"], "sandbox"),
        (["--auth", "nokey"], "uuid:key"),
        (["--layer", "x"], "NAME=FOLDER"),
        (["--layer", "x=/no/such"], "/no/such"),
        (["--prewarm", "python:3=many"], "integer"),
        (["--prewarm", "cobol=1"], "cobol"),
    ],
)
def test_an_option_that_cannot_be_is_one_line(options: list[str], said: str) -> None:
    done = dyncast("faas", "--port", "0", *options)
    assert done.returncode in (1, 2)
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_one_line(standing: ClusterOfTest) -> None:
    done = dyncast("faas", "--port", str(urlsplit(standing.url).port))
    assert done.returncode == 1
    assert "choose another port" in done.stderr and "Traceback" not in done.stderr


def test_the_answer_is_json_with_the_transaction(standing: ClusterOfTest) -> None:
    with connected(standing) as opened:
        opened.sendall(b"GET /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nConnection: close\r\n\r\n")
        received = b""
        while part := opened.recv(1 << 16):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert status_of(head) == 401 and b"WWW-Authenticate: Basic" in head
    assert json.loads(body)["code"] == "mine"
