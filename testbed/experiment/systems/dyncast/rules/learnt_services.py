"""Services that D-Routers learn of (`services_known: learnt`): what a scenario needs for it.

Pure. What cannot be sent in band, a D-Router would have to be configured with, and then it is no learning.
"""

from __future__ import annotations

from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import ORACLE
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.systems.dyncast.scenario import DyncastScenario


def check_learnt(scenario: Scenario) -> None:
    """Raise ValueError, naming the key, for what D-Routers cannot learn."""
    keys = DyncastScenario.of(scenario)
    if keys.services_known != "learnt":
        return
    if not keys.d_sid_ranges:
        raise ValueError(
            "services_known: learnt needs d_sid_ranges, by which D-Routers distinguish D-SIDs from other addresses"
        )
    if keys.control.mode != "distributed":
        raise ValueError(f"services_known: learnt is for control.mode distributed, not {keys.control.mode}")
    if any(client.dispatcher for client in keys.clients):
        raise ValueError("services_known: learnt leaves a dispatcher without services; take configured")
    if keys.policy in (DNS_TTL, ORACLE):
        raise ValueError(f"services_known: learnt services cannot be steered by the policy {keys.policy}")
    for name, service in keys.services.items():
        key = f"services.{name}"
        if service.policy not in (None, keys.policy):
            raise ValueError(f"{key}.policy: learnt services are steered by the scenario's policy, {keys.policy}")
        if service.affinity.mode != "reactive":
            raise ValueError(f"{key}.affinity.mode: datapath needs a service that is configured in advance")
        if service.steering != "rewrite":
            raise ValueError(f"{key}.steering: tunnel needs a service that is configured in advance")
