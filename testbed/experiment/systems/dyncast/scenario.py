"""Dyncast's keys of a scenario: services with their instances, who steers their flows, and by what.

Owns the schema; each module of `keys` has a part. What sections need of each other is checked by `rules`. The
descriptions are the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, IPvAnyNetwork, model_validator

from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import ORACLE, POLICIES
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.schema_parts import Name
from testbed.experiment.systems.dyncast.keys.control import ControlKeys
from testbed.experiment.systems.dyncast.keys.d_sid_ranges import with_d_sids
from testbed.experiment.systems.dyncast.keys.dispatcher import DispatchedClientKeys, DispatcherKeys
from testbed.experiment.systems.dyncast.keys.dns import DnsKeys
from testbed.experiment.systems.dyncast.keys.instance import InstanceKeys
from testbed.experiment.systems.dyncast.keys.metric import MetricKeys, NormalisationKeys
from testbed.experiment.systems.dyncast.keys.service import ServiceKeys
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys


class DyncastScenario(Scenario):
    """A scenario with Dyncast's keys."""

    services: dict[Name, ServiceKeys] = {}
    """Services, by name."""
    d_sid_ranges: tuple[IPvAnyNetwork, ...] = ()
    """Ranges that all D-SIDs are of, if there are any: a service without d_sid gets the next free one, and packets to
    any other address in them are refused by the ingress."""
    services_known: Literal["configured", "learnt"] = "configured"
    """configured: D-Routers are configured with all services. learnt: with d_sid_ranges and the policy only; a service
    becomes known by the first report of an instance, which says what a flow of it is, and is forgotten with the
    last."""
    instances: tuple[InstanceKeys, ...] = ()
    """Service instances."""
    clients: tuple[DispatchedClientKeys, ...] = ()
    """Client hosts, besides those the topology has."""
    policy: str = Field("dyncast", examples=sorted([*POLICIES, DNS_TTL]))
    """Policy of every service that names none. oracle: by the true state of instances at each flow, known out of band,
    as no network could: a bound to compare others with. dns_ttl: no D-SID is steered; a name server (`dns`) answers
    each client with the address of an instance, which the client keeps for ttl_s."""
    policy_parameters: dict[str, dict[str, float | str]] = {}
    """Parameters by policy name: dyncast: {refusal_penalty_ms: 5000}, static: {site: west}, dns_ttl: {ttl_s: 30,
    answers: least_loaded}; `answers` is the policy by which the name server chooses."""
    dns: DnsKeys | None = None
    """A name server in the network, where clients look services up; default: they know the D-SIDs."""
    metrics: MetricKeys = MetricKeys()
    """Metric reports and probes."""
    control: ControlKeys = ControlKeys()
    """Where decisions are taken."""
    dispatcher: DispatcherKeys = DispatcherKeys()
    """CFN Dispatchers, for clients behind one."""

    @model_validator(mode="before")
    @classmethod
    def _services_have_d_sids(cls, document: Any) -> Any:
        return with_d_sids(document) if isinstance(document, dict) else document

    @property
    def flow_workloads(self) -> tuple[FlowKeys, ...]:
        """The workloads of flows to services."""
        return tuple(item for item in self.workloads if isinstance(item, FlowKeys))

    def policy_of(self, service: str) -> str:
        """Return the policy that steers a service."""
        return self.services[service].policy or self.policy

    @property
    def tunnelled_services(self) -> tuple[str, ...]:
        """The services whose D-SID stays in the packet."""
        return tuple(name for name, service in self.services.items() if service.steering == "tunnel")

    @property
    def omniscient_services(self) -> tuple[str, ...]:
        """The services that are steered by what no D-Router could know."""
        return tuple(name for name in self.services if self.policy_of(name) == ORACLE)

    def normalisation_of(self, service: str) -> NormalisationKeys:
        """Return how the instances of a service are scored."""
        return self.services[service].normalisation or self.metrics.normalisation
