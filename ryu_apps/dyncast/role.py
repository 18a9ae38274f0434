"""Which node of the Dyncast architecture a control process plays: a D-Router or a CFN Dispatcher.

Makes the pure core of either from the configuration, with the keys that are its own. Knows no OpenFlow.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import Random

from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.dyncast.shared_states import shared_states
from testbed.dyncast.messages.authentication import Identity, Role
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher, DispatcherConfig
from testbed.dyncast_io import keys_file
from testbed.net.addresses import Address


def core(settings: ControlConfig) -> DRouter | Dispatcher:
    """Return the D-Router, or the Dispatcher, of a control process. Raises ConfigError."""
    role = Role.D_ROUTER if settings.dispatcher is None else Role.DISPATCHER
    identity = Identity(role, settings.site)
    authenticator = keys_file.authenticator(settings.keys_file, identity, time.monotonic_ns())
    if settings.dispatcher is None:
        true_states = shared_states(settings.true_state_folder, settings.d_router)
        return DRouter(settings.d_router, Random(settings.seed), authenticator, true_states)
    config = DispatcherConfig(
        settings.site,
        settings.dispatcher.cfn_node,
        settings.dispatcher.tells,
        settings.uplink_port,
        settings.d_router.services,
        settings.d_router.prefixes,
        settings.d_router.metric_lifetime_s,
    )
    return Dispatcher(config, authenticator)


def neighbours(settings: ControlConfig) -> Mapping[Address, str]:
    """Return the names of the nodes that messages come from and go to, by address."""
    names = {peer.address: peer.site for peer in settings.d_router.peers}
    names |= {peer.address: peer.name for peer in settings.d_router.dispatchers}
    return names if settings.dispatcher is None else {settings.dispatcher.address: settings.dispatcher.cfn_node}
