"""Requests as sent, byte by byte."""

from __future__ import annotations

import ipaddress

import pytest

from traffic.content.http_exchange import request

V4 = ipaddress.ip_address("203.0.113.10")
V6 = ipaddress.ip_address("2001:db8::10")


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
