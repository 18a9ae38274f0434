"""Dyncast's kinds of fault, and their keys in the scenario's `faults:`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from testbed.experiment.scenario.fault_keys import FaultKeys, FaultKind

_INSTANCE, _SITE = frozenset({"instance"}), frozenset({"site"})

KINDS: Mapping[str, FaultKind] = {
    "instance_crash": FaultKind("the instance's process is killed; started again at until_s", _INSTANCE),
    "instance_stop": FaultKind("it ends in good order", _INSTANCE),
    "instance_start": FaultKind("it does not run before at_s", _INSTANCE),
    "instance_drain": FaultKind("it says that it takes no new flows, until until_s", _INSTANCE),
    "migrate": FaultKind(
        "`to` starts, which did not run before; when all D-Routers know it, `instance` drains, and stops once it is "
        "quiet; at until_s, back again",
        frozenset({"instance", "to"}),
        frozenset({"quiet_s"}),
    ),
    "agent_silent": FaultKind("the site's D-MA is halted, and goes on at until_s", _SITE),
    "control_killed": FaultKind(
        "the control process of the site's D-Router is killed, and started again at until_s", _SITE
    ),
}


class DyncastFaultKeys(FaultKeys):
    """A fault with Dyncast's keys."""

    instance: str | None = None
    """Instance, named as results name it: render-1@east."""
    to: str | None = None
    """migrate: instance of the same service that takes over."""
    quiet_s: float | None = Field(None, ge=0)
    """migrate: `instance` stops when nothing began or went on there for so long. Default: twice the affinity timeout of
    its service, a second and one poll of its D-MA; then no D-Router has a flow bound to it."""
