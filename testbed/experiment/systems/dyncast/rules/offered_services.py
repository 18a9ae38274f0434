"""What services of other systems need of Dyncast's keys: names and D-SIDs of their own, a policy that can choose."""

from __future__ import annotations

from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import ORACLE, POLICIES
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.schema_parts import check_known
from testbed.experiment.system import OfferedService
from testbed.experiment.systems.dyncast.keys.d_sid_ranges import outside
from testbed.experiment.systems.dyncast.offered import offered
from testbed.experiment.systems.dyncast.scenario import DyncastScenario


def offered_services_fit(scenario: Scenario) -> None:
    """They are none of the scenario's own services, in name and D-SID, and are steered by what D-Routers can know."""
    keys = DyncastScenario.of(scenario)
    names = dict.fromkeys(keys.services, "services")
    d_sids = {service.d_sid: f"services.{name}" for name, service in keys.services.items()}
    for item in offered(scenario):
        if item.name in names:
            raise ValueError(f"{item.key}: a service is called {item.name!r} already; rename one of them")
        if item.address in d_sids:
            raise ValueError(f"{item.key}.d_sid: {item.address} is that of {d_sids[item.address]} too")
        names[item.name], d_sids[item.address] = item.key, item.key
        if keys.d_sid_ranges and [*outside({item.name: item.address}, keys.d_sid_ranges)]:
            ranges = ", ".join(map(str, keys.d_sid_ranges))
            raise ValueError(f"{item.key}.d_sid: {item.address} is of none of the d_sid_ranges {ranges}")
        _check_policy(item, keys)


def _check_policy(item: OfferedService, keys: DyncastScenario) -> None:
    key = f"{item.key}.policy"
    policy = item.policy or keys.policy
    check_known(key, policy, [*POLICIES, DNS_TTL])
    if policy in (ORACLE, DNS_TTL):
        why = {
            ORACLE: "looks into instances, and there is nothing to look into",
            DNS_TTL: "goes by names, and this service is asked by its D-SID",
        }[policy]
        raise ValueError(f"{key}: the policy {policy} {why}; take another one")
    if keys.services_known == "learnt" and policy != keys.policy:
        raise ValueError(f"{key}: learnt services are steered by the scenario's policy, {keys.policy}")
