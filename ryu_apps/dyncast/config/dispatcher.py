"""What a control process is told of CFN Dispatchers: that it is one, or which ones its D-Router selects for.

Owns two parts of the file in `control_process`, both optional:

    "dispatcher": {"cfn_node": "chicago", "address": "10.3.0.1", "tells": "explicit"}
    "dispatchers": [{"name": "home", "address": "10.3.0.12", "port": 4, "tells": "explicit"}]

The former makes the process a Dispatcher of the D-Router at `address`; `uplink_port` is then its way to it. The latter
names the Dispatchers of a D-Router, with the port of its switch that each is behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from testbed.dyncast.nodes.dispatcher_service import TELLS, DispatcherPeer
from testbed.net.addresses import Address
from testbed.runtime.config import Keys

_MAX_SWITCH_PORT = 0xFFFF_FF00  # OFPP_MAX


@dataclass(frozen=True)
class CfnNode:
    """The D-Router that selects for a Dispatcher, and how it tells."""

    name: str
    address: Address
    tells: str


def cfn_node(keys: Keys) -> CfnNode | None:
    """Return the CFN node of a Dispatcher; None for a D-Router."""
    return keys.optional("dispatcher", partial(keys.section, check=_cfn_node), None)


def dispatchers(keys: Keys) -> tuple[DispatcherPeer, ...]:
    """Return the Dispatchers that a D-Router selects for."""
    return keys.optional("dispatchers", partial(keys.sections, check=_dispatcher), ())


def _cfn_node(keys: Keys) -> CfnNode:
    return CfnNode(keys.text("cfn_node"), keys.address("address"), keys.one_of("tells", TELLS))


def _dispatcher(keys: Keys) -> DispatcherPeer:
    return DispatcherPeer(
        keys.text("name"),
        keys.address("address"),
        keys.integer("port", 1, _MAX_SWITCH_PORT),
        keys.one_of("tells", TELLS),
    )
