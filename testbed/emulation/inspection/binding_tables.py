"""The binding tables of all D-Routers that are up on this machine, as people and programs read them.

Owns the gathering over bridges and runs; what a binding is, is in `bound_flows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from testbed.emulation.inspection.bound_flows import BoundFlow, bound_flows
from testbed.emulation.switches.bridges import RunningBridge, running_bridges
from testbed.linux.ovs_conntrack import Conntrack


@dataclass(frozen=True)
class BindingRow:
    """One row of figure 4 of the CFN-Dyncast architecture, and where it was read."""

    run: str
    d_router: str
    flow: BoundFlow
    egress: str | None
    is_of_site: bool = False  # the instance is for the egress to choose

    def document(self) -> dict[str, object]:
        """Return the row as JSON has it."""
        flow = self.flow
        return {
            "run": self.run,
            "d_router": self.d_router,
            "src": None if flow.src is None else str(flow.src),
            "src_port": flow.src_port,
            "d_sid": str(flow.d_sid),
            "dst_port": flow.dst_port,
            "port_block": flow.port_block,
            "proto": flow.proto,
            "d_bid": None if self.is_of_site else str(flow.d_bid),
            "egress": self.egress,
            "age_s": None if flow.age_s is None else round(flow.age_s, 3),
            "timeout_s": flow.timeout_s,
            "held_by": flow.held_by,
        }


def d_routers() -> list[RunningBridge]:
    """Return the D-Routers that are up. Raises BridgeError."""
    return sorted(running_bridges(), key=lambda bridge: (bridge.tag, bridge.name))


def rows(ingress: RunningBridge, now_s: float) -> Iterator[BindingRow]:
    """Return the bindings of a D-Router; `now_s` is of CLOCK_MONOTONIC. Raises BridgeError, ConntrackError."""
    of_run = [bridge for bridge in running_bridges() if bridge.tag == ingress.tag]
    sites = [(ip_network(prefix), bridge.d_router) for bridge in of_run for prefix in bridge.prefixes]
    stations = {mac: addresses for bridge in of_run for mac, addresses in bridge.stations.items()}
    d_routers = {prefix[1] for prefix, _ in sites}  # the first address of a site is that of its D-Router
    for flow in bound_flows(ingress.name, Conntrack(ingress.datapath_type), now_s, stations):
        egress = next((name for prefix, name in sites if flow.d_bid in prefix), None)
        yield BindingRow(str(ingress.tag), ingress.d_router, flow, egress, is_of_site=flow.d_bid in d_routers)
