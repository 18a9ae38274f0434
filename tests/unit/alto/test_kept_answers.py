"""What a client keeps of a server's answers, and when it asks again (RFC 9111; RFC 7285, section 8.3.6)."""

from __future__ import annotations

import pytest

from testbed.alto.client.kept_answers import KeptAnswers, lifetime_s
from testbed.alto.service.exchange import Answer, Request

ASKED = Request("GET", "http://alto.test/net", {"Accept": "application/alto-networkmap+json"})


def answer(body: bytes = b"a map", status: int = 200, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_what_is_fresh_is_not_asked_for_again() -> None:
    kept = KeptAnswers()
    assert kept.fresh(ASKED, 100.0) is None
    taken = kept.take(ASKED, answer(Cache_Control="max-age=10"), 100.0)
    assert kept.fresh(ASKED, 109.9) is taken
    assert kept.fresh(ASKED, 110.0) is None
    assert kept.fresh(Request("GET", ASKED.path, {"Accept": "text/html"}), 101.0) is None, "it asks for something else"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Cache_Control": "max-age=60"}, 60),
        ({"Cache_Control": 'private, MAX-AGE="60"'}, 60),
        ({"Cache_Control": "max-age=60", "Age": "45"}, 15),
        ({"Cache_Control": "max-age=60", "Age": "75"}, 0),
        ({"Cache_Control": "max-age=60, no-cache"}, 0),
        ({"Cache_Control": "no-store"}, 0),
        ({"Cache_Control": "max-age=-5"}, 0),
        ({"Cache_Control": "max-age=soon"}, 0),
        ({"Cache_Control": "max-age=60", "Expires": "0"}, 60),
        ({"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Expires": "Sun, 06 Nov 1994 08:50:07 GMT"}, 30),
        ({"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Expires": "Sun, 06 Nov 1994 08:49:00 GMT"}, 0),
        ({"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Expires": "0"}, 0),
        ({"Expires": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
    ],
)
def test_lifetimes_are_as_http_says(headers: dict[str, str], seconds: float) -> None:
    assert lifetime_s(answer(**headers)) == seconds


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"'])
def test_what_has_a_tag_is_asked_for_by_it_and_kept_if_it_is_the_same(tag: str) -> None:
    kept = KeptAnswers()
    kept.take(ASKED, answer(ETag=tag, Content_Type="a/b"), 100.0)
    again = kept.conditional(ASKED)
    assert again.header("If-None-Match") == tag and again.header("Accept") == ASKED.header("Accept")
    same = kept.take(ASKED, answer(b"", 304, ETag=tag, Content_Length="0", Cache_Control="max-age=5"), 110.0)
    assert (same.status, same.body, same.header("Content-Type")) == (200, b"a map", "a/b")
    assert same.header("Content-Length") is None, "that of an answer without a body is not of this one"
    assert kept.fresh(ASKED, 114.0) is same, "a 304 says how long it holds from now on"
    other = kept.take(ASKED, answer(b"another", ETag='"2"'), 120.0)
    assert kept.conditional(ASKED).header("If-None-Match") == '"2"' and other.body == b"another"


def test_what_is_not_to_be_kept_is_not() -> None:
    kept = KeptAnswers()
    for refused in (answer(status=503, ETag='"1"'), answer(ETag='"1"', Cache_Control="no-store")):
        kept.take(ASKED, answer(ETag='"0"'), 100.0)
        assert kept.take(ASKED, refused, 101.0) is refused
        assert kept.conditional(ASKED) is ASKED
    posted = Request("POST", ASKED.path)
    kept.take(posted, answer(ETag='"1"', Cache_Control="max-age=9"), 100.0)
    assert kept.fresh(posted, 100.0) is None and kept.conditional(posted) is posted


def test_a_304_for_what_is_not_there_is_what_it_is() -> None:
    assert KeptAnswers().take(ASKED, answer(b"", 304), 100.0).status == 304


def test_answers_are_bounded() -> None:
    kept = KeptAnswers(most=2)
    for number in range(3):
        kept.take(Request("GET", f"http://alto.test/{number}"), answer(Cache_Control="max-age=9"), 100.0)
    held = [kept.fresh(Request("GET", f"http://alto.test/{number}"), 101.0) is not None for number in range(3)]
    assert held == [False, True, True]
