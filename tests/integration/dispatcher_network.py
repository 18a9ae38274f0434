"""A real CFN Dispatcher for tests: a client behind it, its CFN node, an instance behind each of two others.

The network of `ingress_network` with one node more: the Dispatcher and its CFN node have control processes, and metric
reports come from the other two D-Routers as they would from theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.dyncast import roles
from testbed.emulation.inspection import client as inspection
from tests.integration.ingress_network import (
    CLIENT,
    HOME,
    IN_BAND_PORT,
    SERVICES,
    Control,
    IngressNetwork,
    controlled,
    topology,
)
from topologies.spec import Link, LinkSpec, Node, Topology

DISPATCHER = "gate"
DELAY_MS = 2.0  # each way between the two


def with_dispatcher() -> Topology:
    """The network with the client behind a Dispatcher; its neighbour stays beside it."""
    plain = topology()
    links = [link for link in plain.links if CLIENT not in (link.a, link.b)]
    own = (Link(DISPATCHER, HOME, LinkSpec(delay_ms=DELAY_MS)), Link(CLIENT, DISPATCHER))
    return Topology("dispatcher", (*plain.nodes, Node(DISPATCHER, roles.DISPATCHER)), (*links, *own))


class DispatcherControl(Control):
    """The control process of the Dispatcher."""

    node = DISPATCHER

    def __init__(self, ingress: IngressNetwork, folder: Path, tells: str) -> None:
        super().__init__(ingress, folder)
        self._dispatcher_address = ingress.addresses(DISPATCHER)[0]
        bridge = ingress.network.bridge(DISPATCHER)
        self.name = f"control@{DISPATCHER}"
        self._document: dict[str, Any] = {
            "name": self.name,
            "site": DISPATCHER,
            "seed": 1,
            "out_dir": str(folder),
            "datapath_id": bridge.datapath_id,
            "openflow_fd": ingress.network.controller_socket(DISPATCHER),
            "uplink_port": bridge.uplink_port,
            "in_band_port": IN_BAND_PORT,
            "inspection_socket": inspection.socket_name(bridge.name),
            "services": SERVICES,
            "switch": {
                "datapath_type": ingress.network.backends.datapath,
                "management_socket": str(bridge.management_socket),
                "prefixes": list(ingress.addresses(CLIENT)),
            },
            "dispatcher": {"cfn_node": HOME, "address": ingress.gateway(HOME), "tells": tells},
        }

    @property
    def address(self) -> str:
        return self._dispatcher_address


@contextmanager
def dispatched(ingress: IngressNetwork, folder: Path, tells: str) -> Iterator[tuple[Control, DispatcherControl]]:
    """The control processes of the CFN node, which knows both instances, and of the Dispatcher; ended afterwards."""
    known = {
        "name": DISPATCHER,
        "address": ingress.addresses(DISPATCHER)[0],
        "port": ingress.network.bridge(HOME).ports[DISPATCHER],
        "tells": tells,
    }
    with controlled(ingress, folder / "node", dispatchers=[known], probe_interval_s=0.2) as node:
        home = DispatcherControl(ingress, folder / "home", tells)
        try:
            home.start(report=False)
            yield node, home
        finally:
            home.kill()
            bridge = ingress.network.bridge(DISPATCHER).name
            for kind in ("d1", "d2"):
                ingress.ofctl("del-flows", bridge, f"cookie=0x{kind}000000000000/0xffff000000000000")
