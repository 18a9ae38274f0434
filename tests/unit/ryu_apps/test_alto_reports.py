"""A D-Router's reports to an ALTO server: what it measured becomes what the server knows."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from ryu_apps.dyncast.config.alto_reports import AltoReportsConfig
from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.dyncast.measurement.alto_reports import KIND, AltoReports
from testbed.alto.reports import codec
from testbed.alto.reports.messages import NetworkReport
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.monitoring.port_state import Port, PortState
from testbed.net.port_counters import PortCounters
from testbed.runtime.config import ConfigError

START_S = 100.0


class Measured:
    """What a D-Router has measured."""

    def __init__(self, *sites: str) -> None:
        self.paths = {site: PathState(site, 20.0) for site in sites}
        self.ports = {"eth0": PortState(Port("eth0", 8e6)), "eth1": PortState(Port("eth1"))}
        self.counters: Counter[str] = Counter()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        ours.settimeout(10)
        yield ours


@pytest.fixture
def sending() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        yield ours


def reports(measured: Measured, sending: socket.socket, port: int, counted: list[tuple[object, ...]]) -> AltoReports:
    config = AltoReportsConfig((ip_address("127.0.0.1"), port), links={"eth0": "r7", "eth9": "r9"})
    return AltoReports(config, "here", measured, 0.5, START_S, sending, lambda *of: counted.append(of))


def received(server: socket.socket) -> NetworkReport:
    report = codec.decode(server.recv(2000))
    assert isinstance(report, NetworkReport)
    return report


def test_a_report_has_what_was_measured_of_paths_and_sent_by_ports(
    server: socket.socket, sending: socket.socket
) -> None:
    measured, counted = Measured("there", "nowhere"), list[tuple[object, ...]]()
    of = reports(measured, sending, server.getsockname()[1], counted)
    samples = measured.paths["there"].samples
    assert samples is not None
    for number, round_trip_s in enumerate((0.02, 0.05, 0.03)):
        samples.on_sent(number, START_S + 0.1 * number)
        samples.on_back(number, round_trip_s)
    samples.on_sent(3, START_S + 0.3)
    measured.ports["eth0"].on_counters(PortCounters(1000, 10, 0), START_S)
    first_s = of.next_timer_s()
    of.on_timer(first_s - 0.01)
    of.on_timer(first_s)
    report = received(server)
    assert (report.origin.reporter, report.origin.sequence, report.paths_over_s) == ("here", 1, 10.0)
    assert report.links == ()  # nothing is known of it before
    measured.ports["eth0"].on_counters(PortCounters(51_000, 50, 0), START_S + 2.0)
    of.on_timer(START_S + 2.5)
    report = received(server)
    there, nowhere = report.paths
    assert (there.peer, there.probes, there.answered) == ("there", 4, 3)
    assert there.round_trip is not None
    assert (there.round_trip.samples, there.round_trip.least_s, there.round_trip.median_s) == (3, 0.02, 0.03)
    assert (nowhere.probes, nowhere.round_trip, nowhere.one_way) == (0, None, None)
    (link,) = report.links
    assert (link.neighbour, link.octets, link.over_s, link.rate_bps) == ("r7", 50_000, 2.0, 8e6)
    assert [of[:3] for of in counted] == [("sent", "alto", KIND)] * 2


def test_a_port_that_was_not_read_since_or_was_made_again_is_left_out(
    server: socket.socket, sending: socket.socket
) -> None:
    measured = Measured()
    of = reports(measured, sending, server.getsockname()[1], [])
    links = []
    for sent_bytes, read_s in ((1000, 0.5), (2000, 1.5), (2000, 1.5), (10, 3.5), (110, 4.5)):
        if measured.ports["eth0"].read_s != START_S + read_s:
            measured.ports["eth0"].on_counters(PortCounters(sent_bytes, 1, 0), START_S + read_s)
        of.on_timer(of.next_timer_s())
        links.append([link.octets for link in received(server).links])
    assert links == [[], [1000], [], [], [100]]


def test_a_report_of_many_paths_goes_in_several_datagrams(server: socket.socket, sending: socket.socket) -> None:
    measured = Measured(*(f"site-{number:050}" for number in range(40)))
    of = reports(measured, sending, server.getsockname()[1], [])
    of.on_timer(of.next_timer_s())
    peers: list[str] = []
    while len(peers) < 40:
        report = received(server)
        peers += [path.peer for path in report.paths]
    assert peers == list(measured.paths) and report.origin.sequence > 1
    of.on_timer(of.next_timer_s())
    assert received(server).origin.sequence == report.origin.sequence + 1


def test_a_link_behind_a_port_that_is_not_read_is_refused_by_its_key(tmp_path: Path) -> None:
    document = {
        "name": "control@here", "out_dir": str(tmp_path), "site": "here", "seed": 1, "datapath_id": 1, "openflow_fd": 5,
        "uplink_port": 1, "in_band_fd": 6, "in_band_port": 7000, "services": [],
        "alto": {"server": ["10.9.0.1", 8182], "links": {"eth0": "r7"}},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"alto\.links\.eth0 is none of its ports; there are: none"):
        ControlConfig.from_document(document)


def test_a_report_that_cannot_be_sent_is_counted(sending: socket.socket) -> None:
    measured = Measured("there")
    config = AltoReportsConfig((ip_address("fd00::1"), 8182))  # a socket of IPv4 cannot send there
    of = AltoReports(config, "here", measured, 0.5, START_S, sending, lambda *_: None)
    of.on_timer(of.next_timer_s())
    assert measured.counters == {"messages_unsent": 1}
