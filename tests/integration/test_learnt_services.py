"""Ranges of D-SIDs at a real ingress: what is no service is refused, and what reports tell of becomes one."""

from __future__ import annotations

import errno
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.reports import Report, report_of
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.net.flow_key import THREE_TUPLE
from testbed.runtime.polling import wait_until
from tests.integration.echo_server import TCP_PORT
from tests.integration.ingress_network import (
    CLIENT,
    EAST,
    HOME,
    INSTANCES,
    RANGES,
    STEADY,
    WEST,
    Control,
    IngressNetwork,
    say,
)

pytestmark = pytest.mark.root

_STRANGERS = ("203.0.113.99", "fd00:5::99")
_OFFER = ServiceOffer("learnt", THREE_TUPLE, 1, 600)
_sequence = count(1)


@contextmanager
def _running(ingress: IngressNetwork, folder: Path, **changes: Any) -> Iterator[Control]:
    control = Control(ingress, folder, d_sid_ranges=list(RANGES), **changes)
    try:
        control.start(report="services" not in changes)
        yield control
        ingress.wait_until_closed()
    finally:
        control.kill()
        for kind in ("d1", "d2"):
            ingress.ofctl("del-flows", ingress.bridge, f"cookie=0x{kind}000000000000/0xffff000000000000")


def _report(ingress: IngressNetwork, site: str, state: State = State.UP) -> None:
    bindings = tuple(
        replace(report_of(ip_address(d_sid), ip_address(d_bid), state, RawMetrics(4, queue_limit=50)), offer=_OFFER)
        for d_sid, d_bid in zip(STEADY, ingress.addresses(INSTANCES[site]), strict=True)
    )
    ingress.tell(site, codec.encode(Report(site, next(_sequence), time.monotonic(), bindings)))


def _is_intercepted(ingress: IngressNetwork, d_sid: str) -> bool:
    found = re.compile(rf"priority=100,.*(nw|ipv6)_dst={d_sid} actions=CONTROLLER")
    return any(found.search(entry.text) for entry in ingress.entries())


def _refusal_of(ingress: IngressNetwork, d_sid: str) -> int | None:
    with pytest.raises(OSError) as caught, ingress.client_socket(socket.SOCK_STREAM, (d_sid, TCP_PORT)):
        pass
    return caught.value.errno


def test_packets_to_members_of_a_range_that_are_no_service_are_refused_and_counted(
    ingress: IngressNetwork, tmp_path: Path
) -> None:
    with _running(ingress, tmp_path) as control:
        for d_sid in _STRANGERS:
            assert _refusal_of(ingress, d_sid) == errno.ENETUNREACH
        ping = ["ping", "-n", "-c", "3", "-i", "0.3", "-W", "5", _STRANGERS[0]]
        said = ingress.network.run(CLIENT, ping, timeout_s=30).stdout
        assert f"From {ingress.gateway(HOME)} " in said and "Unreachable" in said  # it came no further
        wait_until(lambda: control.counted("unknown_d_sid") >= 3, what="the count")
        assert ingress.affinity_entries() == []
        for d_sid in STEADY:
            with ingress.client_socket(socket.SOCK_STREAM, (d_sid, TCP_PORT)) as connection:
                assert say(connection, "to a service") in INSTANCES.values()


def test_a_service_is_learnt_with_its_first_report_and_given_up_with_its_last_instance(
    ingress: IngressNetwork, tmp_path: Path
) -> None:
    with _running(ingress, tmp_path, services=[], learnt_policy="round_robin") as control:
        assert not any(_is_intercepted(ingress, d_sid) for d_sid in STEADY)
        assert _refusal_of(ingress, STEADY[0]) == errno.ENETUNREACH
        for site in (EAST, WEST):
            _report(ingress, site)
        wait_until(lambda: all(_is_intercepted(ingress, d_sid) for d_sid in STEADY), what="both D-SIDs")
        bound = {}
        for d_sid in STEADY:
            with ingress.client_socket(socket.SOCK_STREAM, (d_sid, TCP_PORT)) as one:
                bound[d_sid] = say(one, "first")
            with ingress.client_socket(socket.SOCK_STREAM, (d_sid, TCP_PORT)) as other:
                assert say(other, "second") == bound[d_sid]  # one flow, by the 3-tuple that was offered
        assert {row["service"] for d_sid in STEADY for row in control.decisions(d_sid)} == {"learnt"}
        assert all("idle_timeout=600" in entry.text for entry in ingress.affinity_entries() if entry.is_forward)

        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as lasting:
            say(lasting, "before")
            _report(ingress, EAST, State.DRAINING)
            _report(ingress, WEST, State.DRAINING)
            wait_until(lambda: not any(_is_intercepted(ingress, d_sid) for d_sid in STEADY), what="the release")
            assert say(lasting, "after") == bound[STEADY[0]]
        with pytest.raises(OSError), ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT), host="neighbour"):
            pass
        _report(ingress, EAST)
        wait_until(lambda: _is_intercepted(ingress, STEADY[0]), what="the D-SID again")
        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT), host="neighbour") as connection:
            assert say(connection, "again") == INSTANCES[EAST]


def test_flows_to_learnt_services_outlive_a_restart_of_the_control_process(
    ingress: IngressNetwork, tmp_path: Path
) -> None:
    with _running(ingress, tmp_path, services=[], learnt_policy="round_robin") as control:
        _report(ingress, EAST)
        wait_until(lambda: _is_intercepted(ingress, STEADY[0]), what="the D-SID")
        with ingress.client_socket(socket.SOCK_STREAM, (STEADY[0], TCP_PORT)) as lasting:
            say(lasting, "before")
            control.end(signal.SIGKILL)
            control.start(report=False)
            assert say(lasting, "after") == INSTANCES[EAST]
            wait_until(lambda: control.counted("bindings_recovered") == 1, what="the count")
            _report(ingress, EAST)
            wait_until(lambda: _is_intercepted(ingress, STEADY[0]), what="the D-SID again")
            assert say(lasting, "again") == INSTANCES[EAST]
