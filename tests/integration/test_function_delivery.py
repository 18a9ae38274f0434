"""Figure 2 of the draft by real processes: users ask, functions go where ALTO says, and move with the network."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from testbed.runtime.polling import wait_until
from tests.edge_platform import (
    EAST,
    USER,
    USERS,
    WEST,
    Platform,
    alto_client,
    alto_server,
    ask,
    cluster_client,
    platform,
)

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


@pytest.fixture
def standing(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as running:
        yield running


def test_a_function_goes_where_alto_says_serves_users_there_and_moves_when_the_path_degrades(
    standing: Platform,
) -> None:
    assert standing.invoke("echo", {"a": 1}).document == {"said": {"a": 1}}
    assert standing.sent_to("echo") == EAST
    assert [one.state()["actions"] for one in standing.clusters.values()] == [["echo"], []]

    standing.rtt_ms[EAST] = 2000.0
    wait_until(lambda: standing.sent_to("echo") == WEST, 60, "users to be sent elsewhere")
    assert standing.clusters[WEST].state()["actions"] == ["echo"]
    assert standing.invoke("echo", {"a": 2}).document == {"said": {"a": 2}}

    wait_until(lambda: len(standing.rows("orders", "cluster-client")) == 2, 30, "the rows")
    orders = standing.rows("orders", "cluster-client")
    assert [(row["order"], row["cluster"], row["outcome"]) for row in orders] == [
        ("deliver", EAST, "done"),
        ("deliver", WEST, "done"),
    ]
    first, *_ = standing.rows("placements", "cluster-client")
    assert (first["function"], first["site"], first["src"]) == ("echo", USERS, USER)
    assert (first["outcome"], first["cluster"]) == ("redirected", EAST)
    assert float(first["waited_ms"]) > 0 and float(first["path_ms"]) == pytest.approx(10, abs=2)
    assert 0 <= float(first["age_s"]) < 30
    rows = standing.rows("alto", "alto-client")
    assert {row["kind"] for row in rows} == {"request", "update", "list"}
    assert all(int(row["bytes"]) > 0 for row in rows if row["outcome"] == "200")


def test_answers_that_it_cannot_be_have_the_form_of_the_clusters_api(standing: Platform) -> None:
    url = standing.url("cluster-client")
    unknown = standing.invoke("nothing")
    assert unknown.status == 404
    assert unknown.document["error"] == "there is no function 'nothing'; there are: echo" and unknown.document["code"]
    assert ask(f"{url}/api/v1/namespaces/_/actions/echo", "DELETE").status == 405
    assert ask(f"{url}/api/v1/namespaces/_/triggers/echo", "POST").status == 404
    assert ask(f"{url}/").document["waiting"] == 0


def test_questions_to_the_alto_client_that_mean_nothing_are_refused(standing: Platform) -> None:
    url = standing.url("alto-client")
    assert ask(f"{url}/clusters?address=here").document == {"error": "address must be an IP address, not 'here'"}
    assert [ask(f"{url}/clusters", "POST", {}).status, ask(f"{url}/maps").status] == [405, 404]
    assert ask(f"{url}/clusters", source=USER).document["pid"] == USERS
    assert 0 <= ask(f"{url}/").document["age_s"] < 30


def test_a_server_that_comes_back_is_followed_again_and_meanwhile_the_last_list_counts(standing: Platform) -> None:
    standing.invoke("echo")
    standing.end("alto", signal.SIGKILL)
    assert standing.sent_to("echo") == EAST
    standing.rtt_ms[EAST] = 2000.0
    standing.start(alto_server(standing))
    wait_until(lambda: standing.sent_to("echo") == WEST, 60, "users to be sent elsewhere")


def test_an_alto_client_that_comes_back_is_asked_again(standing: Platform) -> None:
    standing.end("alto-client", signal.SIGKILL)
    standing.start(alto_client(standing))
    assert standing.invoke("echo", {"b": 2}).document == {"said": {"b": 2}}


def test_users_wait_for_a_delivery_and_it_goes_on_when_the_repository_is_back(standing: Platform) -> None:
    standing.repository.kill()
    with ThreadPoolExecutor() as users:
        waiting = [users.submit(standing.invoke, "echo", {"c": number}) for number in range(3)]
        wait_until(lambda: ask(standing.url("cluster-client")).document["waiting"] == 3, 30, "users that wait")
        standing.repository.start_again()
        assert [one.result().document for one in waiting] == [{"said": {"c": number}} for number in range(3)]
    wait_until(lambda: standing.rows("orders", "cluster-client"), 30, "the row of the one delivery")
    assert len(standing.rows("orders", "cluster-client")) == 1


def test_a_user_that_leaves_is_forgotten(standing: Platform) -> None:
    standing.repository.kill()
    url = standing.url("cluster-client")
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as user:
        user.sendall(b"POST /api/v1/namespaces/_/actions/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: ask(url).document["waiting"] == 1, 30, "the user to wait")
    wait_until(lambda: ask(url).document["waiting"] == 0, 30, "the user to be forgotten")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"functions": {"detect": {}}}, 2, "functions.detect is not in the repository; there are: echo"),
        ({"policy": "best"}, 2, "policy must be one of"),
        ({"policy": "cloud"}, 2, "policy_parameters: cloud: "),
        ({"functions": {"echo": {"held_by": ["north"]}}}, 2, "functions.echo.held_by names 'north'"),
    ],
)
def test_a_cluster_client_that_cannot_be_says_so_in_one_line(
    standing: Platform, changes: dict[str, object], code: int, words: str
) -> None:
    path = standing.folder / "wrong.json"
    path.write_text(json.dumps({**cluster_client(standing).to_document(), "port": 0, "name": "wrong", **changes}))
    command = [sys.executable, "-m", "testbed.agents.cluster_client", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert words in line


def test_a_cluster_that_is_lost_is_left_and_users_are_served_elsewhere(standing: Platform) -> None:
    standing.invoke("echo")
    standing.end(EAST, signal.SIGKILL)
    wait_until(lambda: standing.sent_to("echo") == WEST, 60, "users to be sent elsewhere")
    assert standing.invoke("echo", {"d": 4}).document == {"said": {"d": 4}}
