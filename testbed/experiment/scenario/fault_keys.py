"""The scenario's `faults:`: what breaks, when, and when it is mended.

Owns the keys and what each kind of fault needs. Whether the names exist is `fault_plan`'s business.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from testbed.experiment.schema_parts import Part

FaultKind = Literal[
    "instance_crash",
    "instance_stop",
    "instance_start",
    "instance_drain",
    "migrate",
    "link_down",
    "partition",
    "egress_unreachable",
    "agent_silent",
    "control_killed",
]
_NEEDS: dict[str, set[str]] = {
    "instance_crash": {"instance"},
    "instance_stop": {"instance"},
    "instance_start": {"instance"},
    "instance_drain": {"instance"},
    "migrate": {"instance", "to"},
    "link_down": {"link"},
    "partition": {"nodes"},
    "egress_unreachable": {"site"},
    "agent_silent": {"site"},
    "control_killed": {"site"},
}


class FaultKeys(Part):
    """Something that breaks while the load goes on. Routes stay as they are: nothing finds a way around a dead link."""

    kind: FaultKind
    """What happens.

    instance_crash: the instance's process is killed; started again at until_s. instance_stop: it ends in good order.
    instance_start: it does not run before at_s. instance_drain: it says that it takes no new flows, until until_s.
    migrate: `to` starts, which did not run before; when all D-Routers know it, `instance` drains, and stops once it is
    quiet; at until_s, back again. link_down: the link loses everything, both ways. partition: so do all links between
    `nodes` and the rest. egress_unreachable: so do all links of a site but those to its own hosts. agent_silent: the
    site's D-MA is halted, and goes on at until_s. control_killed: the control process of the site's D-Router is killed,
    and started again at until_s.
    """
    at_s: float = Field(ge=0)
    """When, in seconds from the start of the load."""
    until_s: float | None = Field(None, gt=0)
    """When it is undone; none: never."""
    instance: str | None = None
    """Instance, named as results name it: render-1@east."""
    to: str | None = None
    """migrate: instance of the same service that takes over."""
    quiet_s: float | None = Field(None, ge=0)
    """migrate: `instance` stops when nothing began or went on there for so long. Default: twice the affinity timeout of
    its service, a second and one poll of its D-MA; then no D-Router has a flow bound to it."""
    link: tuple[str, str] | None = None
    """link_down: the two nodes that it connects."""
    nodes: tuple[str, ...] | None = Field(None, min_length=1)
    """partition: sites and routers of one side; hosts are where their site is."""
    site: str | None = None
    """Site, which is the name of its D-Router; control_killed: or a CFN Dispatcher."""

    @model_validator(mode="after")
    def _keys_fit(self) -> FaultKeys:
        given = {key for key in ("instance", "to", "link", "nodes", "site") if getattr(self, key) is not None}
        needs = _NEEDS[self.kind]
        if given != needs:
            listed = ", ".join(sorted(given)) or "nothing"
            raise ValueError(f"{self.kind} takes {' and '.join(sorted(needs))}; given: {listed}")
        if self.quiet_s is not None and self.kind != "migrate":
            raise ValueError(f"{self.kind} takes no quiet_s; migrate does")
        if self.until_s is not None and self.until_s <= self.at_s:
            raise ValueError(f"until_s ({self.until_s:g}) must be after at_s ({self.at_s:g})")
        return self
