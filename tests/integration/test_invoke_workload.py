"""Invocations by the generator process, against a server that answers as clusters, and who redirects to them, do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from testbed.faas.actions.action import Action, Code
from testbed.faas.activations.activation import Activation, Start
from testbed.faas.activations.outcome import Outcome, Status
from tests.integration.generator_process import Client, closed_port, outcomes, running
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival

ACTION = Action("guest", "echo", Code("python:3", "source"))
ACTIVATION = Activation(
    "0123abcd", ACTION, Outcome(Status.SUCCESS, {}), Start.COLD, 1000, 1090, wait_ms=60, start_ms=50, init_ms=30
)
AUTH = "me:secret"
_GONE_AT = 15  # the request that finds no function


class Cluster:
    """Answers as `mode` says; keeps the requests."""

    def __init__(self, mode: str = "activation", elsewhere: int = 0, address: str = "127.0.0.1") -> None:
        self._mode, self.elsewhere, self._address = mode, elsewhere, address
        self.fields: dict[str, str] = {}
        self.port = 0
        self.requests: list[tuple[str, str, bytes, str]] = []

    async def begin(self) -> Cluster:
        runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, self._address, 0)
        await site.start()
        self.port = runner.addresses[0][1]
        return self

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._mode == "at once":
            self.requests.append((request.method, str(request.rel_url), b"", ""))
            assert not request.can_read_body or request.headers["Expect"] == "100-continue"
            target = f"http://127.0.0.2:{self.elsewhere}{request.rel_url}"
            return web.Response(status=307, headers={"Location": target, **self.fields})
        said = (request.method, str(request.rel_url), await request.read(), request.headers.get("Authorization", ""))
        self.requests.append(said)
        if self._mode == "redirect":
            target = f"http://127.0.0.2:{self.elsewhere}{request.rel_url}"
            return web.Response(status=307, headers={"Location": target})
        if self._mode == "loop":
            return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{self.port}{request.rel_url}"})
        if self._mode == "nowhere":
            return web.Response(status=307)
        if self._mode == "silent":
            await asyncio.Event().wait()
        if self._mode == "garbage":
            return web.Response(body=b"\0\1\2")
        if self._mode == "gone" and len(self.requests) == _GONE_AT:
            return web.json_response({"error": "there is no such action"}, status=404)
        status = {"busy": 503, "often": 429, "late": 202, "failed": 502}.get(self._mode, 200)
        is_whole = self._mode in ("activation", "failed", "gone")
        document = ACTIVATION.document() if is_whole else {"activationId": "feed"}
        return web.json_response(document, status=status, headers=self.fields)


def _invoke(client: Client, port: int, count: int = 3, each_s: float = 0.01, **keys: object) -> None:
    arrivals = client.folder / "asks.csv"
    amount = 7.5 if "amount_parameter" in keys else None
    arrivals_file.write(arrivals, "work_ms", [Arrival(each_s * number, amount) for number in range(count)])
    bodies = []
    for number in range(2):
        bodies.append(str(client.folder / f"{number}.body.json"))
        Path(bodies[-1]).write_text(json.dumps({"payload": "x" * 100, "number": number}))
    client.workloads.append(
        {"kind": "invoke", "name": "asks", "service": "echo", "d_sid": "127.0.0.1", "port": port,
         "arrivals_file": str(arrivals), "auth": AUTH, "body_files": bodies,
         "names": {"127.0.0.1": "cluster@here", "127.0.0.2": "cluster@there"}, **keys}
    )  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def test_each_invocation_is_recorded_with_its_parts(client: Client):
    with running(Cluster().begin) as cluster:
        _invoke(client, cluster.port, count=50)
        client.run()
    assert [request[:2] for request in cluster.requests] == [
        ("POST", "/api/v1/namespaces/_/actions/echo?blocking=true")
    ] * 50
    assert [json.loads(request[2])["number"] for request in cluster.requests[:4]] == [0, 1, 0, 1], "bodies in turn"
    flows = {row["flow_id"]: row for row in client.rows("flows")}
    rows = client.rows("activations")
    assert outcomes(list(flows.values())) == {"ok": 50}
    assert len({row["src_port"] for row in flows.values()}) == 50
    for row in rows:
        flow = flows[row["flow_id"]]
        assert (flow["kind"], flow["service"], flow["instance"]) == ("invoke", "echo", "cluster@here")
        assert (row["function"], row["cluster"], row["asked"]) == ("echo", "cluster@here", "cluster@here")
        assert (row["start"], row["status"], row["activation_id"]) == ("cold", "success", "0123abcd")
        parts = [float(row[part]) for part in ("wait_ms", "start_ms", "init_ms", "run_ms")]
        assert parts == [10, 50, 30, 60]
        assert float(row["path_ms"]) == pytest.approx(float(row["response_ms"]) - 150, abs=1e-3)
        assert float(flow["completion_ms"]) == float(row["response_ms"])
    assert client.summary()["workloads"]["asks"]["sending"]["achieved"] == 50


def test_the_amount_of_an_arrival_is_a_parameter_of_its_invocation(client: Client):
    with running(Cluster().begin) as cluster:
        _invoke(client, cluster.port, amount_parameter="took_ms")
        client.run()
    sent = [json.loads(request[2]) for request in cluster.requests]
    assert [(of["took_ms"], of["number"], len(of["payload"])) for of in sent] == [(7.5, at, 100) for at in (0, 1, 0)]


def test_a_redirect_is_followed_and_its_time_known(client: Client):
    with running(Cluster(address="127.0.0.2").begin) as there, running(Cluster("redirect", there.port).begin) as here:
        _invoke(client, here.port)
        client.run()
    assert len(here.requests) == len(there.requests) == 3
    assert {request[2:] for request in here.requests} == {request[2:] for request in there.requests}
    for row in client.rows("activations"):
        assert (row["asked"], row["cluster"], row["redirects"]) == ("cluster@here", "cluster@there", "1")
        assert float(row["redirect_ms"]) > 0
        assert float(row["path_ms"]) == pytest.approx(
            float(row["response_ms"]) - 150 - float(row["redirect_ms"]), abs=1e-3
        )
    assert {row["dst"] for row in client.rows("flows")} == {"127.0.0.2"}


def test_who_only_says_where_to_go_gets_no_parameters(client: Client):
    here = Cluster("at once")
    with running(Cluster(address="127.0.0.2").begin) as there:
        here.elsewhere = there.port
        with running(here.begin):
            _invoke(client, here.port, first_answer="redirect")
            client.run()
    assert [request[2] for request in here.requests] == [b""] * 3, "it took no body"
    assert [json.loads(request[2])["number"] for request in there.requests] == [0, 1, 0]
    assert outcomes(client.rows("flows")) == {"ok": 3}
    assert {row["redirects"] for row in client.rows("activations")} == {"1"}


def _steered(client: Client, here: Cluster, there: Cluster, **keys: object) -> None:
    """Have 20 users ask who says that all is at 127.0.0.2, where whoever answers says who it is."""
    here.elsewhere = there.port
    there.fields = {"X-Dyncast-Instance": "cluster@far"}
    with running(here.begin):
        first = {"asked_first": ["127.0.0.1", here.port], "d_sid": "127.0.0.2", "names": {"127.0.0.1": "who@here"}}
        _invoke(client, there.port, count=20, each_s=0.1, first_answer="redirect", **{**first, **keys})
        client.run()


def test_where_to_go_is_kept_for_as_long_as_is_said_and_the_answer_says_who_it_is(client: Client):
    here, there = Cluster("at once"), Cluster(address="127.0.0.2")
    here.fields = {"Cache-Control": "max-age=3600"}
    with running(there.begin):
        _steered(client, here, there)
    assert len(there.requests) == 20 and 1 <= len(here.requests) < 20
    rows = client.rows("activations")
    assert {row["cluster"] for row in rows} == {"cluster@far"}
    assert {(row["asked"], row["redirects"]) for row in rows} == {("who@here", "1"), ("127.0.0.2", "0")}
    assert {row["instance"] for row in client.rows("flows")} == {"cluster@far"}
    assert outcomes(client.rows("flows")) == {"ok": 20}


def test_without_that_everybody_is_told_anew(client: Client):
    here, there = Cluster("at once"), Cluster(address="127.0.0.2")
    with running(there.begin):
        _steered(client, here, there)
    assert len(here.requests) == 20


def test_what_is_kept_is_forgotten_where_the_function_is_no_more(client: Client):
    here, there = Cluster("at once"), Cluster("gone", address="127.0.0.2")
    here.fields = {"Cache-Control": "max-age=3600"}
    with running(there.begin):
        _steered(client, here, there)
    assert outcomes(client.rows("flows")) == {"ok": 20}, "whoever had kept it asked again"
    assert len(there.requests) == 21 and len(here.requests) >= 2


def test_what_is_kept_is_forgotten_where_nobody_serves(client: Client):
    import socket

    here = Cluster("at once")
    here.elsewhere = closed_port(socket.SOCK_STREAM)
    here.fields = {"Cache-Control": "max-age=3600"}
    with running(here.begin):
        first = {"asked_first": ["127.0.0.1", here.port], "d_sid": "127.0.0.2"}
        _invoke(client, here.elsewhere, each_s=0.3, first_answer="redirect", **first)
        client.run()
    assert outcomes(client.rows("flows")) == {"reset": 3}
    assert len(here.requests) == 3, "each asked again where to go"


@pytest.mark.parametrize(
    ("mode", "outcome", "status"),
    [
        ("busy", "refused", "503"),
        ("often", "refused", "429"),
        ("late", "timeout", "202"),
        ("failed", "error", "502"),
        ("garbage", "ok", "200"),
        ("loop", "error", "307"),
        ("nowhere", "error", "307"),
        ("silent", "timeout", ""),
    ],
)
def test_whatever_is_answered_has_an_outcome(mode: str, outcome: str, status: str, client: Client):
    with running(Cluster(mode).begin) as cluster:
        _invoke(client, cluster.port, timeout_s=0.5 if mode == "silent" else 20)
        client.run()
    assert outcomes(client.rows("flows")) == {outcome: 3}
    assert {row["http_status"] for row in client.rows("activations")} == {status}


def test_nobody_there_is_a_reset(client: Client):
    import socket

    _invoke(client, closed_port(socket.SOCK_STREAM))
    client.run()
    assert outcomes(client.rows("flows")) == {"reset": 3}
    assert {row["cluster"] for row in client.rows("activations")} == {""}


def test_who_is_interrupted_says_so_of_each_invocation_that_was_due(client: Client):
    with running(Cluster("silent").begin) as cluster:
        _invoke(client, cluster.port)
        process = client.start()
        from testbed.runtime.polling import wait_until

        wait_until(lambda: len(cluster.requests) == 3, 20, "all invocations")
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert outcomes(client.rows("flows")) == {"interrupted": 3}


def test_bodies_that_are_not_there_are_named(client: Client):
    _invoke(client, 1, body_files=[str(client.folder / "none.json")])
    process = client.start()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "workloads[0].body_files[0] cannot be read" in errors
