"""When an answer is whole, byte by byte: every framing of RFC 9112 section 6.3, cut anywhere."""

from __future__ import annotations

import contextlib
import itertools
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.content.http_response import MalformedResponseError, Response


class Answer(NamedTuple):
    """What is sent, up to the last octet that is needed, and what comes after it."""

    sent: bytes
    status: int = 200
    method: str = "GET"
    is_closed: bool = False  # it is complete when the connection ends, and only then


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "length": Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
    "length of nothing": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "length twice, the same": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nok"),
    "chunked": Answer(_CHUNKED + b"2\r\nok\r\n0\r\n\r\n"),
    "chunked, nothing": Answer(_CHUNKED + b"0\r\n\r\n"),
    "chunked, hexadecimal": Answer(_CHUNKED + b"00A\r\n0123456789\r\n1a\r\n" + bytes(26) + b"\r\n000\r\n\r\n"),
    "chunked, the body has line ends": Answer(_CHUNKED + b"6\r\n0\r\n\r\nx\r\n0\r\n\r\n"),
    "chunk extensions": Answer(_CHUNKED + b'2;a=1;b="x; y" ; c\r\nok\r\n0 ;last\r\n\r\n'),
    "trailers": Answer(_CHUNKED + b"2\r\nok\r\n0\r\nDigest: x\r\nServer-Timing: y\r\n\r\n"),
    "chunked beside a length": Answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "chunked last": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\ntransfer-encoding: , Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "until the end": Answer(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nwhatever", is_closed=True),
    "until the end, HTTP/1.0": Answer(b"HTTP/1.0 503 Busy\r\n\r\nno", status=503, is_closed=True),
    "a coding that is not chunked": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nxyz", is_closed=True
    ),
    "early hints": Answer(
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nLink: </s.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
    ),
    "no content": Answer(b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", status=204),
    "not modified": Answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n", status=304),
    "HEAD": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n", method="HEAD"),
    "HEAD, chunked": Answer(_CHUNKED, method="HEAD"),
    "an error with a body": Answer(b"HTTP/1.1 500 x\r\nContent-Length: 2\r\n\r\nno", status=500),
    "no reason": Answer(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    "a status that nobody knows": Answer(b"HTTP/1.1 799 ?\r\nContent-Length: 0\r\n\r\n", status=799),
    "a folded line": Answer(b"HTTP/1.1 200 OK\r\nX: a\r\n  b: c\r\nContent-Length : 1\r\n\r\nx"),
    "lines that end with LF alone": Answer(b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("step", [1, 2, 7, 100_000])
def test_an_answer_is_whole_at_its_last_octet_and_not_before(name: str, step: int) -> None:
    sent, status, method, is_closed = WHOLE[name]
    response, pieces = Response(method), [sent[start : start + step] for start in range(0, len(sent), step)]
    complete = [response.feed(piece) for piece in pieces]
    assert complete == [False] * (len(pieces) - 1) + [not is_closed]
    assert (response.ends_well(), response.status, response.received_bytes) == (True, status, len(sent))


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_an_answer_that_was_cut_is_never_whole(name: str, data: st.DataObject) -> None:
    sent, _, method, is_closed = WHOLE[name]
    response = Response(method)
    cut = data.draw(st.integers(0, len(sent) - 1))
    assert not response.feed(sent[:cut])
    header_bytes = sent.find(b"\r\n\r\n") + 4
    assert response.ends_well() is (is_closed and cut >= header_bytes)


@given(st.sampled_from(sorted(WHOLE)), st.binary(max_size=30), st.booleans())
def test_what_comes_after_an_answer_is_no_part_of_it(name: str, surplus: bytes, at_once: bool) -> None:
    sent, status, method, is_closed = WHOLE[name]
    response = Response(method)
    for data in [sent + surplus] if at_once else [sent, surplus]:
        complete = response.feed(data)
    assert (complete, response.ends_well(), response.status) == (not is_closed, True, status)


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, 300), max_size=6))
def test_how_the_octets_arrive_does_not_matter(name: str, cuts: list[int]) -> None:
    sent, _, method, is_closed = WHOLE[name]
    response, places = Response(method), sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    complete = [response.feed(sent[start:end]) for start, end in itertools.pairwise(places)]
    assert complete[-1] is not is_closed
    assert not any(complete[:-1])


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_a_body_in_any_chunks_is_whole_at_the_last_one(chunks: list[bytes]) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    response = Response()
    assert not response.feed(_CHUNKED + body)
    assert not response.ends_well()
    assert response.feed(b"0\r\n\r\n")


def test_the_instance_is_that_of_the_final_answer() -> None:
    response = Response()
    early = b"HTTP/1.1 103 Early Hints\r\nX-Dyncast-Instance: proxy\r\n\r\n"
    response.feed(early + b"HTTP/1.1 200 OK\r\nx-dyncast-INSTANCE: \trender-1@chicago \r\n\r\n")
    assert (response.status, response.instance) == (200, "render-1@chicago")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        _CHUNKED + b"xyz\r\n",
        _CHUNKED + b"-1\r\n",
        _CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
        _CHUNKED + b"\r\n",
        _CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",
        _CHUNKED + b"f" * 40 + b"\r\n",
        _CHUNKED + b"2;" + b"x" * 70_000,
        _CHUNKED + b"0\r\n" + b"x: y\r\n" * 20_000,
        b"x" * 70_000,
    ],
)
def test_what_is_not_http_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        Response().feed(data)


@given(st.binary(max_size=300))
def test_no_octets_raise_anything_else(data: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", _CHUNKED):
        with contextlib.suppress(MalformedResponseError):
            Response().feed(start + data)
