"""The wire format: what it looks like, what it refuses, how it is split."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.codec import CodecError
from testbed.dyncast.messages.dispatch_messages import MOST_WITHDRAWN, Assignment, Cause, Withdrawal, Withdrawn
from testbed.dyncast.messages.reports import BindingReport, Probe, Report, report_of
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.levels import RawMetrics, State
from tests.dyncast_samples import D_SID, D_SID6, FAR6, NEAR, flow, told

_RAW = RawMetrics(4, busy_workers=3, queue_length=2, queue_limit=50, sessions=5, sessions_started=9, utilisation=0.75)


def report(*bindings: BindingReport) -> Report:
    return Report("east", 7, 12.5, bindings or (told(NEAR, _RAW),))


def test_the_header_is_what_the_module_says() -> None:
    data = codec.encode(Probe("zürich", 0x01020304, 1.5))
    assert data[:8] == bytes([0xDC, 1, 2, 7, 1, 2, 3, 4])
    assert struct.unpack("!Q", data[8:16]) == (1_500_000_000,)
    assert data[16:] == "zürich".encode()


def test_a_metric_is_written_in_the_fields_of_the_cats_definition() -> None:
    data = codec.encode(report(told(NEAR, replace(_RAW, service_time_s=0.25, memory_bytes=1 << 16))))
    workers = bytes([1, 0b00_0_000_00, 0b001_100_00, 0, 4])  # L0, unsigned integer, 2^0 octets; nominal, current
    service_time = bytes([7, 0b00_1_010_01, 0b000_011_00, 3])  # L0, float, 2^2 octets, IEEE 754; direct, mean; seconds
    service_time += struct.pack("!f", 0.25)
    memory = bytes([10, 0b00_0_010_00, 0b000_100_00, 1, 0, 1, 0, 0])  # L0, 2^2 octets; direct, current; bytes
    computing = bytes([16, 0b01_0_000_00, 0b011_000_00, 0, 2])  # L1, one octet, by normalisation: 10 x (1 - 0.75)
    overall = bytes([32, 0b10_0_000_00, 0b011_000_00, 0, 2])  # L2
    for metric in (workers, service_time, memory, computing, overall):
        assert metric in data


def test_the_documentation_lists_every_metric_by_its_type() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/dyncast/metrics.md").read_text()
    for metric in wire_fields.METRICS:
        listed = re.search(rf"\| {metric.kind} \| (L\d )?`?{metric.attribute}\b", text)
        assert listed, f"docs/dyncast/metrics.md says nothing of type {metric.kind}, {metric.attribute}"


def test_what_is_unknown_is_left_out() -> None:
    plain, full = (
        len(codec.encode(report(told(NEAR, raw))))
        for raw in (_RAW, replace(_RAW, cpu_utilisation=0.5, memory_bytes=1, capacity_per_s=1.0, throughput_bps=1.0))
    )
    assert full == plain + 3 * (4 + 4) + (4 + 1)


def test_both_address_families_travel() -> None:
    sent = report(told(NEAR, _RAW), told(FAR6, _RAW), told(FAR6, None))
    assert codec.decode(codec.encode(sent)) == sent


def test_a_binding_has_one_address_family() -> None:
    with pytest.raises(CodecError, match=r"203\.0\.113\.10 and fd00:d:2::14 are of different address families"):
        codec.encode(report(told(FAR6, _RAW, d_sid=D_SID)))


def test_figures_that_do_not_fit_go_as_the_largest_that_do() -> None:
    raw = RawMetrics(4, sessions=2**70, utilisation=1.0, service_time_s=1e300)
    received = codec.decode(codec.encode(report(told(NEAR, raw))))
    assert isinstance(received, Report)
    assert received.bindings[0].raw is not None
    assert received.bindings[0].raw.sessions == 2**64 - 1
    assert received.bindings[0].raw.service_time_s == pytest.approx(3.4e38, rel=0.01)


def test_unknown_metrics_are_skipped_by_their_length() -> None:
    data = codec.encode(report(told(NEAR, _RAW)))
    start = data.index(bytes([1, 0b00_0_000_00, 0b001_100_00]))
    count = start - 1
    for exponent in range(8):
        strange = bytes([200, exponent << 2, 0, 0]) + bytes(1 << exponent)
        extended = data[:count] + bytes([data[count] + 1]) + strange + data[start:]
        assert codec.decode(extended) == codec.decode(data)


def _patched(data: bytes, position: int, value: int) -> bytes:
    return data[:position] + bytes([value]) + data[position + 1 :]


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 0xDD, "not a Dyncast message"),
        (1, 2, "version 2, not 1"),
        (2, 99, "message type 99 is unknown"),
        (3, 255, "cut short in the site name"),
        (16, 0xFF, "codec can.t decode byte 0xff"),  # no UTF-8
        (22, 5, "address family 5 is neither 4 nor 6"),
        (31, 7, "7 is not a valid State"),
        (34, 0b01_0_000_00, "metric workers in an unusable format"),  # L1
        (34, 0b00_1_000_01, "metric workers in an unusable format"),  # float
        (34, 0b00_0_000_01, "metric workers in an unusable format"),  # IEEE 754
        (34, 0b00_0_100_00, "metric workers in an unusable format"),
        (34, 0b00_0_001_00, None),  # another length: what follows is garbage
        (36, 3, "metric workers in an unusable format"),  # in seconds
    ],
)
def test_what_is_malformed_is_refused(position: int, value: int, message: str | None) -> None:
    data = _patched(codec.encode(report()), position, value)
    with pytest.raises(CodecError, match=message):
        codec.decode(data)


def test_metrics_without_workers_are_refused() -> None:
    data = codec.encode(report())
    with pytest.raises(CodecError, match="without the number of workers"):
        codec.decode(_patched(data, 33, 200))  # the first metric's type, now an unknown one


def test_a_score_above_the_best_is_refused() -> None:
    data = codec.encode(report())
    with pytest.raises(CodecError, match="score 11 is above 10"):
        codec.decode(data[:-1] + bytes([11]))


_PROBES = (
    Probe("east", 1, 2.0),
    Probe("east", 1, 2.0, is_reply=True, held_s=0.5),
    Probe("east", 1, 2.0, is_reply=True, held_s=0.5, asked_s=3.0, asked_sequence=9),
)


@pytest.mark.parametrize("message", _PROBES)
def test_probes_and_their_answers_are_written_as_the_module_says(message: Probe) -> None:
    data = codec.encode(message)
    assert codec.decode(data) == message
    asked_ns = 2**64 - 1 if message.asked_s is None else int(message.asked_s * 1e9)
    body = struct.pack("!IQQ", message.asked_sequence, asked_ns, int(message.held_s * 1e9)) if message.is_reply else b""
    assert data[16 + len("east") :] == body


@pytest.mark.parametrize("message", [report(), *_PROBES])
def test_bytes_too_many_are_refused(message: codec.Message) -> None:
    with pytest.raises(CodecError, match="1 bytes too many"):
        codec.decode(codec.encode(message) + b"\0")


@pytest.mark.parametrize("time_ns", [2**63, 2**64 - 2**10, 2**64 - 1])
def test_a_time_that_could_not_be_written_again_is_refused(time_ns: int) -> None:
    probe = codec.encode(Probe("east", 1, 2.0))
    with pytest.raises(CodecError, match="later than any clock goes"):
        codec.decode(probe[:8] + struct.pack("!Q", time_ns) + probe[16:])
    reply = codec.encode(Probe("east", 1, 2.0, is_reply=True))
    with pytest.raises(CodecError, match="longer than any clock goes"):
        codec.decode(reply[:-8] + struct.pack("!Q", time_ns))
    if time_ns < 2**64 - 1:  # which says that it is no probe
        with pytest.raises(CodecError, match="longer than any clock goes"):
            codec.decode(reply[:-16] + struct.pack("!Q", time_ns) + reply[-8:])


def test_a_number_of_a_probe_that_an_answer_is_not_is_refused() -> None:
    reply = codec.encode(Probe("east", 1, 2.0, is_reply=True))
    with pytest.raises(CodecError, match="the number 1 of a probe that it is not"):
        codec.decode(reply[:-20] + struct.pack("!I", 1) + reply[-16:])


def test_the_latest_time_is_written_again() -> None:
    probe = codec.encode(Probe("east", 1, 2.0))
    latest = codec.decode(probe[:8] + struct.pack("!Q", 2**63 - 1) + probe[16:])
    assert codec.decode(codec.encode(latest)) == latest


@pytest.mark.parametrize("figure", [1.7e308, float("inf"), float("nan"), -1.0])
def test_a_figure_that_could_not_be_written_again_is_refused(figure: float) -> None:
    data = codec.encode(report(told(NEAR, _RAW)))
    single = bytes([7, 0b00_1_010_01, 0b000_011_00, 3]) + struct.pack("!f", 0.0)
    double = bytes([7, 0b00_1_011_01, 0b000_011_00, 3]) + struct.pack("!d", figure)
    with pytest.raises(CodecError, match=r"service_time_s is .*, which no 4 octets hold"):
        codec.decode(data.replace(single, double))


def test_no_message_is_larger_than_one_that_is_written() -> None:
    largest = codec.encode(report()) + bytes(2000)
    with pytest.raises(CodecError, match=r"2.* bytes; at most 1400"):
        codec.decode(largest)


def test_a_withdrawal_fits_a_packet_whatever_the_name_of_its_site() -> None:
    bindings = tuple(Withdrawn(D_SID6, FAR6 + number, Cause.DIED) for number in range(MOST_WITHDRAWN))
    withdrawal = Withdrawal("x" * 255, 1, 2.0, bindings)
    assert codec.decode(codec.encode(withdrawal)) == withdrawal


def test_a_flow_is_not_bound_for_ever() -> None:
    data = codec.encode(Assignment("east", 1, 2.0, flow(), NEAR, "east", 30))
    assert data.count(struct.pack("!H", 30)) == 1
    with pytest.raises(CodecError, match="an idle timeout of 0 s"):
        codec.decode(data.replace(struct.pack("!H", 30), bytes(2)))


def test_a_site_name_has_at_most_255_bytes() -> None:
    with pytest.raises(CodecError, match="256 bytes; at most 255"):
        codec.encode(Probe("ü" * 128, 1, 0.0))


def test_a_report_that_no_packet_takes_is_split() -> None:
    bindings = tuple(told(FAR6 + number, _RAW) for number in range(60))
    whole = report(*bindings)
    with pytest.raises(CodecError, match=r"a report of 60 bindings takes .* bytes; split it"):
        codec.encode(whole)
    parts = codec.split(whole, first_sequence=100)
    assert len(parts) > 1
    assert [part.sequence for part in parts] == list(range(100, 100 + len(parts)))
    assert all(len(codec.encode(part)) <= 1400 for part in parts)
    assert tuple(binding for part in parts for binding in part.bindings) == bindings


def test_a_report_that_fits_stays_whole() -> None:
    assert codec.split(report(), first_sequence=7) == [report()]


def test_the_score_is_the_l2_score_and_nothing_for_an_instance_that_is_down() -> None:
    assert report_of(D_SID, NEAR, State.UP, _RAW).score == 2
    assert report_of(D_SID, NEAR, State.DRAINING, _RAW).score == 2
    assert report_of(D_SID, NEAR, State.DOWN, _RAW).score == 0
    assert report_of(D_SID6, FAR6, State.DOWN, None).score == 0
