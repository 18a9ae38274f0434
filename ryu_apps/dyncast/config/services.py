"""The services of a control process, and the nodes it knows (docs/processes.md, "D-Router control"). Pure.

Most types are those of the pure core; here are the forms of their keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from testbed.dyncast import policies
from testbed.dyncast.affinity.service import AFFINITY_MODES, CHOICES, STEERINGS, Service
from testbed.dyncast.control.role import MODES, Control
from testbed.dyncast.nodes.d_router_config import Peer
from testbed.dyncast.nodes.dispatcher_service import SIGNALLING, DispatcherPeer
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE
from testbed.net.token_bucket import Rate
from testbed.runtime.config import ConfigError
from testbed.runtime.document import Document, Section
from testbed.runtime.forms import Integer, IpAddress, Length, Listed, Nullable, Number, OneOf

_MOST_SWITCH_PORT = 0xFFFF_FF00  # OFPP_MAX
_MOST_ZONE = 0xFFFF
_SWITCH_PORT = Integer(1, _MOST_SWITCH_PORT)
_POLICY = OneOf(tuple(policies.POLICIES))
_POSITIVE = Number(is_positive=True)

SwitchPort = Annotated[int, _SWITCH_PORT]
Policy = Annotated[str, _POLICY]


@dataclass(frozen=True)
class SteeredService(Service):
    """A service as an ingress knows it, and as its switch does."""

    ct_zone: int | None = None
    """datapath: a zone of conntrack that no other service or D-Router uses."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.affinity_mode == "datapath" and self.ct_zone is None:
            raise ConfigError("ct_zone is missing; a service in datapath mode needs it")
        if self.affinity_mode != "datapath" and self.ct_zone is not None:
            raise ConfigError("ct_zone is for a service in datapath mode")


@dataclass(frozen=True)
class CfnNode(Document):
    """The D-Router that selects for a Dispatcher."""

    cfn_node: str
    """Its site."""
    address: Address
    """Where it sends from."""
    tells: Annotated[str, OneOf(SIGNALLING)]
    """How it says which instance it selected: by a message, or by the packet that it sends back."""


ServiceForm = Annotated[
    SteeredService,
    Section(
        SteeredService,
        d_sids=Listed(IpAddress(), Length(1, "a list of at least one address")),
        policy=_POLICY,
        flow_fields=Listed(OneOf(FIVE_TUPLE)),
        affinity_timeout_s=Integer(1, 65535),
        affinity_mode=OneOf(AFFINITY_MODES),
        port_block=Integer(1),
        steering=OneOf(STEERINGS),
        choice=OneOf(CHOICES),
        local_policy=Nullable(_POLICY),
        ct_zone=Nullable(Integer(1, _MOST_ZONE)),
    ),
]
PeerForm = Annotated[Peer, Section(Peer, path_cost_ms=Number(0))]
DispatcherForm = Annotated[DispatcherPeer, Section(DispatcherPeer, port=_SWITCH_PORT, tells=OneOf(SIGNALLING))]
RateForm = Annotated[Rate, Section(Rate, per_s=_POSITIVE, burst=Number(1))]
ControlForm = Annotated[
    Control,
    Section(Control, mode=OneOf(MODES), interval_s=_POSITIVE, lifetime_s=_POSITIVE, settle_s=Number(0)),
]
