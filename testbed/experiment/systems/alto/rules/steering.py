"""What functions with a D-SID need: clusters that serve there, and time to come and go."""

from __future__ import annotations

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.systems.alto.scenario import AltoScenario


def steered_functions_can_be(scenario: Scenario) -> None:
    """Clusters serve IPv4; a function is at some cluster some time, and is not removed while users post to it."""
    keys = AltoScenario.of(scenario)
    for name, function in keys.functions.items():
        if function.steering is None:
            continue
        key = f"functions.{name}.steering"
        d_sid = function.steering.d_sid
        if d_sid.version != 4:
            raise ValueError(f"{key}.d_sid: clusters serve IPv4, and {d_sid} is IPv6; take one like 203.0.113.20")
        if not function.delivered_to and not keys.is_placed:
            raise ValueError(
                f"{key}: no cluster will hold {name!r}; say which do, in functions.{name}.delivered_to, or have it "
                "placed by a cluster client (delivery.site)"
            )
        unused_s = keys.delivery.unused_s if keys.delivery is not None else None
        if unused_s is not None and unused_s <= function.steering.kept_s:
            raise ValueError(
                f"{key}.kept_s: the cluster client learns of users each {function.steering.kept_s} s and would remove "
                f"what is in use; raise delivery.unused_s above that, or lower this"
            )
