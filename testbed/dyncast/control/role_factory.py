"""Which role a D-Router has in which mode.

Pure. One place that knows all roles; a new mode is one file and one line here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.control.controller import Controller
from testbed.dyncast.control.follower import Follower
from testbed.dyncast.control.hybrid import Hybrid
from testbed.dyncast.control.role import AtHand, Control, Role
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator
from testbed.dyncast.messages.codec import Message
from testbed.dyncast.monitoring.binding_table import BindingTable
from testbed.dyncast.monitoring.path_state import PathState
from testbed.dyncast.policies import Policy
from testbed.dyncast.selection.session_model import SessionModel
from testbed.net.addresses import Address


def is_follower(site: str, control: Control) -> bool:
    """Tell whether the D-Router of a site is one that is told what to do."""
    return control.mode == "centralized" and site != control.controller


def create(
    site: str,
    control: Control,
    services: Mapping[Address, Service],
    addresses: Mapping[str, Address],
    *,
    bindings: BindingTable,
    paths: Mapping[str, PathState],
    sessions: SessionModel,
    counters: Counter[str],
    rng: Random,
    authenticator: Authenticator | None,
    policy: Callable[[Service], Policy],
    is_dead: Callable[[Address, Address], bool],
) -> Role:
    """Return the role of the D-Router of a site; `addresses` are those of the others."""

    def send(receiver: str, message: Message, kind: str) -> SendMessage:
        data = codec.encode(message)
        signed = authenticator.sign(data, receiver) if authenticator else data
        return SendMessage(addresses[receiver], signed, kind)

    at = AtHand(
        site, control, services, tuple(addresses), bindings, paths, sessions, counters, rng, policy, send, is_dead
    )
    if control.mode == "hybrid":
        return Hybrid(at)
    if control.mode == "centralized":
        return Follower(at) if is_follower(site, control) else Controller(at)
    return Role(at)
