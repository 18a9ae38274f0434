"""Nodes with keys, and what they sign, for the tests of who is believed."""

from __future__ import annotations

from typing import Any

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Authenticator, Identity, Role
from testbed.dyncast.messages.reports import BindingReport, Probe
from testbed.dyncast.nodes.d_router import DRouter
from tests.dyncast_samples import HERE, THERE, d_router, report_bytes

AGENT_HERE, AGENT_THERE = Identity(Role.AGENT, HERE), Identity(Role.AGENT, THERE)
ROUTER_HERE, ROUTER_THERE = Identity(Role.D_ROUTER, HERE), Identity(Role.D_ROUTER, THERE)
KEYS = {
    identity: bytes([number]) * 32
    for number, identity in enumerate((AGENT_HERE, AGENT_THERE, ROUTER_HERE, ROUTER_THERE), start=1)
}


def node(identity: Identity, epoch: int = 1, key: bytes | None = None) -> Authenticator:
    """A node; with another key than its own it is a forger."""
    return Authenticator(identity, {**KEYS, identity: key or KEYS[identity]}, epoch)


def secure_d_router(**changes: Any) -> DRouter:
    return d_router(authenticator=node(ROUTER_HERE), **changes)


def signed_report(agent: Authenticator, site: str, sequence: int, now_s: float, *told: BindingReport) -> bytes:
    return agent.sign(report_bytes(site, sequence, now_s, *told))


def signed_probe(prober: Authenticator, probe: Probe, receiver: str = HERE) -> bytes:
    return prober.sign(codec.encode(probe), receiver)
