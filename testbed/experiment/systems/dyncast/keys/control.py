"""The scenario's `control`: who decides where new flows go.

Owns the keys, and what each mode needs and cannot do. Whether the site exists is `plan`'s business; what the modes do
is `testbed.dyncast.control.role`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from testbed.dyncast.control.role import Control
from testbed.dyncast.metric_agent.conditions import Band
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import ORACLE
from testbed.experiment.schema_parts import Part
from testbed.experiment.systems.dyncast.keys.steering import SteeringKeys

_SLOW_BANDS = Band((4, 8), hysteresis_points=1)


class ControlKeys(Part):
    """Where it is decided which instances get new flows."""

    mode: Literal["distributed", "centralized", "hybrid"] = "distributed"
    """distributed: each D-Router, by metrics that all receive. centralized: one controller for all ingresses, by
    metrics that it alone receives and paths that they measure; it sends them the shares of new flows. hybrid: each
    D-Router, by slow-moving metrics (capacity, state, service time, scores) that all receive, and volatile ones
    (queue, busy workers, sessions) that the controller receives and distributes. All of it travels in band."""
    controller: str | None = None
    """centralized, hybrid: site whose D-Router is the controller."""
    interval_s: float | None = Field(None, gt=0)
    """centralized: controller and ingresses report to each other this often, and at once when a state or a path
    changes; hybrid: the controller distributes this often. Default 0.5."""
    lifetime_s: float | None = Field(None, gt=0)
    """What the controller sent is good for so long after its last message. Then an ingress refuses new flows
    (centralized), or goes on by the slow-moving metrics (hybrid). Default: metrics.lifetime_s."""
    slow_interval_s: float | None = Field(None, gt=0)
    """hybrid: slow-moving metrics are reported this often, and when a score leaves its band (0-3, 4-7, 8-10) by more
    than a point. Default: a third of metrics.lifetime_s."""

    @model_validator(mode="after")
    def _keys_fit(self) -> ControlKeys:
        if self.mode == "distributed":
            stated = [key for key in ("controller", "interval_s", "lifetime_s") if getattr(self, key) is not None]
            if stated:
                raise ValueError(f"mode distributed takes no {', '.join(stated)}: there is no controller")
        elif self.controller is None:
            raise ValueError(f"mode {self.mode} needs controller, the site whose D-Router it is")
        if self.mode != "hybrid" and self.slow_interval_s is not None:
            raise ValueError(f"mode {self.mode} takes no slow_interval_s: metrics are reported at one pace")
        return self

    def check(
        self, policies: Mapping[str, str], services: Mapping[str, SteeringKeys], metric_lifetime_s: float
    ) -> None:
        """Refuse what the mode cannot do with the services. Raises ValueError naming the key."""
        if self.mode == "distributed":
            return
        lifetime_s = self.lifetime_s or metric_lifetime_s
        if (self.interval_s or Control.interval_s) >= lifetime_s:
            raise ValueError(f"control.interval_s: a message is good for {lifetime_s:g} s only; raise lifetime_s")
        if (self.slow_interval_s or 0) >= metric_lifetime_s:
            raise ValueError(
                f"control.slow_interval_s: metrics expire after {metric_lifetime_s:g} s; raise metrics.lifetime_s"
            )
        for name, service in services.items():
            if service.choice == "site":
                raise ValueError(f"services.{name}.choice: site is for control.mode distributed")
            if policies[name] == DNS_TTL or (policies[name] == ORACLE and self.mode == "centralized"):
                raise ValueError(
                    f"services.{name}.policy: {policies[name]} knows no controller; control.mode distributed"
                )

    def control(self, metric_lifetime_s: float, metric_refresh_s: float) -> Control:
        """Return it in the core's own terms."""
        if self.controller is None:
            return Control()
        interval_s = self.interval_s or Control.interval_s
        return Control(self.mode, self.controller, interval_s, self.lifetime_s or metric_lifetime_s, metric_refresh_s)

    def slow_reporting(self, metric_lifetime_s: float) -> Reporting:
        """Return when slow-moving metrics are reported."""
        return Reporting(self.slow_interval_s or metric_lifetime_s / 3, _SLOW_BANDS)
