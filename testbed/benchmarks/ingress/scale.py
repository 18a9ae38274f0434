"""`scale`: what 1,000 instances at ten ingresses cost one D-Router's control process, and new flows beside them.

One of the ten is real: its switch, its control process, its client. The others and all D-MAs are played by one thread:
they send, in band, what D-MAs would report of their sites (`site_reports`), probe and answer probes, and receive what
the D-Router passes on of its own site. D-MAs poll each 100 ms and report by threshold. That is the baseline of what it
costs when everything is reported each 100 ms, and of what it costs when clients open new flows.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

from testbed.benchmarks.harness import Benchmark, Better, Goal, Row, Settings, measure
from testbed.benchmarks.ingress.site_reports import SentReport, Site, sent_reports
from testbed.benchmarks.instruments.edge import D_SID, EGRESSES, IN_BAND_PORT, UDP_PORT, Edge, edge, ticks
from testbed.benchmarks.instruments.trickle import trickle
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.codec import MessageType
from testbed.dyncast.messages.reports import Probe
from testbed.dyncast.metric_agent.conditions import Threshold
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.emulation.netns.namespaces import socket_in
from testbed.records.parts import whole_rows

_INGRESS = "ingress"
_SITES, _INSTANCES_PER_SITE = 10, 100
_POLL_INTERVAL_S = 0.1
_THRESHOLD = Reporting(refresh_s=5.0, trigger=Threshold("queue_length", absolute=4, hysteresis_share=0.5))
_INTERVAL = Reporting(refresh_s=_POLL_INTERVAL_S)
_FLOWS_PER_S = {"reactive": 200, "datapath": 5_000}
_WARM_UP_S = 2
_MEASURED_S, _QUICK_MEASURED_S = 8, 4
_PAUSE_S = 0.002
_LARGEST_DATAGRAM = 65_535
_PROBE_INTERVAL_S = 1.0
_PROBES = {MessageType.PROBE, MessageType.PROBE_REPLY}
_GOAL = Goal(20.0, Better.LOWER)


class _Cost(NamedTuple):
    """What one way of reporting cost: shares of a core by the second, and what the D-Router did per second."""

    percent: list[float]
    reports_per_s: float
    bindings_per_s: float
    flows_per_s: float

    @property
    def note(self) -> str:
        cost = f"{self.bindings_per_s:,.0f} bindings/s reported in {self.reports_per_s:,.0f} reports/s"
        return f"{cost}, {self.flows_per_s:,.0f} new flows/s bound" if self.flows_per_s else cost


def _run(settings: Settings) -> Iterator[Row]:
    measured_s = _QUICK_MEASURED_S if settings.quick else _MEASURED_S
    with edge([_INGRESS], len(EGRESSES)) as built:
        sites = _sites(built)
        _prepare(built, sites)
        ways = {"threshold": _THRESHOLD, "interval": _INTERVAL}
        duration_s = _WARM_UP_S + measured_s + 1
        reports = {
            name: list(sent_reports(sites, IPv4Address(D_SID), reporting, _POLL_INTERVAL_S, duration_s))
            for name, reporting in ways.items()
        }
        for mode in ("reactive",) if settings.quick else ("reactive", "datapath"):
            ours = _measured(built, sites, mode, reports["threshold"], 0, measured_s)
            row = measure(f"scale/{mode}", "% of a core", ours.percent, note=ours.note, goal=_GOAL)
            yield row
            flows = _measured(built, sites, mode, reports["threshold"], _FLOWS_PER_S[mode], measured_s)
            yield _more(f"scale/{mode}/flows", flows, row)
            if not settings.quick:
                interval = _measured(built, sites, mode, reports["interval"], 0, measured_s)
                yield _more(f"scale/{mode}/interval", interval, row)


def _more(name: str, cost: _Cost, baseline: Row) -> Row:
    row = measure(name, "% of a core", cost.percent)
    ratio = row.value / baseline.value if baseline.value else None
    return replace(row, baseline=baseline.value, ratio=ratio, note=f"baseline: {baseline.name}; {cost.note}")


def _sites(built: Edge) -> list[Site]:
    """Return the sites: the real ingress, and those that are played."""
    own = built.network.plan.site(_INGRESS).prefix4.network_address + (100 << 8)
    prefixes = [f"{own}/24", *(f"10.{200 + number}.0.0/24" for number in range(1, _SITES))]
    names = [_INGRESS, *(f"site-{number}" for number in range(1, _SITES))]
    return [Site(name, IPv4Network(prefix), _INSTANCES_PER_SITE) for name, prefix in zip(names, prefixes, strict=True)]


def _prepare(built: Edge, sites: Sequence[Site]) -> None:
    """Give the D-Routers that are played their addresses; what is sent to instances that do not exist is lost."""
    for node, *words in (
        *((EGRESSES[0], "address", "add", f"{address}/32", "dev", "lo") for address in _addresses(built).values()),
        *((_INGRESS, "route", "add", "blackhole", str(site.prefix)) for site in sites),
    ):
        built.network.run(node, ["ip", *words], timeout_s=20).check_returncode()


def _addresses(built: Edge) -> dict[str, str]:
    """Return where the D-Routers that are played listen: addresses of an egress."""
    first = built.network.plan.site(EGRESSES[0]).prefix4.network_address + (250 << 8)
    return {f"site-{number}": str(first + number) for number in range(1, _SITES)}


def _measured(
    built: Edge, sites: Sequence[Site], mode: str, reports: Sequence[SentReport], flows_per_s: int, measured_s: int
) -> _Cost:
    addresses = _addresses(built)
    peers = [
        {"site": site.name, "address": addresses[site.name], "path_cost_ms": 1, "prefixes": [str(site.prefix)]}
        for site in sites[1:]
    ]
    client_of = {_INGRESS: built.client_of(_INGRESS)}
    with ExitStack() as stack:
        pid = stack.enter_context(built.controlled(_INGRESS, mode, peers=peers, metric_lifetime_s=15))
        stack.enter_context(_played(built, reports))
        if flows_per_s:
            stack.enter_context(trickle(built.network, client_of, D_SID, flows_per_s, UDP_PORT))
        time.sleep(_WARM_UP_S)
        begin_s, percent = time.monotonic(), []
        for second in range(1, measured_s + 1):
            before = ticks(pid)
            time.sleep(max(0.0, begin_s + second - time.monotonic()))
            percent.append(100 * (ticks(pid) - before) / os.sysconf("SC_CLK_TCK"))
        bound_per_s = _bound_per_s(built.table(_INGRESS, "control"), begin_s) if flows_per_s else 0.0
    built.forget_flows(_INGRESS)
    sent = [item.report for item in reports if _WARM_UP_S <= item.at_s < _WARM_UP_S + measured_s]
    bindings = sum(len(report.bindings) for report in sent)
    return _Cost(percent, len(sent) / measured_s, bindings / measured_s, bound_per_s)


def _bound_per_s(control: Path, begin_s: float) -> float:
    """Return how many flows the D-Router bound per second, or learnt that its switch did, by its own counters."""
    bound: Counter[float] = Counter()
    for row in whole_rows(control):
        if row["kind"] in ("decisions", "flows_given") and float(row["time_s"]) >= begin_s:
            bound[float(row["time_s"])] += int(row["messages"])
    first_s, last_s = min(bound), max(bound)
    return (bound[last_s] - bound[first_s]) / (last_s - first_s)


@contextmanager
def _played(built: Edge, reports: Sequence[SentReport]) -> Iterator[None]:
    """Be the D-MAs of all sites and the D-Routers of all but one, while the block runs."""
    with ExitStack() as stack:

        def opened(node: str, address: str, port: int) -> socket.socket:
            made = stack.enter_context(socket_in(built.pid(node), socket.AF_INET, socket.SOCK_DGRAM))
            made.bind((address, port))
            made.connect((built.gateway(_INGRESS), IN_BAND_PORT))
            made.setblocking(False)
            return made

        d_routers = {site: opened(EGRESSES[0], at, IN_BAND_PORT) for site, at in _addresses(built).items()}
        agent = opened(_INGRESS, built.gateway(_INGRESS), 0)
        ended = threading.Event()
        thread = threading.Thread(target=_play, args=(d_routers, agent, reports, ended))
        thread.start()
        stack.callback(thread.join)
        stack.callback(ended.set)
        yield


def _play(
    d_routers: Mapping[str, socket.socket], agent: socket.socket, reports: Sequence[SentReport], ended: threading.Event
) -> None:
    site_of = {d_router: site for site, d_router in d_routers.items()}
    begin_s, sent, probes = time.monotonic(), 0, 0
    while not ended.is_set():
        elapsed_s = time.monotonic() - begin_s
        while sent < len(reports) and reports[sent].at_s <= elapsed_s:
            sent_s, report = reports[sent]
            data = codec.encode(replace(report, sent_s=begin_s + sent_s))
            d_routers.get(report.site, agent).send(data)  # of its own site, the D-Router receives from the D-MA
            sent += 1
        if elapsed_s >= probes * _PROBE_INTERVAL_S:
            probes += 1
            for site, d_router in d_routers.items():
                d_router.send(codec.encode(Probe(site, probes, time.monotonic())))
        for ready in select.select(list(site_of), [], [], _PAUSE_S)[0]:
            answer = _answered(ready.recv(_LARGEST_DATAGRAM), site_of[ready])
            if answer is not None:
                ready.send(codec.encode(answer))


def _answered(data: bytes, site: str) -> Probe | None:
    """Return the answer to a probe, which may be an answer itself; None to all else."""
    if codec.read_header(data).kind not in _PROBES:
        return None
    probe = codec.decode(data)
    assert isinstance(probe, Probe)
    if probe.is_reply and probe.asked_s is None:
        return None
    if probe.asked_s is None:
        return Probe(site, probe.sequence, probe.sent_s, is_reply=True)
    return Probe(site, probe.asked_sequence, probe.asked_s, is_reply=True)


BENCHMARK = Benchmark("scale", "what 1,000 instances at ten ingresses cost a control process", _run)
