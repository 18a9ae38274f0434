"""What programs that others wrote need of the scenario around them (`kind: command`, `command:`).

Pure. Raises ValueError beginning with the key. Whether they are installed is `command_configs`' business.
"""

from __future__ import annotations

from testbed.dyncast.policies import ORACLE
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.scenario import DyncastScenario


def check_commands(scenario: Scenario) -> None:
    """Raise ValueError for the first key that does not go with the others."""
    keys = DyncastScenario.of(scenario)
    for name, service in keys.services.items():
        if service.kind != "command":
            continue
        if keys.policy_of(name) == ORACLE:
            raise ValueError(
                f"services.{name}: the policy oracle looks into instances, and a command cannot be looked into; "
                "take another policy"
            )
    for number, instance in enumerate(keys.instances):
        service = keys.services[instance.service]
        key = f"instances[{number}]"
        try:
            instance.check_application(service.kind, service.transport)
        except ValueError as error:
            raise ValueError(f"{key}.{error}") from error
        if service.kind == "command" and instance.mode == "burn":
            raise ValueError(f"{key}.mode: burn is work of our own making; a command does its own, under cpu_limit")
    for number, workload in enumerate(scenario.workloads):
        if not isinstance(workload, FlowKeys):
            continue
        service = keys.services[workload.service]
        if workload.command is None and (service.kind, service.transport) == ("command", "udp"):
            raise ValueError(
                f"workloads[{number}].command: is missing; no generator speaks what services.{workload.service} does"
            )
