"""Reports for the benchmark of scale: the agents' own, alike for every way of reporting."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from testbed.benchmarks.ingress.site_reports import SentReport, Site, sent_reports
from testbed.dyncast.metric_agent.conditions import Threshold
from testbed.dyncast.metric_agent.update_triggers import Reporting

D_SID = IPv4Address("203.0.113.10")
SITES = [Site(f"site-{number}", IPv4Network(f"10.20{number}.0.0/24"), 5) for number in range(2)]
INTERVAL = Reporting(refresh_s=0.1)
THRESHOLD = Reporting(refresh_s=2.0, trigger=Threshold("queue_length", absolute=2))


def reports(reporting: Reporting, seed: int = 1) -> list[SentReport]:
    return list(sent_reports(SITES, D_SID, reporting, poll_interval_s=0.1, duration_s=6.0, seed=seed))


def bindings(of: list[SentReport]) -> int:
    return sum(len(item.report.bindings) for item in of)


def test_at_an_interval_each_site_tells_of_all_its_instances_at_each_poll() -> None:
    found = reports(INTERVAL)
    assert bindings(found) == 60 * 2 * 5
    assert [item.at_s for item in found] == sorted(item.at_s for item in found)
    assert {item.report.site for item in found} == {"site-0", "site-1"}


def test_by_threshold_the_same_load_is_told_of_less_often() -> None:
    seldom, often = reports(THRESHOLD), reports(INTERVAL)
    assert 3 * 2 * 5 < bindings(seldom) < bindings(often) / 2
    as_often = {(item.at_s, binding.d_bid): binding.raw for item in often for binding in item.report.bindings}
    assert all(as_often[item.at_s, binding.d_bid] == binding.raw for item in seldom for binding in item.report.bindings)


def test_loads_follow_from_the_seed() -> None:
    assert reports(INTERVAL) == reports(INTERVAL) != reports(INTERVAL, seed=2)
