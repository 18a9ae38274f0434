"""Which role a D-Router has in which mode.

Pure. One place that knows all roles; a new mode is one file and one line here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

from testbed.dyncast import codec
from testbed.dyncast.actions import SendMessage
from testbed.dyncast.authentication import Authenticator
from testbed.dyncast.bindings import BindingTable
from testbed.dyncast.codec import Address, Message
from testbed.dyncast.control import AtHand, Control, Role
from testbed.dyncast.controller import Controller
from testbed.dyncast.flows import Service
from testbed.dyncast.follower import Follower
from testbed.dyncast.hybrid import Hybrid
from testbed.dyncast.network_state import PathState
from testbed.dyncast.policies import Policy
from testbed.dyncast.session_model import SessionModel


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
