"""HTTP/1.1 framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.agents.http.protocol import MAX_HEAD_BYTES, HttpError, Request, RequestParser, response_head

GET = b"GET /?work_ms=5 HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;note=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
)


def requests_in(*parts: bytes) -> list[Request]:
    parser, found = RequestParser(), []
    for part in parts:
        parser.feed(part)
        while request := parser.next_request():
            found.append(request)
    return found


def test_a_get() -> None:
    assert requests_in(GET) == [Request("GET", "/", "work_ms=5", True, 0)]


def test_bodies_are_counted_and_passed_over() -> None:
    assert [request.body_bytes for request in requests_in(POST + CHUNKED + GET)] == [5, 15, 0]


@given(st.lists(st.sampled_from([GET, POST, CHUNKED]), min_size=1, max_size=4), st.data())
def test_requests_do_not_depend_on_how_the_bytes_arrive(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert requests_in(*parts) == requests_in(stream)
    assert len(requests_in(stream)) == len(messages)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_an_http_error(data: bytes) -> None:
    parser = RequestParser()
    parser.feed(data)
    try:
        parser.next_request()
    except HttpError as error:
        assert error.status >= 400


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_who_keeps_the_connection(head: bytes, keep_alive: bool) -> None:
    assert requests_in(head)[0].keep_alive is keep_alive


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad field: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * MAX_HEAD_BYTES, 431),
    ],
)
def test_what_is_no_request_says_which_status(data: bytes, status: int) -> None:
    with pytest.raises(HttpError) as raised:
        requests_in(data)
    assert raised.value.status == status


def test_a_client_that_asks_leave_to_send_its_body_is_seen() -> None:
    parser = RequestParser()
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert parser.next_request() is None
    assert parser.wants_continue
    parser.feed(b"hello")
    assert parser.next_request() == Request("POST", "/", "", True, 5)


def test_a_response_head() -> None:
    head = response_head(503, {"X-Dyncast-Instance": "a@b"}, 3, keep_alive=False)
    assert head == (
        b"HTTP/1.1 503 Service Unavailable\r\nX-Dyncast-Instance: a@b\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    )
