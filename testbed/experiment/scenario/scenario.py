"""The scenario file: every key a run has, its meaning, default and bounds.

Owns the schema (pydantic), what its parts need of each other, and that names exist; each `*_keys` module has a part.
The descriptions are the documentation: `dyncast schema` prints them. Reading a file is `file`'s business, which also
runs the `rules` between the sections.
"""

from __future__ import annotations

import difflib
from functools import partial
from typing import Any, Literal

from pydantic import Field, IPvAnyNetwork, model_validator

from testbed.dyncast import policies
from testbed.dyncast.nodes import dns_steering
from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import ORACLE, POLICIES
from testbed.experiment.scenario.call_keys import check_service
from testbed.experiment.scenario.command_keys import CaptureKeys
from testbed.experiment.scenario.fault_keys import FaultKeys
from testbed.experiment.scenario.host_keys import ClientKeys, InstanceKeys, SiteKeys
from testbed.experiment.scenario.service_keys import ServiceKeys
from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.schema_parts import Name, Part
from testbed.experiment.systems.dyncast.control_keys import ControlKeys
from testbed.experiment.systems.dyncast.d_sid_ranges import outside, with_d_sids
from testbed.experiment.systems.dyncast.dispatcher_keys import DispatcherKeys
from testbed.experiment.systems.dyncast.dns_keys import DnsKeys
from testbed.experiment.systems.dyncast.metric_keys import MetricKeys, NormalisationKeys

_POLICIES = (*POLICIES, DNS_TTL)


class EmulationKeys(Part):
    """Backends; `auto` takes what the machine has."""

    datapath: Literal["auto", "system", "netdev"] = "auto"
    """Open vSwitch datapath: kernel (system) or userspace (netdev)."""
    link: Literal["auto", "netem", "relay"] = "auto"
    """Link impairment: kernel netem or the userspace TAP relay."""


class Scenario(Part):
    """One experiment."""

    name: Name
    """Name of the folder under results/."""
    description: str = ""
    """What it asks, in a sentence."""
    topology: str
    """Catalogue name (topozoo/Abilene, sndlib/germany50, draft/…) or a YAML file."""
    rate_mbps: float | None = Field(None, gt=0)
    """Rate of the topology's links that state none; none: as fast as the machine."""
    sites: dict[Name, SiteKeys] = {}
    """Edge sites to attach to the topology, by name."""
    services: dict[Name, ServiceKeys] = Field(min_length=1)
    """Services, by name."""
    d_sid_ranges: tuple[IPvAnyNetwork, ...] = ()
    """Ranges that all D-SIDs are of, if there are any: a service without d_sid gets the next free one, and packets to
    any other address in them are refused by the ingress."""
    services_known: Literal["configured", "learnt"] = "configured"
    """configured: D-Routers are told of all services. learnt: of d_sid_ranges and the policy only; a service becomes
    known by the first report of an instance, which says what a flow of it is, and is given up with the last."""
    instances: tuple[InstanceKeys, ...] = ()
    """Service instances."""
    clients: tuple[ClientKeys, ...] = ()
    """Client hosts, besides those the topology has."""
    workloads: tuple[WorkloadKeys, ...] = ()
    """What clients do."""
    faults: tuple[FaultKeys, ...] = ()
    """What breaks meanwhile."""
    captures: tuple[CaptureKeys, ...] = ()
    """Packets to keep, each capture in a pcap file of its own."""
    policy: str = "dyncast"
    """Policy of every service that names none. oracle: by the true state of instances at each flow, told out of band,
    as no network could: a bound to judge others by. dns_ttl: no D-SID is steered; a name server (`dns`) answers each
    client with the address of an instance, which the client keeps for ttl_s."""
    policy_parameters: dict[str, dict[str, float | str]] = {}
    """Parameters by policy name: dyncast: {refusal_penalty_ms: 5000}, static: {site: west}, dns_ttl: {ttl_s: 30,
    answers: least_loaded}; `answers` is the policy by which the name server chooses."""
    dns: DnsKeys | None = None
    """A name server in the network, where clients look services up; default: they know the D-SIDs."""
    metrics: MetricKeys = MetricKeys()
    """Metric reports and probes."""
    control: ControlKeys = ControlKeys()
    """Who decides."""
    duration_s: float = Field(30.0, gt=0, le=86_400)
    """How long flows arrive."""
    warm_up_s: float = Field(0.0, ge=0)
    """Time at the begin until queues are what they stay: what is due in it does not count in means, shares and
    quantiles. It is part of duration_s."""
    seed: int = Field(1, ge=0)
    """All randomness of the workloads comes from it."""
    dispatcher: DispatcherKeys = DispatcherKeys()
    """CFN Dispatchers, for clients behind one."""
    emulation: EmulationKeys = EmulationKeys()
    """Backends."""

    @model_validator(mode="before")
    @classmethod
    def _services_have_d_sids(cls, document: Any) -> Any:
        return with_d_sids(document) if isinstance(document, dict) else document

    @model_validator(mode="after")
    def _d_sids_are_of_ranges(self) -> Scenario:
        d_sids = {name: service.d_sid for name, service in self.services.items()}
        for name in outside(d_sids, self.d_sid_ranges) if self.d_sid_ranges else ():
            ranges = ", ".join(map(str, self.d_sid_ranges))
            raise ValueError(f"services.{name}.d_sid: {d_sids[name]} is of none of the d_sid_ranges {ranges}")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Scenario:
        for name, service in self.services.items():
            if service.policy is not None:
                _known(f"services.{name}.policy", service.policy, _POLICIES)
            try:
                service.check_steering(self.policy_of(name), service.affinity.mode, service.affinity.fields)
            except ValueError as error:
                raise ValueError(f"services.{name}.{error}") from error
        _known("policy", self.policy, _POLICIES)
        for name in self.omniscient_services:
            if self.services[name].affinity.mode == "datapath":
                raise ValueError(
                    f"services.{name}.affinity.mode: datapath goes by weights that hold until the next ones, and the "
                    "policy oracle looks at each flow; take mode reactive or another policy"
                )
        for name, parameters in self.policy_parameters.items():
            _known("policy_parameters", name, _POLICIES)
            create = dns_steering.parameters if name == DNS_TTL else partial(policies.create, name)
            create(**parameters)  # the ValueError names the policy and what is wrong
        for number, instance in enumerate(self.instances):
            _known(f"instances[{number}].service", instance.service, self.services)
        served = {instance.service for instance in self.instances}
        for name in self.services:
            if name not in served:
                raise ValueError(f"services.{name} has no instances; add one under instances")
        if self.warm_up_s >= self.duration_s:
            raise ValueError(f"warm_up_s: nothing would count; it has to be below duration_s ({self.duration_s:g})")
        used = set()
        for number, workload in enumerate(self.workloads):
            _known(f"workloads[{number}].service", workload.service, self.services)
            if workload.media == "call":
                service = self.services[workload.service]
                check_service(workload.service, service.kind, service.service_port, service.affinity.port_block)
            if workload.name in used:
                raise ValueError(f"workloads[{number}].name: {workload.name!r} is used twice")
            used.add(workload.name)
            end_s = workload.arrivals.end_s
            if workload.arrivals.start_s >= (self.duration_s if end_s is None else min(end_s, self.duration_s)):
                raise ValueError(f"workloads[{number}].arrivals: the window is empty (duration_s is {self.duration_s})")
        d_sids: dict[Any, str] = {}
        for name, service in self.services.items():
            if service.d_sid in d_sids:
                raise ValueError(f"services.{name}.d_sid: {service.d_sid} is that of {d_sids[service.d_sid]!r} too")
            d_sids[service.d_sid] = name
        return self

    @model_validator(mode="after")
    def _control_can_be(self) -> Scenario:
        policies_used = {name: self.policy_of(name) for name in self.services}
        self.control.check(policies_used, self.services, self.metrics.lifetime_s)
        return self

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


def _known(key: str, name: str, known: Any) -> str:
    if name not in known:
        near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known))}"
        raise ValueError(f"{key}: {name!r} does not exist; {hint}")
    return name
