"""Reports as octets: what is written is read again, and nothing else is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.alto.reports import codec
from testbed.alto.reports.codec import CodecError
from testbed.alto.reports.messages import (
    MOST_PARTS,
    ClusterReport,
    DelayStatistics,
    HeldBlob,
    HeldFunction,
    LinkReport,
    PathReport,
    Report,
    Runtime,
)
from tests.alto_reports import DIGEST, REPORTS, RESOURCES, network_report, origin, path
from tests.wording import stutters


@pytest.mark.parametrize("report", REPORTS)
def test_what_is_written_is_read_again(report: Report) -> None:
    assert codec.decode(codec.encode(report)) == report


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_that_is_cut_short_or_too_long_is_none(report: Report) -> None:
    whole = codec.encode(report)
    for data in (*(whole[:length] for length in range(len(whole))), whole + b"?"):
        with pytest.raises(CodecError) as error:
            codec.decode(data)
        assert not stutters(str(error.value))


@pytest.mark.parametrize(
    ("position", "octet", "said"),
    [(0, 0xDC, "not a report"), (1, 2, "version 2"), (2, 9, "kind 9"), (16, 0xFF, "later than any clock")],
)
def test_what_it_is_not_is_said(position: int, octet: int, said: str) -> None:
    data = bytearray(codec.encode(network_report()))
    data[position] = octet
    with pytest.raises(CodecError, match=said):
        codec.decode(bytes(data))


def test_figures_that_are_too_large_for_their_field_go_as_the_largest() -> None:
    report = network_report(path(rtt_ms=1e9), links=(LinkReport("a", 1 << 70, 1.0, 1e30),))
    (of_path,), (link,) = (again := codec.decode(codec.encode(report))).paths, again.links  # type: ignore[union-attr]
    assert of_path.round_trip is not None and of_path.round_trip.median_s == pytest.approx((2**32 - 1) / 1e6)
    assert link.octets == 2**64 - 1
    assert codec.decode(codec.encode(again)) == again


@pytest.mark.parametrize(
    "make",
    [
        lambda: PathReport("a", 3, 4),
        lambda: DelayStatistics(0, 1, 1, 1, 1),
        lambda: DelayStatistics(1, 2, 1, 2, 2),
        lambda: DelayStatistics(1, 0, float("nan"), 1, 1),
        lambda: network_report(path(), path()),
        lambda: network_report(links=(LinkReport("a", 1, 1), LinkReport("a", 2, 1))),
        lambda: LinkReport("a", 1, 0.0),
        lambda: HeldFunction(b"short"),
        lambda: HeldBlob(bytes(33)),
        lambda: ClusterReport(origin(), RESOURCES, (Runtime("a"), Runtime("a", 1))),
        lambda: ClusterReport(origin(), RESOURCES, (HeldFunction(DIGEST), HeldFunction(DIGEST))),
        lambda: ClusterReport(origin(), RESOURCES, (), 1, 1),
        lambda: ClusterReport(origin(), RESOURCES, (), 0, MOST_PARTS + 1),
    ],
)
def test_what_contradicts_itself_is_no_report(make: object) -> None:
    with pytest.raises(ValueError):
        make()  # type: ignore[operator]


def test_a_report_that_contradicts_itself_is_not_read() -> None:
    data = codec.encode(network_report(PathReport("west", 3, 3)))
    position = data.index(b"west") + 4
    forged = data[:position] + bytes([0, 0, 0, 3, 0, 0, 0, 4]) + data[position + 8 :]
    with pytest.raises(CodecError, match="4 of 3 probes"):
        codec.decode(forged)


def test_a_name_that_does_not_fit_cannot_be_written() -> None:
    with pytest.raises(CodecError, match="cannot be written"):
        codec.encode(network_report(path("x" * 256)))


def test_a_report_of_many_paths_goes_in_parts_that_fit() -> None:
    report = replace(
        network_report(*(path(f"{number:0200}") for number in range(20)), links=(LinkReport("a", 1, 1.0),)),
        origin=origin("r" * 255, 7),
    )
    with pytest.raises(CodecError, match="split it"):
        codec.encode(report)
    parts = codec.network_parts(report)
    assert all(codec.decode(codec.encode(part)) == part for part in parts)
    assert [part.origin.sequence for part in parts] == list(range(7, 7 + len(parts)))
    assert tuple(item for part in parts for item in part.paths) == report.paths
    assert tuple(item for part in parts for item in part.links) == report.links


def test_a_cluster_that_holds_much_reports_it_in_parts_each_with_its_resources() -> None:
    held = [HeldFunction(number.to_bytes(32, "big"), number) for number in range(100)]
    parts = codec.cluster_parts(origin(), RESOURCES, held)
    assert all(codec.decode(codec.encode(part)) == part for part in parts)
    assert {(part.part, part.parts, part.resources) for part in parts} == {
        (number, len(parts), RESOURCES) for number in range(len(parts))
    }
    assert [item for part in parts for item in part.held] == held


def test_what_is_beyond_the_last_part_is_left_out() -> None:
    held = [HeldFunction(number.to_bytes(32, "big")) for number in range(10_000)]
    parts = codec.cluster_parts(origin(), RESOURCES, held)
    assert len(parts) == MOST_PARTS
    codec.encode(parts[-1])
