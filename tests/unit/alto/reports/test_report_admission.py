"""Which reports an ALTO server believes; what it does not believe changes nothing, and is counted."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from testbed.alto.reports import codec
from testbed.alto.reports.admission import REPORT_RATE, Refused
from testbed.alto.reports.messages import Report
from tests.alto_reports import (
    CLUSTER,
    CLUSTER_ADDRESS,
    EAST_ADDRESS,
    LIFETIME_S,
    NOW_S,
    arrived,
    cluster_report,
    knowing,
    network_report,
    origin,
    path,
)
from tests.wording import stutters

ELSEWHERE = ip_address("192.0.2.9")


@pytest.mark.parametrize(
    ("report", "source", "counter"),
    [
        (replace(network_report(path()), origin=origin("nobody")), EAST_ADDRESS, "reports_unknown"),
        (network_report(path()), ELSEWHERE, "reports_foreign"),
        (cluster_report(), EAST_ADDRESS, "reports_foreign"),
        (replace(network_report(path()), origin=origin(CLUSTER)), CLUSTER_ADDRESS, "reports_unexpected"),
        (network_report(path(), sent_s=NOW_S + 1.5), EAST_ADDRESS, "reports_postdated"),
        (network_report(path(), sent_s=NOW_S - LIFETIME_S - 1), EAST_ADDRESS, "reports_stale"),
    ],
)
def test_what_is_not_believed_is_counted_and_changes_nothing(report: Report, source: object, counter: str) -> None:
    known = knowing()
    before = known.knowledge
    with pytest.raises(Refused) as refused:
        known.on_datagram(codec.encode(report), source, NOW_S)  # type: ignore[arg-type]
    assert refused.value.reporter == report.origin.reporter
    assert not stutters(str(refused.value))
    assert known.counters == {counter: 1}
    assert known.knowledge is before and known.next_timer_s() is None


def test_octets_that_are_no_report_are_counted() -> None:
    known = knowing()
    with pytest.raises(Refused, match="malformed"):
        known.on_datagram(b"GET / HTTP/1.1\r\n", EAST_ADDRESS, NOW_S)
    assert known.counters == {"reports_malformed": 1}


def test_a_report_counts_once_and_one_that_was_overtaken_not_at_all() -> None:
    known = knowing()
    arrived(known, network_report(path(), sequence=5))
    for sequence in (5, 4):
        with pytest.raises(Refused, match="older than the last one"):
            arrived(known, network_report(path(rtt_ms=99), sequence=sequence))
    assert arrived(known, network_report(path(rtt_ms=99), sequence=6)).changed
    assert known.counters == {"reports_overtaken": 2}


def test_a_reporter_that_began_again_is_believed_at_once() -> None:
    known = knowing()
    arrived(known, network_report(path(), sequence=500))
    again = replace(network_report(path(rtt_ms=99)), origin=origin(sequence=1, epoch=2))
    assert arrived(known, again).changed


def test_a_reporter_that_sends_without_end_is_bounded() -> None:
    known = knowing()
    for number in range(int(REPORT_RATE.burst)):
        arrived(known, network_report(sequence=number + 1))
    with pytest.raises(Refused, match="rate limit"):
        arrived(known, network_report(sequence=10_000))
    assert arrived(known, cluster_report()).changed  # others are not held up
