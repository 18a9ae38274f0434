"""Reports to an ALTO server, of a network of three sites in a row behind routers, for the tests that need some."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from testbed.alto.network.facts import KnownLink, KnownNode, NetworkFacts
from testbed.alto.reports import codec
from testbed.alto.reports.admission import Reporter
from testbed.alto.reports.messages import (
    ClusterReport,
    DelayStatistics,
    Held,
    HeldBlob,
    HeldFunction,
    LinkReport,
    NetworkReport,
    Origin,
    PathReport,
    Report,
    Resources,
    Runtime,
)
from testbed.alto.reports.reported_knowledge import ReportedKnowledge, Taken

NOW_S = 100.0
LIFETIME_S = 5.0
EAST, WEST, MID = "east", "west", "mid"
CLUSTER = "cluster@east"
EAST_ADDRESS, CLUSTER_ADDRESS = ip_address("10.1.0.1"), ip_address("10.1.0.12")
DIGEST = bytes(range(32))

FACTS = NetworkFacts(
    nodes=(
        KnownNode(EAST, EAST, (ip_network("10.1.0.0/16"),), {".name": EAST}),
        KnownNode(WEST, WEST, (ip_network("10.2.0.0/16"),)),
        KnownNode(MID, MID, (ip_network("10.3.0.0/16"),)),
        KnownNode("R/1", "R_1", (ip_network("172.31.0.1/32"),)),
    ),
    links=(
        KnownLink(EAST, "R/1", 1.0, 80.0),
        KnownLink(WEST, "R/1", 2.0, 8.0),
        KnownLink(MID, "R/1", 3.0),
    ),
    next_hops={
        EAST: {WEST: "R/1", MID: "R/1", "R/1": "R/1"},
        WEST: {EAST: "R/1", MID: "R/1", "R/1": "R/1"},
        MID: {EAST: "R/1", WEST: "R/1", "R/1": "R/1"},
        "R/1": {EAST: EAST, WEST: WEST, MID: MID},
    },
    endpoints={"ipv4:10.1.0.12": CLUSTER},
)
REPORTERS = {
    EAST: Reporter("network", (ip_network("10.1.0.0/16"),)),
    WEST: Reporter("network"),
    CLUSTER: Reporter("cluster", (ip_network("10.1.0.12/32"),)),
}
RESOURCES = Resources(4.0, 1.5, 1.0, 2048, 512, 8, 2, 0, 100)


def origin(reporter: str = EAST, sequence: int = 1, sent_s: float = NOW_S, epoch: int = 1) -> Origin:
    return Origin(reporter, epoch, sequence, sent_s)


def delays(median_ms: float, least_ms: float | None = None) -> DelayStatistics:
    least_s = (median_ms if least_ms is None else least_ms) / 1e3
    return DelayStatistics(10, least_s, median_ms / 1e3, median_ms / 1e3, 2 * median_ms / 1e3)


def path(peer: str = WEST, rtt_ms: float = 6.0, one_way_ms: float = 3.5, answered: int = 10) -> PathReport:
    return PathReport(peer, 10, answered, delays(rtt_ms), delays(one_way_ms, 3.0))


def network_report(
    *paths: PathReport, links: tuple[LinkReport, ...] = (), sequence: int = 1, sent_s: float = NOW_S, of: str = EAST
) -> NetworkReport:
    return NetworkReport(origin(of, sequence, sent_s), 10.0, paths, links)


def cluster_report(
    resources: Resources = RESOURCES, *held: Held, sequence: int = 1, sent_s: float = NOW_S
) -> ClusterReport:
    return ClusterReport(origin(CLUSTER, sequence, sent_s), resources, held)


REPORTS: tuple[Report, ...] = (
    network_report(),
    network_report(path(), path(MID), PathReport("nowhere", 3, 0), links=(LinkReport("R/1", 1 << 40, 1.0, 8e7),)),
    network_report(
        PathReport(WEST, 0, 0, None, delays(1.0)), links=(LinkReport("R/1", 0, 1.0), LinkReport("x", 9, 0.5))
    ),
    cluster_report(),
    cluster_report(RESOURCES, Runtime("python:3", 2), HeldFunction(DIGEST, 2, 0.25), HeldBlob(DIGEST)),
    replace(cluster_report(RESOURCES, HeldFunction(DIGEST)), part=1, parts=3),
)


def knowing(least_change: float = 0.02) -> ReportedKnowledge:
    """Return what a server knows before the first report."""
    return ReportedKnowledge(FACTS, REPORTERS, LIFETIME_S, least_change)


def arrived(known: ReportedKnowledge, report: Report, now_s: float = NOW_S) -> Taken:
    """Have a report come from where its reporter is."""
    source = CLUSTER_ADDRESS if report.origin.reporter == CLUSTER else EAST_ADDRESS
    return known.on_datagram(codec.encode(report), source, now_s)
