"""The scenario's `services:`: what is offered at a D-SID, and what a flow to it is.

What a service needs of the keys beside it is checked in `scenario`. The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, IPvAnyAddress, model_validator

from testbed.dyncast.affinity.service import PORT_BLOCKS
from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import POLICIES
from testbed.experiment.schema_parts import Part
from testbed.experiment.systems.dyncast.keys.metric import NormalisationKeys
from testbed.experiment.systems.dyncast.keys.steering import SteeringKeys

ADMIN_PORT = 9100  # where instances report their metrics, beside what they serve


class AffinityKeys(Part):
    """What a flow is, and how long its binding outlives its last packet."""

    fields: tuple[Literal["src", "dst", "proto", "src_port", "dst_port"], ...] = (
        "src",
        "dst",
        "proto",
        "src_port",
        "dst_port",
    )
    """Header fields that identify a flow."""
    port_block: int = Field(1, ge=1)
    """Ports count by blocks of so many (a power of two): 4 makes ports 5004 to 5007 of one call one flow."""
    timeout_s: int = Field(30, ge=1, le=65535)
    """Idle time after which the binding ends."""
    mode: Literal["reactive", "datapath"] = "reactive"
    """Who binds a new flow: the D-Router upon its first packet, or the switch itself at weights the D-Router moves."""

    @model_validator(mode="after")
    def _ports_form_blocks(self) -> AffinityKeys:
        if self.port_block not in PORT_BLOCKS:
            raise ValueError(f"port_block must be a power of two up to {PORT_BLOCKS[-1]}, not {self.port_block}")
        if self.port_block > 1 and not {"src_port", "dst_port"} & set(self.fields):
            raise ValueError("port_block needs src_port or dst_port among the fields")
        return self

    @model_validator(mode="after")
    def _ports_are_of_a_protocol(self) -> AffinityKeys:
        if {"src_port", "dst_port"} & set(self.fields) and "proto" not in self.fields:
            raise ValueError("fields: ports identify a flow only together with proto")
        return self

    @model_validator(mode="after")
    def _the_switch_can_bind_it(self) -> AffinityKeys:
        if self.mode == "datapath" and "src" not in self.fields:
            raise ValueError("mode datapath needs src among the fields: the switch spreads flows by their client")
        return self


def _d_sid_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"].remove("d_sid")


class ServiceKeys(SteeringKeys):
    """A service, offered at an anycast address by all its instances."""

    model_config = ConfigDict(json_schema_extra=_d_sid_may_be_left_out)

    d_sid: IPvAnyAddress
    """Dyncast Service ID: the address clients use. Must overlap no address of the network. Default: the next free one
    of `d_sid_ranges`."""
    kind: Literal["http", "rtp", "command"] = "http"
    """What the instances serve; command: whatever the program does that they run (docs/applications.md)."""
    port: int | None = Field(None, ge=1, le=65534)
    """TCP (http, default 80) or UDP (rtp, default 5004; RTCP one above) port; command: that of the program, needed."""
    protocol: Literal["tcp", "udp"] | None = None
    """command: what the program speaks at its port; default: tcp."""
    policy: str | None = Field(None, examples=sorted([*POLICIES, DNS_TTL]))
    """Policy of this service; default: the scenario's."""
    affinity: AffinityKeys = AffinityKeys()
    """What a flow is, and for how long."""
    refusal: Literal["unreachable", "reset"] = "unreachable"
    """What a new flow gets when no instance takes it: an ICMP error, or (TCP) a RST."""
    normalisation: NormalisationKeys | None = None
    """How raw metrics of its instances become scores; default: metrics.normalisation."""

    @model_validator(mode="after")
    def _d_sid_is_one_everywhere(self) -> ServiceKeys:
        if (scope := getattr(self.d_sid, "scope_id", None)) is not None:
            raise ValueError(f"d_sid: {self.d_sid} is of one interface alone; leave %{scope} out")
        return self

    @model_validator(mode="after")
    def _commands_have_ports(self) -> ServiceKeys:
        if self.kind == "command" and self.port is None:
            raise ValueError("kind command needs port: where the program serves")
        if self.kind != "command" and self.protocol is not None:
            raise ValueError(f"protocol goes with kind command; {self.kind} has its own")
        return self

    @property
    def service_port(self) -> int:
        """The port, or the default of the kind."""
        return self.port or {"http": 80, "rtp": 5004}[self.kind]

    @property
    def transport(self) -> str:
        """The protocol of its port: tcp or udp."""
        return self.protocol or ("udp" if self.kind == "rtp" else "tcp")
