"""JSON as octets: what is malformed, and that equal content is equal octets."""

from __future__ import annotations

import pytest

from testbed.alto import json_octets


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b'{"a":', "line 1 column 6"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' stands twice"),
        (b"[NaN]", "NaN is no number"),
        (b"[1e999]", "too large"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 40 + b"]" * 40, "nested too deeply"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested too deeply"),
        ('"é"'.encode("latin-1"), "utf-8"),
        ('"a"'.encode("utf-16"), "utf-8"),
        (b"9" * 5000, "digits"),
        (b"", "line 1 column 1"),
    ],
)
def test_what_is_malformed_is_refused_and_said(octets: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        json_octets.parse(octets)


def test_nesting_that_alto_needs_is_read() -> None:
    assert json_octets.parse(b"[" * 32 + b"]" * 32) is not None


def test_equal_content_is_equal_octets_in_whatever_order_it_was_made() -> None:
    assert json_octets.canonical({"b": 1, "a": {"d": 2, "c": 3}}) == b'{"a":{"c":3,"d":2},"b":1}'
