"""Configurations of processes: values typed and bounded, every mistake one line that names its key by its path."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.runtime.config import ConfigError, Keys, parse

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)
_TAKES: dict[str, Callable[[Keys, str], object]] = {
    "text": Keys.text,
    "one_of": lambda keys, key: keys.one_of(key, ("a", "b")),
    "integer": lambda keys, key: keys.integer(key, 0, 10),
    "port": Keys.port,
    "number": lambda keys, key: keys.number(key, least=0),
    "positive": Keys.positive,
    "address": Keys.address,
    "entries": Keys.entries,
    "section": lambda keys, key: keys.section(key, lambda inner: inner.text("x")),
}


def _ports(keys: Keys) -> tuple[int, ...]:
    entries = keys.entries("k")
    return tuple(entries.section(entry, lambda inner: inner.port("p")) for entry in entries)


@pytest.mark.parametrize("name", sorted(_TAKES))
@given(value=_JSON)
def test_any_value_is_taken_or_refused_in_one_line_with_its_key(name: str, value: object) -> None:
    keys = Keys({"speed": value}, "links[3]")
    try:
        _TAKES[name](keys, "speed")
    except ConfigError as error:
        assert str(error).startswith("links[3].speed")
        assert "\n" not in str(error)
        assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("take", "value", "taken"),
    [
        (lambda keys: keys.number("k"), 3, 3.0),
        (lambda keys: keys.integer("k", 3, 3), 3, 3),
        (lambda keys: keys.nullable("k", keys.integer), None, None),
        (lambda keys: keys.optional("k", keys.port, None), None, None),
        (lambda keys: keys.optional("other", keys.port, 80), 1, 80),
        (lambda keys: keys.address("k", 6), "fd00::1", ip_address("fd00::1")),
        (lambda keys: list(keys.entries("k")), ["x", "y"], ["[0]", "[1]"]),
        (_ports, [{"p": 1}, {"p": 2}], (1, 2)),
    ],
)
def test_a_good_value_is_taken(take: Callable[[Keys], object], value: object, taken: object) -> None:
    assert take(Keys({"k": value})) == taken


@pytest.mark.parametrize(
    ("take", "value", "message"),
    [
        (lambda keys: keys.integer("k", 1, 5), 6, "k must be in 1..5, not 6"),
        (lambda keys: keys.integer("k", most=5), 6, "k must be <= 5, not 6"),
        (lambda keys: keys.integer("k"), True, "k must be an integer, not True"),
        (lambda keys: keys.number("k"), 10**400, "k must be a finite number, not 1000"),
        (lambda keys: keys.address("k", 4), "fd00::1", "k must be an IPv4 address, not 'fd00::1'"),
        (lambda keys: keys.optional("k", keys.port, 80), None, "k must be an integer, not None"),
        (lambda keys: keys.entries("k", "[address, port]", 2, 2), [1], r"k must be \[address, port\], not \[1\]"),
        (_ports, [{"p": 0}], r"k\[0\]\.p must be in 1"),
        (_ports, [{"p": 1, "q": 2}], r"k\[0\]\.q is not a"),
        (lambda keys: keys.port("kk"), 1, "kk is missing$"),
        (lambda keys: keys.port("queue_limits"), 1, "queue_limits is missing; is it misspelt as 'queue_limit'"),
    ],
)
def test_a_mistake_is_named(take: Callable[[Keys], object], value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        take(Keys({"k": value, "queue_limit": 3}))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], r"the file must hold a JSON object, not \[1\]"),
        ({"speed": 1, "sped": 2}, "sped is not a known key; did you mean 'speed'"),
        ({"speed": 1, "zebra": 2}, "zebra is not a known key; there are: queue, speed"),
    ],
)
def test_what_a_document_may_hold(document: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(document, lambda keys: (keys.number("speed"), keys.optional("queue", partial(keys.integer), 0)))
