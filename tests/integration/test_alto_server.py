"""The ALTO server on loopback, asked by our client, by curl and by clients that misbehave; without root."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from testbed.agents.alto_client.session import Session, Unreachable
from testbed.agents.alto_server import certificates
from testbed.agents.alto_server.limits import Limits
from testbed.agents.alto_server.server import CannotListen, Place
from testbed.agents.http.tls import TlsError, TlsFiles, server_context
from testbed.alto import media_types
from testbed.alto.client import answers, requests
from testbed.alto.client.answer_errors import AltoOverloaded
from testbed.alto.client.contents import content
from testbed.alto.client.requests import CostQuestion
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.network.static_knowledge import DELAY
from testbed.alto.service.exchange import Answer, Request
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.updates.following.client import UpdateClient
from testbed.alto.updates.stream_requests import AddSubstream
from testbed.runtime.polling import wait_until
from tests.integration.alto_server_thread import Running, abilene, serving

pytestmark = pytest.mark.timeout(120)

COST_PARAMS = json.dumps(
    {
        "cost-type": {"cost-metric": "hopcount", "cost-mode": "numerical"},
        "endpoints": {"srcs": ["ipv4:172.31.0.1"], "dsts": ["ipv4:172.31.0.2", "ipv6:fd00:f::1"]},
    }
)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with serving(Place()) as found:
        yield found


def curl(*arguments: str) -> tuple[int, dict[str, list[str]], bytes]:
    """Run curl and return the status, the last headers, and the body."""
    done = subprocess.run(["curl", "-sS", "-i", "--max-time", "20", *arguments], capture_output=True, check=True)
    rest, head = done.stdout, b""
    while rest.startswith(b"HTTP/"):
        head, _, rest = rest.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers.setdefault(name.lower(), []).append(value)
    return int(status.split()[1]), headers, rest


def fetched(request: Request, **session: Any) -> Answer:
    async def ask() -> Answer:
        async with Session(**session) as open_session:
            return await open_session.fetch(request)

    return asyncio.run(ask())


# -- services


def test_our_client_finds_and_reads_every_resource(running: Running) -> None:
    async def ask() -> None:
        async with Session() as session:
            closure = await session.walk(running.url)
            assert closure.problems == []
            assert closure.default_network_map == "net"
            known = answers.network_map(running.url, await session.fetch(requests.whole(closure["net"])))
            assert known.pid_of("ipv4:172.31.0.2") == "ATLAng"
            assert known.pid_of("ipv6:2001:db8::1") == "default"
            filtered = await session.fetch(requests.filtered_network_map(closure["net-filtered"], ["ATLAng"]))
            assert set(answers.network_map(running.url, filtered).pids) == {"ATLAng"}
            for name in ("routingcost", "hopcount", "delay-ow"):
                for mode in ("numerical", "ordinal"):
                    resource = closure[f"{name}-{mode}"]
                    costs = answers.cost_map(resource.uri, await session.fetch(requests.whole(resource)))
                    answers.check_version(resource.uri, costs.dependent_vtags, known)
                    assert len(costs.rows) == 12
            question = CostQuestion(closure["hopcount-numerical"].cost_types, ("eq 1",))
            resource = closure["costs-filtered"]
            near = await session.fetch(requests.filtered_cost_map(resource, question, ["ATLAM5"]))
            assert answers.cost_map(resource.uri, near).rows == {"ATLAM5": {"ATLAng": 1}}
            resource = closure["endpoint-costs"]
            asked = requests.endpoint_costs(resource, question, ["ipv4:172.31.0.1"], ["ipv4:172.31.0.2"])
            costs = answers.endpoint_costs(resource.uri, await session.fetch(asked))
            assert costs.rows == {"ipv4:172.31.0.1": {"ipv4:172.31.0.2": 1}}
            resource = closure["endpoint-properties"]
            asked = requests.endpoint_properties(resource, ["net.pid", "priv:node"], ["ipv4:172.31.0.3"])
            said = answers.endpoint_properties(resource.uri, await session.fetch(asked))
            assert said.values == {"ipv4:172.31.0.3": {"net.pid": "CHINng", "priv:node": "CHINng"}}
            resource = closure["properties"]
            said = answers.property_map(resource.uri, await session.fetch(requests.whole(resource)))
            assert said.values["net.pid:CHINng"][".kind"] == "router"
            resource = closure["properties-filtered"]
            asked = requests.filtered_property_map(resource, [".kind"], ["net.pid:CHINng"])
            said = answers.property_map(resource.uri, await session.fetch(asked))
            assert said.values == {"net.pid:CHINng": {".kind": "router"}}

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "media_type", "sent_as", "body"),
    [
        ("/directory", media_types.DIRECTORY, "", ""),
        ("/net", media_types.NETWORK_MAP, "", ""),
        ("/costs/delay-ow-ordinal", media_types.COST_MAP, "", ""),
        ("/net/filtered", media_types.NETWORK_MAP, media_types.NETWORK_MAP_FILTER, '{"pids": []}'),
        ("/endpoints/costs", media_types.ENDPOINT_COSTS, media_types.ENDPOINT_COST_PARAMS, COST_PARAMS),
        ("/properties", media_types.PROPERTY_MAP, "", ""),
    ],
)
def test_curl_is_answered(running: Running, path: str, media_type: str, sent_as: str, body: str) -> None:
    posted = ["-H", f"Content-Type: {sent_as}", "-d", body] if sent_as else []
    status, headers, answer = curl(running.at(path), *posted)
    assert (status, headers["content-type"]) == (200, [media_type])
    assert int(headers["content-length"][0]) == len(answer)
    assert "meta" in json.loads(answer)


def test_head_has_the_length_of_get_and_no_body(running: Running) -> None:
    _, whole, body = curl(running.at("/net"))
    status, headers, nothing = curl("-I", running.at("/net"))
    assert (status, nothing) == (200, b"")
    assert headers["content-length"] == whole["content-length"] == [str(len(body))]


def test_a_bad_request_has_the_rfcs_error(running: Running) -> None:
    body = COST_PARAMS.replace("hopcount", "beauty")
    params = f"Content-Type: {media_types.ENDPOINT_COST_PARAMS}"
    status, headers, answer = curl(running.at("/endpoints/costs"), "-H", params, "-d", body)
    assert (status, headers["content-type"]) == (400, [media_types.ERROR])
    meta = json.loads(answer)["meta"]
    assert meta == {"code": "E_INVALID_FIELD_VALUE", "field": "cost-type/cost-metric", "value": "beauty"}


def test_what_a_client_has_is_not_sent_again(running: Running) -> None:
    _, headers, _ = curl(running.at("/costs/hopcount-numerical"))
    (tag,) = headers["etag"]
    status, headers, body = curl(running.at("/costs/hopcount-numerical"), "-H", f"If-None-Match: {tag}")
    assert (status, body, headers["etag"]) == (304, b"", [tag])


def test_an_answer_says_when_its_content_was_changed(running: Running) -> None:
    params = f"Content-Type: {media_types.ENDPOINT_COST_PARAMS}"
    posted = [running.at("/endpoints/costs"), "-H", params, "-d", COST_PARAMS]
    for asked in ([running.at("/costs/hopcount-numerical")], posted):
        status, headers, _ = curl(*asked)
        changed, sent = (parsedate_to_datetime(headers[name][0]) for name in ("last-modified", "date"))
        assert status == 200 and changed <= sent
    assert "last-modified" not in curl(running.at("/nowhere"))[1]


def test_gzip_is_for_those_who_take_it_and_has_the_same_content(running: Running) -> None:
    url = running.at("/costs/hopcount-numerical")
    _, plain_headers, plain_body = curl(url)
    _, headers, body = curl(url, "-H", "Accept-Encoding: gzip")
    assert headers["content-encoding"] == ["gzip"]
    assert len(body) < len(plain_body) and gzip.decompress(body) == plain_body
    assert headers["etag"] == [f"W/{plain_headers['etag'][0]}"]
    assert curl(url, "-H", "Accept-Encoding: gzip", "-H", f"If-None-Match: {headers['etag'][0]}")[0] == 304
    assert "content-encoding" not in curl(url, "-H", "Accept-Encoding: gzip;q=0")[1]


def test_a_small_body_is_not_compressed(running: Running) -> None:
    params = f"Content-Type: {media_types.ENDPOINT_COST_PARAMS}"
    _, headers, _ = curl(running.at("/endpoints/costs"), "-H", params, "-d", COST_PARAMS, "-H", "Accept-Encoding: gzip")
    assert "content-encoding" not in headers


def test_a_connection_is_used_again(running: Running) -> None:
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", running.url, running.url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "0"]


# -- TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return certificates.make(tmp_path_factory.mktemp("tls"), ["127.0.0.1"], datetime.now(timezone.utc))


def test_tls_is_trusted_by_the_authority_that_made_it_and_by_no_other(tls: TlsFiles, tmp_path: Path) -> None:
    other = certificates.make(tmp_path, ["127.0.0.1"], datetime.now(timezone.utc))
    with serving(Place(tls=tls)) as running:
        assert running.url.startswith("https://")
        assert curl("--cacert", str(tls.authority), running.url)[0] == 200
        with pytest.raises(subprocess.CalledProcessError) as refused:
            curl("--cacert", str(other.authority), running.url)
        assert refused.value.returncode == 60  # what curl says of a certificate that it does not trust
        request = Request("GET", running.url)
        assert fetched(request, authority=tls.authority).status == 200
        with pytest.raises(Unreachable, match=r"not trusted .* --cacert FILE"):
            fetched(request, authority=other.authority)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    elsewhere = certificates.make(tmp_path, ["example.org"], datetime.now(timezone.utc))
    with serving(Place(tls=elsewhere)) as running, pytest.raises(Unreachable, match="not trusted"):
        fetched(Request("GET", running.url), authority=elsewhere.authority)


def test_a_key_that_is_not_the_certificates_is_named(tls: TlsFiles, tmp_path: Path) -> None:
    other = certificates.make(tmp_path, ["127.0.0.1"], datetime.now(timezone.utc))
    with pytest.raises(TlsError, match="no certificate with its key"):
        server_context(TlsFiles(tls.certificate, other.key))


# -- who asks


@pytest.fixture(scope="module")
def guarded() -> Iterator[Running]:
    with serving(Place(users={"me": "sécret:1"})) as found:
        yield found


@pytest.mark.parametrize("scheme", ["--basic", "--digest"])
def test_curl_is_known_by_its_password_and_by_no_other(guarded: Running, scheme: str) -> None:
    assert curl(scheme, "-u", "me:sécret:1", guarded.url)[0] == 200
    assert curl(scheme, "-u", "me:secret", guarded.url)[0] == 401
    assert curl(scheme, "-u", "you:sécret:1", guarded.url)[0] == 401


def test_curl_posts_by_digest(guarded: Running) -> None:
    params = f"Content-Type: {media_types.ENDPOINT_COST_PARAMS}"
    url = guarded.at("/endpoints/costs")
    status, _, body = curl("--digest", "-u", "me:sécret:1", url, "-H", params, "-d", COST_PARAMS)
    assert status == 200
    assert json.loads(body)["endpoint-cost-map"] == {"ipv4:172.31.0.1": {"ipv4:172.31.0.2": 1, "ipv6:fd00:f::1": 0}}


def test_the_best_scheme_is_offered_first(guarded: Running) -> None:
    status, headers, _ = curl(guarded.url)
    assert status == 401
    assert [text.partition(" ")[0] for text in headers["www-authenticate"]] == ["Digest", "Digest", "Basic"]
    assert "algorithm=SHA-256" in headers["www-authenticate"][0]


def test_our_client_is_known_by_digest(guarded: Running) -> None:
    request = Request("GET", guarded.url)
    assert fetched(request, user=("me", "sécret:1")).status == 200
    with pytest.raises(Unreachable, match="does not know 'me' with this password"):
        fetched(request, user=("me", "wrong"))
    with pytest.raises(Unreachable, match="--user NAME:PASSWORD says it"):
        fetched(request)


# -- clients that misbehave


def large_map() -> Knowledge:
    """Costs whose answer is larger than what sockets buffer."""
    known = abilene()
    groups = {f"p{n}": {"ipv4": [f"10.{n >> 8}.{n & 255}.0/24"]} for n in range(1000)}
    groups["default"] = {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]}
    names = [f"p{n}" for n in range(1000)]
    costs = {source: {target: (7 * n + m) % 90 for m, target in enumerate(names)} for n, source in enumerate(names)}
    return known.with_network_map(NetworkMap("net", groups)).with_cost_map("net", DELAY, costs)


def connected(running: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=20)


def test_who_reads_slowly_holds_nobody_up_and_is_cut_off() -> None:
    with serving(Place(limits=Limits(stalled_s=1.0, idle_s=60)), large_map()) as running:
        slow = [connected(running) for _ in range(5)]
        for one in slow:
            one.sendall(b"GET /costs/delay-ow-numerical HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(1, socket.MSG_PEEK)  # it is being answered
        assert curl(running.at("/net"))[0] == 200
        assert len(curl(running.at("/costs/delay-ow-numerical"))[2]) > 5_000_000
        for one in slow:
            received = _until_cut(one)
            assert received < 5_000_000
            one.close()


def _until_cut(one: socket.socket) -> int:
    """Return how much arrives on a connection that is not read before its end is known."""
    wait_until(lambda: _has_ended(one), 20, "the server cuts a client off that reads nothing")
    total = 0
    try:
        while part := one.recv(1 << 16):
            total += len(part)
    except ConnectionResetError:
        pass
    return total


def _has_ended(one: socket.socket) -> bool:
    state = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state not in (1,)  # ESTABLISHED


def test_who_sends_its_request_by_drops_is_cut_off() -> None:
    with serving(Place(limits=Limits(idle_s=1.0))) as running, connected(running) as one:
        one.sendall(b"GET /net HTTP/1.1\r\nHost: x\r\n")
        wait_until(lambda: _has_ended(one), 20, "a head that is never whole ends the connection")
        assert curl(running.at("/net"))[0] == 200


def test_a_body_that_does_not_come_is_answered_and_the_connection_closed() -> None:
    with serving(Place(limits=Limits(body_within_s=0.5))) as running, connected(running) as one:
        one.sendall(b"POST /endpoints/costs HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert one.makefile("rb").read().startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("how", [[], ["-H", "Transfer-Encoding: chunked"]])
def test_a_body_too_large_is_refused(running: Running, tmp_path: Path, how: list[str]) -> None:
    body = tmp_path / "body"
    body.write_bytes(b" " * (2 << 20))
    params = f"Content-Type: {media_types.ENDPOINT_COST_PARAMS}"
    status, _, text = curl(running.at("/endpoints/costs"), "-H", params, *how, "--data-binary", f"@{body}")
    assert status == 413 and b"1048576" in text


def test_a_compressed_body_is_bounded_by_what_it_is_made_of(running: Running, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(gzip.compress(b" " * (20 << 20)))
    params = f"Content-Type: {media_types.ENDPOINT_COST_PARAMS}"
    status, _, _ = curl(
        running.at("/endpoints/costs"), "-H", params, "-H", "Content-Encoding: gzip", "--data-binary", f"@{bomb}"
    )
    assert status in (400, 413)


def test_a_head_too_long_is_refused(running: Running) -> None:
    assert curl(running.url, "-H", f"X-Long: {'x' * 20_000}")[0] == 400


def test_when_too_many_wait_the_next_is_told_when_to_come_again() -> None:
    with serving(Place(limits=Limits(waiting=0, retry_after_s=7))) as running:
        status, headers, _ = curl(running.url)
        assert (status, headers["retry-after"]) == (503, ["7"])
        answer = fetched(Request("GET", running.url))
        with pytest.raises(AltoOverloaded) as refused:
            content(running.url, answer, media_types.DIRECTORY)
        assert refused.value.retry_after_s == 7


def test_a_client_that_goes_before_it_is_answered_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Place(), large_map()) as running:
        large, small = (
            b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n" for path in (b"/costs/delay-ow-numerical", b"/net")
        )
        for request in (large, small) * 20:
            one = connected(running)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.sendall(request)
            if request is large:
                assert one.recv(1)
            one.close()  # it is reset
        assert curl(running.url)[0] == 200
    assert caplog.records == []


def test_many_clients_at_once_are_answered_alike(running: Running) -> None:
    async def ask() -> list[bytes]:
        async with Session() as session:
            paths = [running.at("/costs/delay-ow-numerical"), running.at("/net")] * 25
            return [answer.body for answer in await asyncio.gather(*(session.fetch(Request("GET", p)) for p in paths))]

    assert len(set(asyncio.run(ask()))) == 2


def test_a_port_that_is_taken_is_named(running: Running) -> None:
    with (
        pytest.raises(CannotListen, match=rf"port {running.port}.*choose another port"),
        serving(Place(port=running.port)),
    ):
        pass


# -- updates


def test_a_stream_brings_what_changed_as_a_patch() -> None:
    with serving(Place()) as running:
        name = "delay-ow-numerical"

        async def follow() -> list[Any]:
            client = UpdateClient({"mine": AddSubstream(name)}, running.at("/updates"))
            headers = {"Content-Type": media_types.UPDATE_STREAM_PARAMS}
            opening = Request("POST", running.at("/updates"), headers, client.open_request())
            seen: list[Any] = []
            octets_before, octets_after = 0, 0
            async with Session() as session:
                async for octets in session.stream(opening):
                    for _ in client.receive(octets):
                        seen.append(client.copies["mine"].document["cost-map"]["ATLAng"]["CHINng"])
                    octets_before, octets_after = octets_after, len(octets)
                    if len(seen) == 1:
                        known = running.server.service.knowledge
                        changed = known.with_cost("net", DELAY, "ATLAng", "CHINng", 90_000)
                        await asyncio.to_thread(running.update, changed)
                    if len(seen) == 2:
                        assert octets_after < 200 < octets_before
                        return seen
            raise AssertionError("the stream ended")

        before, after = asyncio.run(follow())
        assert before != after == 90_000
        # The server knows no stream any more once its client has gone.
        wait_until(lambda: not running.server.open_streams, 20, "the stream is forgotten")


def test_streams_end_with_a_word_when_the_server_ends() -> None:
    with serving(Place()) as running:
        body = '{"add": {"mine": {"resource-id": "net"}}}'
        command = ["curl", "-sSN", "--max-time", "30", "-H", f"Content-Type: {media_types.UPDATE_STREAM_PARAMS}"]
        following = subprocess.Popen([*command, "-d", body, running.at("/updates")], stdout=subprocess.PIPE)
        assert following.stdout is not None
        assert b"alto-updatestreamcontrol" in following.stdout.readline()
    said, _ = following.communicate(timeout=20)
    assert following.returncode == 0 and b"the server ends" in said


def test_the_server_ends_soon_although_clients_stay() -> None:
    with serving(Place()) as running:
        one = connected(running)
        one.sendall(b"GET /net HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.recv(1)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 10
    one.close()
