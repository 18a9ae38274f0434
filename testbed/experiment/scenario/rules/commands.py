"""What programs that others wrote need of the scenario around them (`kind: command`, `command:`, `captures:`).

Pure. Raises ValueError beginning with the key. Whether they are installed is `command_configs`' business.
"""

from __future__ import annotations

from collections.abc import Sequence

from testbed.dyncast.policies import ORACLE
from testbed.experiment.scenario.command_keys import CaptureKeys
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.scenario.service_keys import ADMIN_PORT
from topologies.spec import Topology, TopologyError, unknown_name


def check_commands(scenario: Scenario) -> None:
    """Raise ValueError for the first key that does not go with the others."""
    for name, service in scenario.services.items():
        if service.kind != "command":
            continue
        if scenario.policy_of(name) == ORACLE:
            raise ValueError(
                f"services.{name}: the policy oracle looks into instances, and a command cannot be looked into; "
                "take another policy"
            )
        if (service.transport, service.service_port) == ("tcp", ADMIN_PORT):
            raise ValueError(f"services.{name}.port: {ADMIN_PORT} is where instances tell their metrics; take another")
    for number, instance in enumerate(scenario.instances):
        service = scenario.services[instance.service]
        key = f"instances[{number}]"
        try:
            instance.check_application(service.kind, service.transport)
        except ValueError as error:
            raise ValueError(f"{key}.{error}") from error
        if service.kind == "command" and instance.mode == "burn":
            raise ValueError(f"{key}.mode: burn is work of our own making; a command does its own, under cpu_limit")
    for number, workload in enumerate(scenario.workloads):
        service = scenario.services[workload.service]
        if workload.command is None and (service.kind, service.transport) == ("command", "udp"):
            raise ValueError(
                f"workloads[{number}].command: is missing; no generator speaks what services.{workload.service} does"
            )
    names = [capture.name for capture in scenario.captures]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"captures[{number}].name: {name!r} is used twice")


def check_places(captures: Sequence[CaptureKeys], topology: Topology) -> None:
    """Raise TopologyError, naming the key and a near name, for a capture where nothing is."""
    names = [node.name for node in topology.nodes]
    hosts = [node.name for node in topology.nodes if node.role.is_host]
    for number, capture in enumerate(captures):
        if capture.host is not None and capture.host not in hosts:
            raise unknown_name(f"captures[{number}].host: there is no host", capture.host, hosts)
        for name in capture.link or ():
            if name not in names:
                raise unknown_name(f"captures[{number}].link: there is no node", name, names)
        if capture.link and not any({link.a, link.b} == set(capture.link) for link in topology.links):
            a, b = capture.link
            raise TopologyError(f"captures[{number}].link: no link between {a!r} and {b!r}")
