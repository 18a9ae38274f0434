"""The codec gives back what it was given, and never raises anything but CodecError."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.codec import CodecError, Message
from testbed.dyncast.messages.reports import BindingReport, Probe, Report, report_of
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.levels import UNSCORED, RawMetrics, State
from testbed.dyncast.metrics.normalisation import MinMax, Normalisation

_COUNT = st.integers(0, 2**32 - 1)
_FLOAT = st.floats(0, width=32, allow_nan=False, allow_infinity=False)
_PART = st.floats(0, 1, width=32)
_SITE = st.text(max_size=60)
_SEQUENCE = st.integers(0, 2**32 - 1)
_SENT_S = st.integers(0, 10**15).map(lambda ns: ns / 1e9)
_RAW = st.builds(
    RawMetrics,
    workers=st.integers(1, 2**32 - 1),
    busy_workers=_COUNT,
    queue_length=_COUNT,
    queue_limit=_COUNT,
    sessions=_COUNT,
    sessions_started=_COUNT,
    utilisation=_PART,
    service_time_s=_FLOAT,
    cpu_utilisation=_PART,
    memory_bytes=_COUNT,
    memory_limit_bytes=st.integers(0, 2**64 - 1),
    capacity_per_s=_FLOAT,
    throughput_bps=_FLOAT,
)
_NORMALISATIONS = st.sampled_from(
    (
        Normalisation(),
        Normalisation(
            computing=(), communication=(MinMax("throughput_bps", worst=1e9, best=0),), l2_aggregation="mean"
        ),
    )
)


@st.composite
def _bindings(draw: st.DrawFn) -> BindingReport:
    addresses = st.ip_addresses(v=draw(st.sampled_from((4, 6))))
    state = draw(st.sampled_from(State))
    raw = draw(_RAW if state is not State.DOWN else st.none() | _RAW)
    return report_of(draw(addresses), draw(addresses), state, raw, draw(_NORMALISATIONS))


_WHOLE_S = st.integers(0, 10**6).map(float)
_REPLY = (_SITE, _SEQUENCE, _SENT_S, st.just(True), _WHOLE_S)
_PROBES = st.one_of(
    st.builds(Probe, _SITE, _SEQUENCE, _SENT_S),
    st.builds(Probe, *_REPLY),
    st.builds(Probe, *_REPLY, _WHOLE_S, _SEQUENCE),
)
_REPORTS = st.builds(Report, _SITE, _SEQUENCE, _SENT_S, st.lists(_bindings(), max_size=8).map(tuple))
_MESSAGES: st.SearchStrategy[Message] = st.one_of(_PROBES, _REPORTS)


def decodes_or_refuses(data: bytes) -> None:
    with suppress(CodecError):
        codec.decode(data)


@given(_MESSAGES)
def test_what_is_encoded_is_decoded(message: Message) -> None:
    received = codec.decode(codec.encode(message))
    assert type(received) is type(message)
    assert abs(received.sent_s - message.sent_s) < 1e-6
    assert vars(received) | {"sent_s": message.sent_s} == vars(message)


@given(_MESSAGES)
def test_every_truncation_is_refused(message: Message) -> None:
    data = codec.encode(message)
    for length in range(len(data)):
        with pytest.raises(CodecError):
            codec.decode(data[:length])


@given(st.binary(max_size=200))
def test_random_bytes_raise_codec_error_only(data: bytes) -> None:
    decodes_or_refuses(data)
    for kind in codec.MessageType:  # past the header, where the parsing is
        decodes_or_refuses(bytes([codec.MAGIC, codec.VERSION, kind]) + data)


@given(_MESSAGES, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6))
@example(Report("e", 1, 1.0, ()), [(17, 1)])
def test_flipped_bytes_raise_codec_error_only(message: Message, changes: list[tuple[int, int]]) -> None:
    data = bytearray(codec.encode(message))
    for position, value in changes:
        data[position % len(data)] = value
    decodes_or_refuses(bytes(data))


@given(st.lists(_bindings(), max_size=60).map(tuple), _SITE, _SEQUENCE)
def test_a_split_report_is_whole_and_fits(bindings: tuple[BindingReport, ...], site: str, first: int) -> None:
    parts = codec.split(Report(site, 0, 1.0, bindings), first)
    assert tuple(binding for part in parts for binding in part.bindings) == bindings
    for number, part in enumerate(parts):
        assert part.sequence == first + number
        assert codec.decode(codec.encode(part)) == Report(site, part.sequence & 0xFFFFFFFF, 1.0, part.bindings)


@given(st.lists(st.builds(RawMetrics, st.integers(1, 2**33), sessions_started=st.integers(0, 2**33)), min_size=2))
def test_metrics_that_lie_as_the_last_ones_did_and_others_are_read_alike(
    reported: list[RawMetrics],
) -> None:
    for raw in reported:
        data = memoryview(wire_fields.encode(raw, UNSCORED))
        assert wire_fields.decode(data, 0) == wire_fields.decode(data, 0) == (raw, UNSCORED, len(data))
