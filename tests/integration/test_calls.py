"""Audio, video and the RTCP of each: a call is four UDP flows on neighbouring ports, and belongs to one instance."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, islice

import pytest

from tests.integration.echo_server import UDP_PORTS
from tests.integration.ingress_network import (
    BY_CALL,
    BY_CLIENT,
    CLIENT,
    INSTANCES,
    NEIGHBOUR,
    STEADY,
    Control,
    IngressNetwork,
    controlled,
    say,
)

pytestmark = pytest.mark.root

_CALLS = 1000
# No two tests use the same ports: an answer to a port that another service's flow had shortly before would be taken for
# that one's.
_first_ports = count(16_384, len(UDP_PORTS))


@pytest.fixture(scope="module", params=["reactive", "datapath"])
def control(
    request: pytest.FixtureRequest, ingress: IngressNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Control]:
    with controlled(ingress, tmp_path_factory.mktemp(request.param), mode=request.param) as control:
        yield control


def called(ingress: IngressNetwork, d_sid: str, calls: int, host: str = CLIENT) -> list[set[str]]:
    """Who answers each call; every port of it says a word."""
    served_by = []
    for first in islice(_first_ports, calls):
        with ExitStack() as opened:
            streams = [
                opened.enter_context(
                    ingress.client_socket(socket.SOCK_DGRAM, (d_sid, port), port=first + offset, host=host)
                )
                for offset, port in enumerate(UDP_PORTS)
            ]
            served_by.append({say(stream, "a frame") for stream in streams})
    return served_by


@pytest.mark.usefixtures("control")
def test_by_five_tuple_a_call_may_be_split(ingress: IngressNetwork) -> None:
    """Round robin splits each of them; by chance a hash splits seven in eight."""
    assert any(len(instances) > 1 for instances in called(ingress, STEADY[0], 40))


@pytest.mark.usefixtures("control")
@pytest.mark.parametrize("d_sid", [BY_CALL[0], BY_CLIENT[0]], ids=["block of ports", "three-tuple"])
def test_no_call_of_a_thousand_is_split(ingress: IngressNetwork, d_sid: str) -> None:
    assert {len(instances) for instances in called(ingress, d_sid, _CALLS)} == {1}


@pytest.mark.usefixtures("control")
def test_no_call_is_split_over_ipv6(ingress: IngressNetwork) -> None:
    assert {len(instances) for instances in called(ingress, BY_CALL[1], 40)} == {1}


def test_calls_of_one_client_may_go_to_different_instances_where_the_d_router_decides(
    ingress: IngressNetwork, control: Control
) -> None:
    """A switch by itself spreads flows that are told by blocks of ports by their client."""
    served_by = [instances for host in (CLIENT, NEIGHBOUR) for instances in called(ingress, BY_CALL[0], 20, host)]
    assert {len(instances) for instances in served_by} == {1}
    if control.mode == "reactive":
        assert set.union(*served_by) == set(INSTANCES.values())
