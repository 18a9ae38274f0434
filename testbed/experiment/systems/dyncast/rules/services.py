"""What services need: names that exist, instances, D-SIDs of their own, and a way to be steered."""

from __future__ import annotations

from functools import partial
from typing import Any

from testbed.dyncast import policies
from testbed.dyncast.nodes import dns_steering
from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import POLICIES
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.schema_parts import check_known
from testbed.experiment.systems.dyncast.keys.d_sid_ranges import outside
from testbed.experiment.systems.dyncast.keys.service import ADMIN_PORT
from testbed.experiment.systems.dyncast.scenario import DyncastScenario

_POLICIES = (*POLICIES, DNS_TTL)


def d_sids_are_of_ranges(scenario: Scenario) -> None:
    """No D-SID lies outside of the ranges, if there are any."""
    keys = DyncastScenario.of(scenario)
    d_sids = {name: service.d_sid for name, service in keys.services.items()}
    for name in outside(d_sids, keys.d_sid_ranges) if keys.d_sid_ranges else ():
        ranges = ", ".join(map(str, keys.d_sid_ranges))
        raise ValueError(f"services.{name}.d_sid: {d_sids[name]} is of none of the d_sid_ranges {ranges}")


def d_sids_differ(scenario: Scenario) -> None:
    """No two services have one D-SID."""
    d_sids: dict[Any, str] = {}
    for name, service in DyncastScenario.of(scenario).services.items():
        if service.d_sid in d_sids:
            raise ValueError(f"services.{name}.d_sid: {service.d_sid} is that of {d_sids[service.d_sid]!r} too")
        d_sids[service.d_sid] = name


def policies_exist(scenario: Scenario) -> None:
    """Policies are known, and take the parameters that are set for them."""
    keys = DyncastScenario.of(scenario)
    for name, service in keys.services.items():
        if service.policy is not None:
            check_known(f"services.{name}.policy", service.policy, _POLICIES)
    check_known("policy", keys.policy, _POLICIES)
    for name, parameters in keys.policy_parameters.items():
        check_known("policy_parameters", name, _POLICIES)
        create = dns_steering.parameters if name == DNS_TTL else partial(policies.create, name)
        try:
            create(**parameters)
        except ValueError as error:
            raise ValueError(f"policy_parameters.{error}") from error


def ports_are_free(scenario: Scenario) -> None:
    """No service is where instances report their metrics."""
    for name, service in DyncastScenario.of(scenario).services.items():
        if (service.transport, service.service_port) == ("tcp", ADMIN_PORT):
            raise ValueError(
                f"services.{name}.port: {ADMIN_PORT} is where instances report their metrics; take another"
            )


def services_can_be_steered(scenario: Scenario) -> None:
    """Steering, choice and affinity fit the policy."""
    keys = DyncastScenario.of(scenario)
    for name, service in keys.services.items():
        try:
            service.check_steering(keys.policy_of(name), service.affinity.mode, service.affinity.fields)
        except ValueError as error:
            raise ValueError(f"services.{name}.{error}") from error
    for name in keys.omniscient_services:
        if keys.services[name].affinity.mode == "datapath":
            raise ValueError(
                f"services.{name}.affinity.mode: datapath goes by weights that hold until the next ones, and the "
                "policy oracle looks at each flow; take mode reactive or another policy"
            )


def services_have_instances(scenario: Scenario) -> None:
    """Each instance is of a service, and each service has one."""
    keys = DyncastScenario.of(scenario)
    for number, instance in enumerate(keys.instances):
        check_known(f"instances[{number}].service", instance.service, keys.services)
    served = {instance.service for instance in keys.instances}
    for name in keys.services:
        if name not in served:
            raise ValueError(f"services.{name} has no instances; add one under instances")


def control_can_be(scenario: Scenario) -> None:
    """The control mode can do what the services ask for."""
    keys = DyncastScenario.of(scenario)
    used = {name: keys.policy_of(name) for name in keys.services}
    keys.control.check(used, keys.services, keys.metrics.lifetime_s)


def dispatchers_can_be_believed(scenario: Scenario) -> None:
    """What a CFN node says to its Dispatchers carries a tag where messages do."""
    keys = DyncastScenario.of(scenario)
    if keys.metrics.authentication == "hmac" and keys.dispatcher.tells == "implicit":
        raise ValueError(
            "dispatcher.tells: implicit answers are packets that carry no tag, and anybody on the way can forge them; "
            "with metrics.authentication hmac take explicit"
        )
