"""Server-sent events: what is written is what is read, in lines that are not long, in pieces of any size."""

from __future__ import annotations

import json

import pytest

from testbed.alto.updates.events.sse_decoder import SseDecoder
from testbed.alto.updates.events.sse_events import KEEP_ALIVE, LINE_OCTETS, Event, data_of_json, encode


def _decoded(octets: bytes, decoder: SseDecoder | None = None) -> list[Event]:
    return (decoder or SseDecoder()).feed(octets)


@pytest.mark.parametrize(("octets", "events"), [
    # The examples of the HTML standard, 9.2.6.
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("message", "YHOO\n+2\n10")]),
    (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
     [Event("message", "first event"), Event("message", "second event")]),
    (b"data\n\ndata\ndata\n\ndata:", [Event("message", ""), Event("message", "\n")]),
    (b"data:test\n\ndata: test\n\n", [Event("message", "test")] * 2),
    (b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
     [Event("add", "73857293"), Event("remove", "2153")]),
    # Line ends of all kinds, a byte order mark, what is unknown, an event without data.
    (b"event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\r", [Event("a", "1"), Event("b", "2")]),
    (b"\xef\xbb\xbfdata: 1\n\n", [Event("message", "1")]),
    (b"retry: 7\nfoo: bar\n\ndata: 1\n\n", [Event("message", "1")]),
    (b"event: lost\n\ndata: 1\n\n", [Event("message", "1")]),
    (b"data: \xff\n\n", [Event("message", "\N{REPLACEMENT CHARACTER}")]),
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_read_in_pieces_of_any_size(octets: bytes, events: list[Event], size: int) -> None:
    decoder = SseDecoder()
    found = [event for at in range(0, len(octets), size) for event in decoder.feed(octets[at : at + size])]
    assert found == events


def test_comments_are_counted_and_say_nothing() -> None:
    decoder = SseDecoder()
    assert _decoded(KEEP_ALIVE * 3, decoder) == []
    assert decoder.comments == 3


@pytest.mark.parametrize("value", [
    {"cost-map": {f"pid{n}": {f"pid{m}": n / (m + 1) for m in range(50)} for n in range(50)}},
    {"text": "a, b, c, " * 5000, "more": [1, 2]},
    {"quotes": ['a"b,c\\', "\\\\", ',"', '"'] * 2000},
    [[","] * 3000, "\u2028,\u2029", {}],
])  # fmt: skip
def test_json_in_lines_is_the_same_json(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
        (event,) = _decoded(encode("a", text.encode()))
        assert json.loads(event.data) == value


def test_no_line_is_longer_than_clients_can_read() -> None:
    costs = {f"pid{n}": {f"pid{m}": n * m for m in range(100)} for n in range(100)}
    for named in ("pid", 'p"\\,'):
        text = json.dumps({named + pid: row for pid, row in costs.items()}).encode()
        lines = data_of_json(text).split(b"\n")
        assert max(map(len, lines)) <= LINE_OCTETS
        assert len(lines) < 1.1 * len(text) / (LINE_OCTETS - 100)


def test_a_string_longer_than_a_line_is_not_broken() -> None:
    text = json.dumps({"a": "x," * 3000, "b": 1}, separators=(",", ":")).encode()
    lines = data_of_json(text).splitlines()
    assert [line for line in lines if line] == [b'data: {"a":"' + b"x," * 3000 + b'",', b'data: "b":1}']


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_is_longer_than_its_bound_breaks_the_stream_and_is_not_kept(size: int) -> None:
    for octets, what in (
        (b"data: 1\n\ndata: " + b"x" * 200, "a line"),
        (b"data: 1\n\n" + b"data: xxxxx\n" * 50, "an event"),
    ):
        decoder = SseDecoder(most_line_octets=100, most_event_octets=200)
        events = [event for at in range(0, len(octets), size) for event in decoder.feed(octets[at : at + size])]
        assert events == [Event("message", "1")]
        assert str(decoder.broken).startswith(f"{what} of more than")
        assert decoder.feed(b"\n\ndata: 2\n\n") == []


def test_what_is_as_long_as_its_bound_is_taken() -> None:
    decoder = SseDecoder(most_line_octets=100, most_event_octets=200)
    line = b"data: " + b"x" * 94 + b"\n"
    events = decoder.feed(line + line + b"data: " + b"x" * 10 + b"\n\n")
    assert [len(event.data) for event in events] == [200]
    assert decoder.broken is None
