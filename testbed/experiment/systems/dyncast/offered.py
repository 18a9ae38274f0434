"""Services of other systems that Dyncast steers: they are services of a scenario like its own, and their instances are
polled by D-MAs, but are nothing that Dyncast starts.

Pure. Owns how such a service looks in Dyncast's terms.
"""

from __future__ import annotations

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.system import OfferedService, systems
from testbed.experiment.systems.dyncast.keys.service import AffinityKeys, ServiceKeys
from testbed.experiment.systems.dyncast.scenario import DyncastScenario


def offered(scenario: Scenario) -> tuple[OfferedService, ...]:
    """Return the services that other systems offer."""
    return tuple(service for system in systems() for service in system.offered_services(scenario))


def with_offered(scenario: Scenario) -> DyncastScenario:
    """Return a scenario, whose rules hold, with the services that other systems offer among its own."""
    keys, found = DyncastScenario.of(scenario), offered(scenario)
    if not found:
        return keys
    added = {
        item.name: ServiceKeys(
            d_sid=item.address, port=item.port, policy=item.policy, affinity=AffinityKeys(timeout_s=item.idle_s)
        )
        for item in found
    }
    return keys.model_copy(update={"services": {**keys.services, **added}})
