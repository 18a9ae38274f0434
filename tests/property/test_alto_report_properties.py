"""What a server knows by reports, whatever their order: it is what the last one about each thing says."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from testbed.alto.reports import codec
from testbed.alto.reports.messages import DelayStatistics, LinkReport, NetworkReport, Origin, PathReport
from testbed.alto.reports.reported_knowledge import ReportedKnowledge
from tests.alto_reports import EAST, LIFETIME_S, MID, NOW_S, WEST, arrived, knowing

_TIMES_S = st.integers(0, 2**32 - 1).map(lambda time_us: time_us / 1e6)
_DELAYS = st.builds(
    lambda samples, times_s: DelayStatistics(samples, times_s[0], times_s[1], times_s[2], times_s[3]),
    st.integers(1, 2**16 - 1),
    st.lists(_TIMES_S, min_size=4, max_size=4).map(sorted),
)
_PROBES = st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=2).map(lambda two: sorted(two, reverse=True))
_PATHS = st.builds(
    lambda peer, probes, round_trip, one_way: PathReport(peer, *probes, round_trip, one_way),
    st.sampled_from((WEST, MID, "nowhere")),
    _PROBES,
    st.none() | _DELAYS,
    st.none() | _DELAYS,
)
_LINKS = st.builds(
    LinkReport,
    st.sampled_from(("R/1", WEST)),
    st.integers(0, 2**64 - 1),
    st.integers(1, 2**32 - 1).map(lambda time_us: time_us / 1e6),
    st.none() | st.integers(1, 2**53).map(float),
)
_REPORTS = st.builds(
    lambda of, paths, links: NetworkReport(Origin(of, 1, 0, NOW_S), 10.0, tuple(paths), tuple(links)),
    st.sampled_from((EAST, WEST)),
    st.lists(_PATHS, max_size=2, unique_by=lambda path: path.peer),
    st.lists(_LINKS, max_size=2, unique_by=lambda link: link.neighbour),
)


@given(_REPORTS)
def test_a_report_is_read_as_it_was_written(report: NetworkReport) -> None:
    assert codec.decode(codec.encode(report)) == report


@given(st.lists(_REPORTS, max_size=8))
def test_many_reports_come_to_the_last_one_about_each_thing(reports: list[NetworkReport]) -> None:
    after_all, after_last = knowing(least_change=0.0), knowing(least_change=0.0)
    last: dict[tuple[str, str], NetworkReport] = {}
    for number, report in enumerate(reports, 1):
        arrived(after_all, _numbered(report, number))
        for path in report.paths:
            last[report.origin.reporter, path.peer] = replace(report, paths=(path,), links=())
        for link in report.links:
            last[report.origin.reporter, f"link {link.neighbour}"] = replace(report, paths=(), links=(link,))
    for number, report in enumerate(last.values(), 1):
        arrived(after_last, _numbered(report, number))
    assert _costs(after_all) == _costs(after_last)


@given(st.lists(_REPORTS, max_size=8))
def test_all_that_was_reported_is_forgotten_in_time(reports: list[NetworkReport]) -> None:
    known = knowing()
    for number, report in enumerate(reports, 1):
        arrived(known, _numbered(report, number))
    known.on_timer(NOW_S + LIFETIME_S)
    assert _costs(known) == _costs(knowing())
    assert known.next_timer_s() is None


def _numbered(report: NetworkReport, number: int) -> NetworkReport:
    return replace(report, origin=replace(report.origin, sequence=number))


def _costs(known: ReportedKnowledge) -> dict[object, str]:
    return {key: costs.tag for key, costs in known.knowledge.cost_maps.items() if costs.rows}
