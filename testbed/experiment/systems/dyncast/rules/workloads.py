"""What workloads of flows need: a service that is there and takes what they send."""

from __future__ import annotations

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.schema_parts import check_known
from testbed.experiment.systems.dyncast.keys.call import check_service
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.scenario import DyncastScenario


def flows_have_services(scenario: Scenario) -> None:
    """Flows go to services that are there; calls to those that can take them."""
    services = DyncastScenario.of(scenario).services
    for number, workload in enumerate(scenario.workloads):
        if not isinstance(workload, FlowKeys):
            continue
        check_known(f"workloads[{number}].service", workload.service, services)
        if workload.media == "call":
            service = services[workload.service]
            check_service(workload.service, service.kind, service.service_port, service.affinity.port_block)
