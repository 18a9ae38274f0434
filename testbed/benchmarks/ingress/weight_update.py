"""`weight_update`: from a metric report's arrival to the first new flow that obeys it, in both modes.

Of many instances two are real; the others are too busy to be chosen. New flows come all the time, and all go to the
idle one of the two. A report turns the two round: what is timed is until a flow reaches the other one. At a trickle of
flows, the time between two flows is part of the figure.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from types import SimpleNamespace

from testbed.benchmarks.harness import Benchmark, Row, Settings, compare
from testbed.benchmarks.instruments.edge import D_SID, EGRESSES, IN_BAND_PORT, Edge, edge
from testbed.benchmarks.instruments.flood import Flood
from testbed.benchmarks.instruments.wire import Capture
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import BindingReport, Report, report_of
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.emulation.netns.namespaces import socket_in
from testbed.emulation.wiring import HOST_INTERFACE
from testbed.net import addresses

_NAME = "weight_update"
_OURS, _BASELINE = "datapath", "reactive"
_COUNTS = (10, 100, 1_000)
_QUICK_COUNT = 100
_TRICKLE_PER_S, _LOAD_PER_S = 500, 10_000
_BEFORE_S, _AFTER_S = 0.2, 0.4
_IDLE, _BUSY, _OVERLOADED = 0, 300, 600  # sessions
_IPV4 = 0x0800


def _run(settings: Settings) -> Iterator[Row]:
    for count in (_QUICK_COUNT,) if settings.quick else _COUNTS:
        with (
            edge([_OURS, _BASELINE], len(EGRESSES)) as built,
            built.steered(_OURS, "datapath", policy="least_loaded"),
            built.steered(_BASELINE, policy="least_loaded"),
        ):
            turners = {ingress: _Turner(built, ingress, count) for ingress in (_OURS, _BASELINE)}
            for rate_per_s in (_LOAD_PER_S,) if settings.quick else (_TRICKLE_PER_S, _LOAD_PER_S):
                ours, reactive = (_timed(turners[ingress], rate_per_s) for ingress in (_OURS, _BASELINE))
                yield compare(
                    f"{_NAME}/{count}/{rate_per_s}", "ms", ours.__next__, reactive.__next__, settings.rounds,
                    note=f"{count} instances, {rate_per_s:,} new flows/s; against reactive mode",
                )  # fmt: skip


def _timed(turner: _Turner, rate_per_s: float) -> Iterator[float]:
    while True:
        yield turner.turn_ms(rate_per_s)


class _Turner:
    """Reports to one ingress so many instances, of which now one, now the other takes all new flows."""

    def __init__(self, built: Edge, ingress: str, count: int) -> None:
        self._edge = built
        self._ingress = ingress
        self._flood = Flood(built, ingress)
        self._sequence = dict.fromkeys(EGRESSES, 1000)
        self._idle = 0
        others = [ip_address(f"10.200.{number >> 8}.{number & 255}") for number in range(1, count - 1)]
        for d_bids in (others[start : start + 10] for start in range(0, len(others), 10)):
            self._send(EGRESSES[0], [_binding_report(d_bid, _OVERLOADED) for d_bid in d_bids])
        self._report_both()

    def turn_ms(self, rate_per_s: float) -> float:
        """Turn the two round while new flows come; return how long it took until one obeyed."""
        turning_to = self._edge.instances[1 - self._idle]
        reported_ns: list[int] = []

        def turn() -> None:
            time.sleep(_BEFORE_S)
            self._idle = 1 - self._idle
            reported_ns.append(time.time_ns())
            self._report_both()

        turning = threading.Thread(target=turn)
        with Capture(SimpleNamespace(pid=self._edge.pid(turning_to)), HOST_INTERFACE, _IPV4) as seen:
            turning.start()
            self._flood.offer(rate_per_s, _BEFORE_S + _AFTER_S)
            turning.join()
            obeyed_ns = [arrival.at_ns for arrival in seen.arrivals(0.0) if arrival.at_ns > reported_ns[0]]
        self._edge.forget_flows(self._ingress)
        if not obeyed_ns:
            raise RuntimeError(f"no flow obeyed the report within {_AFTER_S:g} s")
        return (obeyed_ns[0] - reported_ns[0]) / 1e6

    def _report_both(self) -> None:
        for index in (self._idle, 1 - self._idle):
            instance = self._edge.instances[index]
            sessions = _IDLE if index == self._idle else _BUSY
            self._send(
                self._edge.site_of(instance), [_binding_report(ip_address(self._edge.address(instance)), sessions)]
            )

    def _send(self, site: str, bindings: list[BindingReport]) -> None:
        self._sequence[site] += 1
        report = Report(site, self._sequence[site], time.monotonic(), tuple(bindings))
        with socket_in(self._edge.pid(site), socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.bind((self._edge.gateway(site), 0))
            ours.sendto(codec.encode(report), (self._edge.gateway(self._ingress), IN_BAND_PORT))


def _binding_report(d_bid: addresses.Address, sessions: int) -> BindingReport:
    raw = RawMetrics(4, queue_limit=50, sessions=sessions, service_time_s=0.01)
    if sessions:
        raw = replace(raw, utilisation=1.0, busy_workers=4, queue_length=50)
    return report_of(ip_address(D_SID), d_bid, State.UP, raw)


BENCHMARK = Benchmark(_NAME, "from a report's arrival to the first flow that obeys it", _run)
