"""Requests as sent and answers as received, byte by byte."""

from __future__ import annotations

import ipaddress

import pytest

from traffic.content.http_exchange import MalformedResponseError, Response, request

V4 = ipaddress.ip_address("203.0.113.10")
V6 = ipaddress.ip_address("2001:db8::10")
ANSWER = b"HTTP/1.1 200 OK\r\nX-Dyncast-Instance: render-1@chicago\r\ncontent-length: 5\r\n\r\nhello"


def test_a_request_carries_its_work():
    sent = request(V4, 80, work_ms=12.5, response_bytes=2000, request_bytes=0)
    assert sent == b"GET /?work_ms=12.5&bytes=2000 HTTP/1.1\r\nHost: 203.0.113.10:80\r\nConnection: close\r\n\r\n"


def test_a_request_without_work_leaves_it_to_the_instance():
    sent = request(V6, 8080, work_ms=None, response_bytes=None, request_bytes=0)
    assert sent.startswith(b"GET / HTTP/1.1\r\nHost: [2001:db8::10]:8080\r\n")


@pytest.mark.parametrize("size", [100, 200, 4000, 5000, 9999, 10_000, 100_000, 1_000_000])
def test_a_request_is_padded(size: int):
    sent = request(V4, 80, work_ms=1, response_bytes=1, request_bytes=size)
    assert size - 14 < len(sent) <= size
    head, _, body = sent.partition(b"\r\n\r\n")
    assert len(head) < 5000
    if body:
        assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_an_answer_in_pieces(step: int):
    response = Response()
    pieces = [ANSWER[start : start + step] for start in range(0, len(ANSWER), step)]
    assert [response.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert (response.status, response.instance, response.received_bytes) == (200, "render-1@chicago", len(ANSWER))


def test_an_answer_cut_short_does_not_end_well():
    response = Response()
    assert not response.feed(ANSWER[:-1])
    assert not response.ends_well()
    assert not Response().ends_well()


def test_an_answer_without_length_ends_with_the_connection():
    response = Response()
    assert not response.feed(b"HTTP/1.0 503 Busy\r\n\r\nno")
    assert response.ends_well()
    assert response.status == 503


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_not_http_is_malformed(data: bytes):
    with pytest.raises(MalformedResponseError):
        Response().feed(data)
