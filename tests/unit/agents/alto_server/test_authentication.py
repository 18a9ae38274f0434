"""Digest and Basic, judged without sockets; that foreign clients agree is shown by curl in tests/integration."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from testbed.agents.alto_server.authentication import REALM, Authentication

NOW_S = 1_000_000.0


@pytest.fixture
def users() -> Authentication:
    return Authentication({"Mufasa": "Circle of Life"}, b"secret")


def nonce_of(users: Authentication, now_s: float = NOW_S) -> str:
    match = re.search(r'nonce="([^"]+)"', users.check(None, "GET", "/", now_s).challenges[0])
    assert match is not None
    return match[1]


def digest(
    nonce: str, count: int = 1, uri: str = "/", algorithm: str = "SHA-256", password: str = "Circle of Life"
) -> str:
    """Return what a client sends (RFC 7616, section 3.4), made without the code under test."""
    make = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}[algorithm]

    def hashed(text: str) -> str:
        return make(text.encode()).hexdigest()

    response = hashed(f"{hashed(f'Mufasa:{REALM}:{password}')}:{nonce}:{count:08x}:abc:auth:{hashed(f'GET:{uri}')}")
    return (
        f'Digest username="Mufasa", realm="{REALM}", uri="{uri}", algorithm={algorithm}, nonce="{nonce}", '
        f'nc={count:08x}, cnonce="abc", qop=auth, response="{response}"'
    )


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_the_right_password_is_good_by_each_algorithm(users: Authentication, algorithm: str) -> None:
    assert users.check(digest(nonce_of(users), algorithm=algorithm), "GET", "/", NOW_S).is_good
    assert not users.check(digest(nonce_of(users), password="x", algorithm=algorithm), "GET", "/", NOW_S).is_good


def test_a_request_that_was_seen_is_not_good_again_and_the_next_count_is(users: Authentication) -> None:
    nonce = nonce_of(users)
    assert users.check(digest(nonce), "GET", "/", NOW_S).is_good
    again = users.check(digest(nonce), "GET", "/", NOW_S)
    assert not again.is_good and "stale=true" in again.challenges[0]
    assert users.check(digest(nonce, 2), "GET", "/", NOW_S).is_good


def test_what_is_signed_for_one_target_or_method_is_of_no_use_for_another(users: Authentication) -> None:
    assert not users.check(digest(nonce_of(users)), "GET", "/other", NOW_S).is_good
    assert not users.check(digest(nonce_of(users)), "POST", "/", NOW_S).is_good


def test_an_old_nonce_is_stale_and_a_made_up_one_is_not_taken(users: Authentication) -> None:
    old = users.check(digest(nonce_of(users)), "GET", "/", NOW_S + 301)
    assert not old.is_good and "stale=true" in old.challenges[0]
    assert not users.check(digest("ffff-00"), "GET", "/", NOW_S).is_good
    other = Authentication({"Mufasa": "Circle of Life"}, b"other secret")
    assert not users.check(digest(nonce_of(other)), "GET", "/", NOW_S).is_good


def test_nonces_are_bounded_and_one_that_was_forgotten_is_not_good_again(users: Authentication) -> None:
    first = nonce_of(users)
    assert users.check(digest(first), "GET", "/", NOW_S).is_good
    for number in range(1, 1002):
        now_s = NOW_S + number / 100
        assert users.check(digest(nonce_of(users, now_s)), "GET", "/", now_s).is_good
    assert not users.check(digest(first), "GET", "/", NOW_S + 20).is_good


def test_basic_is_good_with_the_right_password_alone(users: Authentication) -> None:
    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    assert users.check(basic("Mufasa:Circle of Life"), "GET", "/", NOW_S).is_good
    for wrong in ("Mufasa:", "Mufasa", ":", "Scar:Circle of Life", "Scar:"):
        assert not users.check(basic(wrong), "GET", "/", NOW_S).is_good, wrong


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ####",
        "Basic /////w==",
        "Digest",
        "Digest x",
        "Digest nc=zz",
        'Digest nc="',
        "Digest nc=-1, username=Mufasa, qop=auth",
        "Bearer x",
        "Digest username=" + "x" * 9000,
        'Digest nc=1, nonce="é-é"',
    ],
)
def test_what_is_no_credentials_is_refused(users: Authentication, header: str) -> None:
    verdict = users.check(header, "GET", "/", NOW_S)
    assert not verdict.is_good and len(verdict.challenges) == 3
