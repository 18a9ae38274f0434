"""The output of a container, cut into activations at the sentinel."""

from __future__ import annotations

import asyncio

from testbed.agents.cluster.logs import SENTINEL, LogStream


def texts(lines: list[str]) -> list[str]:
    """The lines without their times."""
    return [line.partition(" ")[2] for line in lines]


def test_lines_are_those_up_to_the_sentinel_however_they_arrive() -> None:
    stream = LogStream("stdout")
    stream.begin(1000)
    for octet in b"one\ntwo\n" + SENTINEL + b"\n":
        stream.feed(bytes([octet]))
    assert asyncio.run(stream.wait(0.0))
    assert texts(stream.take()) == ["stdout: one", "stdout: two"]
    assert stream.take() == []


def test_output_without_an_end_of_line_is_kept() -> None:
    stream = LogStream("stderr")
    stream.begin(1000)
    stream.feed(b"no end" + SENTINEL + b"\r\n")
    assert asyncio.run(stream.wait(0.0))
    assert texts(stream.take()) == ["stderr: no end"]


def test_a_stream_that_is_not_marked_is_waited_for_only_so_long() -> None:
    stream = LogStream("stdout")
    stream.begin(1000)
    stream.feed(b"one\n")
    assert not asyncio.run(stream.wait(0.01))
    stream.end()
    assert asyncio.run(stream.wait(0.0))


def test_what_is_beyond_the_limit_is_dropped_and_said() -> None:
    stream = LogStream("stdout")
    stream.begin(100)
    stream.feed(b"x" * 90 + b"\n" + b"y" * 90 + b"\n" + SENTINEL + b"\n")
    lines = texts(stream.take())
    assert lines[0] == "stdout: " + "x" * 90
    assert len(lines) == 2 and "log limit" in lines[1]


def test_a_line_without_an_end_does_not_stay_in_memory() -> None:
    stream = LogStream("stdout")
    stream.begin(1 << 18)
    for _ in range(100):
        stream.feed(b"z" * 10_000)
    assert sum(map(len, stream.take())) < (1 << 18) + 5000


def test_octets_that_are_no_text_are_shown_as_such() -> None:
    stream = LogStream("stdout")
    stream.begin(1000)
    stream.feed(b"\xff\xfe\n")
    assert texts(stream.take()) == ["stdout: \ufffd\ufffd"]
