"""What a flow is: keys, the fields that identify it per service, and services themselves.

Sections 4.2 of the Dyncast and 4.4 of the CFN-Dyncast architecture: each service says which fields
identify a flow and how long affinity lasts.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE, TCP, UDP, FlowKey

AFFINITY_MODES = ("reactive", "datapath")
STEERINGS = ("rewrite", "tunnel")
CHOICES = ("instance", "site")
PORT_BLOCKS = tuple(1 << bits for bits in range(13))


@dataclass(frozen=True)
class Service:
    """A service as an ingress knows it. `d_sids` holds one address per family it is offered in.

    `affinity_mode`: what binds a new flow, the D-Router upon its first packet (`reactive`) or the switch (`datapath`).
    `port_block`: so many consecutive ports, a power of two from a multiple of it, are as one: the audio, video and RTCP
    of a call are a set of 5-tuples that belong together.
    `steering`: the ingress writes the D-BID in place of the D-SID (`rewrite`), or the D-SID stays in the packet up to
    the instance (`tunnel`). `choice`: what the ingress picks, an `instance`, or a `site` whose D-Router, the egress,
    picks the instance by `local_policy`, or, without one, by the `policy` that picked the site.
    """

    name: str
    """Its name."""
    d_sids: tuple[Address, ...]
    """Its addresses, one per family that it is offered in."""
    policy: str = "dyncast"
    """The policy that selects."""
    flow_fields: tuple[str, ...] = FIVE_TUPLE
    """The fields that identify a flow."""
    affinity_timeout_s: int = 30
    """How long an idle flow stays bound."""
    affinity_mode: str = "reactive"
    """What binds a new flow: the D-Router upon its first packet, or the switch."""
    port_block: int = 1
    """So many consecutive ports, a power of two from a multiple of it, are one flow."""
    steering: str = "rewrite"
    """The ingress writes the D-BID in place of the D-SID, or the D-SID stays in the packet up to the instance."""
    choice: str = "instance"
    """What the ingress picks: an instance, or a site, whose D-Router picks the instance."""
    local_policy: str | None = None
    """The policy of that D-Router; default: the one that picked the site."""

    @property
    def policy_at_egress(self) -> str:
        """The policy by which an egress picks among its instances."""
        return self.local_policy or self.policy

    def identifier(self, packet: FlowKey) -> FlowKey:
        """Return the identifier of the flow that a packet belongs to; of a block of ports, the first."""
        flow = packet.masked(self.flow_fields)
        if self.port_block == 1:
            return flow
        src_port, dst_port = (
            None if port is None else port - port % self.port_block for port in (flow.src_port, flow.dst_port)
        )
        return flow._replace(src_port=src_port, dst_port=dst_port)

    @property
    def identifies_by_ports(self) -> bool:
        """Return whether packets without ports cannot be attributed to a flow."""
        return "src_port" in self.flow_fields or "dst_port" in self.flow_fields

    def is_identified_by(self, flow: FlowKey) -> bool:
        """Return whether a flow has the fields that identify flows of this service, and no others."""
        fields = [("src", flow.src), ("proto", flow.proto)]
        if flow.proto in (TCP, UDP):
            fields += [("src_port", flow.src_port), ("dst_port", flow.dst_port)]
        has_those = all((value is not None) == (name in self.flow_fields) for name, value in fields)
        return has_those and flow == self.identifier(flow)

    def __post_init__(self) -> None:
        unknown = set(self.flow_fields) - set(FIVE_TUPLE)
        if unknown:
            raise ValueError(f"service {self.name}: unknown flow fields {sorted(unknown)}; known: {list(FIVE_TUPLE)}")
        if {"src_port", "dst_port"} & set(self.flow_fields) and "proto" not in self.flow_fields:
            raise ValueError(f"service {self.name}: ports identify a flow only together with proto")
        if self.port_block not in PORT_BLOCKS:
            raise ValueError(f"service {self.name}: port_block must be a power of two up to {PORT_BLOCKS[-1]}")
        if self.port_block > 1 and not self.identifies_by_ports:
            raise ValueError(f"service {self.name}: a port_block needs src_port or dst_port among the flow fields")
        if self.affinity_mode not in AFFINITY_MODES:
            raise ValueError(f"service {self.name}: affinity mode must be one of {AFFINITY_MODES}")
        if self.affinity_mode == "datapath" and "src" not in self.flow_fields:
            raise ValueError(f"service {self.name}: in datapath mode, src must be among the flow fields")
        if not 1 <= self.affinity_timeout_s <= 65535:
            raise ValueError(f"service {self.name}: affinity_timeout_s must be 1..65535, not {self.affinity_timeout_s}")
        problem = steering_problem(self.steering, self.choice, self.affinity_mode, self.flow_fields)
        if problem is not None:
            raise ValueError(f"service {self.name}: {problem}")


def steering_problem(steering: str, choice: str, affinity_mode: str, flow_fields: tuple[str, ...]) -> str | None:
    """Return why a service cannot be steered so; None if it can."""
    if steering not in STEERINGS or choice not in CHOICES:
        return f"steering must be one of {STEERINGS}, choice one of {CHOICES}"
    if steering == "tunnel" and affinity_mode == "datapath":
        return "steering tunnel needs affinity mode reactive: the entries by which a switch binds flows itself rewrite"
    if choice == "site" and steering != "tunnel":
        return "choice site needs steering tunnel: the egress must still see the D-SID to pick the instance"
    if choice == "site" and "src" not in flow_fields:
        return "choice site needs src among the flow fields: a flow has one ingress, and one egress binds it"
    return None
