"""Where decisions are taken: by every D-Router on its own view, one controller for all ingresses, or both together.

Pure. Owns what the modes have in common: `Control`, which is configured, and `Role`, what a D-Router has to do in its
mode beside steering. `Role` itself is that of the distributed mode, in which there is nothing to do. The others are
`follower` and `controller` (centralized) and `hybrid`. Section 3 of the Dyncast architecture names the modes
distributed and centralized, the CATS framework all three. docs/decisions/0013 says why so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from testbed.dyncast.actions import SendMessage
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.messages.authentication import Refused
from testbed.dyncast.messages.codec import Message
from testbed.dyncast.messages.outgoing import Outgoing
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.dyncast.monitoring.failure_detector import FailureDetector
from testbed.dyncast.policies import Policy
from testbed.dyncast.selection.configured_policies import ConfiguredPolicies
from testbed.dyncast.selection.node_state import NodeState
from testbed.dyncast.selection.view import InstanceView
from testbed.net.addresses import Address
from testbed.net.sequence_tracker import SEQUENCE_SPACE

MODES = ("distributed", "centralized", "hybrid")


@dataclass(frozen=True)
class Control:
    """Where decisions are taken. `controller`: the site of the D-Router that is the controller, if the mode has one.

    `interval_s`: ingresses and controller report to each other this often. What the controller sent is good for
    `lifetime_s`. A controller that restarts listens for `settle_s` before it sends anything: by then every agent has
    reported all.
    """

    mode: str = "distributed"
    """distributed, centralized or hybrid: where decisions are taken."""
    controller: str = ""
    """The site of the D-Router that is the controller, if the mode has one."""
    interval_s: float = 0.5
    """Ingresses and controller report to each other this often."""
    lifetime_s: float = 10.0
    """What the controller said is good for this long."""
    settle_s: float = 0.0
    """After its start the controller listens for this long before it says anything."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {self.mode!r}")
        if (self.mode == "distributed") == bool(self.controller):
            raise ValueError(f"mode {self.mode} takes {'no' if self.controller else 'a'} controller")


DISTRIBUTED = Control()


class InstanceChange(NamedTuple):
    """A message of the controller changed an instance of a service: its state now."""

    d_sid: Address
    d_bid: Address
    state: State


@dataclass(frozen=True)
class RoleContext:
    """What a role has of its D-Router; `services` by D-SID, those that it learns included."""

    control: Control
    state: NodeState
    services: Mapping[Address, Service]
    policies: ConfiguredPolicies
    outgoing: Outgoing
    failures: FailureDetector

    @property
    def peers(self) -> Collection[str]:
        """The sites of the other D-Routers."""
        return self.outgoing.addresses.keys()


class Role:
    """The distributed mode: reports are for everybody, and each decides for itself."""

    accepts_reports = True

    def __init__(self, context: RoleContext) -> None:
        self._context = context
        self._state = context.state

    def view(self, service: Service, d_sid: Address) -> InstanceView:
        """Return what decisions on a D-SID rest on."""
        return InstanceView(self._state, service.name, d_sid)

    def policy(self, service: Service) -> Policy:
        """Return what decides."""
        return self._context.policies.create(service.policy)

    def audience(self) -> Collection[str]:
        """Return the sites whose D-Routers reports of this site are passed on to."""
        return self._context.peers

    def on_report(self, report: Report, now_s: float) -> None:  # noqa: ARG002
        """Learn from a report that was taken in."""
        for binding in report.bindings:
            if binding.raw is not None:
                self._learn(binding.d_sid, binding.d_bid, report.site, binding.raw, report.sent_s)

    def on_message(self, message: Message, epoch: int, now_s: float) -> list[InstanceChange]:  # noqa: ARG002
        """Take in what only some modes know; return what it changed. Raises Refused."""
        raise unexpected(message)

    def next_timer_s(self) -> float:
        """Return when there is something to send, whatever comes until then; -inf: at once, inf: never."""
        return math.inf

    def on_timer(self, now_s: float) -> list[SendMessage]:  # noqa: ARG002
        """Return the messages to send now."""
        return []

    def _learn(self, d_sid: Address, d_bid: Address, site: str, raw: RawMetrics, measured_s: float) -> None:
        """Learn what sessions an instance had when it was measured."""
        service = self._context.services.get(d_sid)
        if service is not None:
            travel_s = self._state.travel_s(service.name, site)
            self._state.sessions.on_report(service.name, d_bid, raw, measured_s, travel_s)


def first_sequence(now_s: float) -> int:
    """Return the number to count messages from: above those of a former process here, unless it sent 1,000 a second."""
    return max(1, round(now_s * 1000) % SEQUENCE_SPACE)


def unexpected(message: Message) -> Refused:
    """Return the refusal of a message that its receiver has no use for, or that its sender has no business to send."""
    name = type(message).__name__
    return Refused("messages_unexpected", f"unexpected: {name} from site {message.site!r}", message)


def out_of_order(message: Message) -> Refused:
    """Return the refusal of a message after a later one."""
    return Refused("messages_overtaken", "replayed or overtaken", message)
