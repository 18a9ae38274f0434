"""The scenario file: every key a run has, its meaning, default and bounds.

Owns the schema (pydantic). The descriptions here are the documentation: `dyncast schema` prints them.
Reading a file is `scenario_file`'s business.
"""

from __future__ import annotations

import difflib
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyAddress, IPvAnyNetwork, model_validator

from testbed.dyncast import name_steering, policies
from testbed.dyncast.d_router import REPORT_RATE
from testbed.dyncast.flows import PORT_BLOCKS
from testbed.dyncast.name_steering import DNS_TTL
from testbed.dyncast.policies import ORACLE, POLICIES
from testbed.experiment.call_keys import check_service
from testbed.experiment.control_keys import ControlKeys
from testbed.experiment.d_sid_ranges import outside, with_d_sids
from testbed.experiment.dispatcher_keys import DispatcherKeys
from testbed.experiment.dns_keys import DnsKeys
from testbed.experiment.fault_keys import FaultKeys
from testbed.experiment.learnt_services import check_learnt
from testbed.experiment.metric_keys import NormalisationKeys, TellingKeys
from testbed.experiment.steering_keys import SteeringKeys
from topologies.spec import LinkSpec

_POLICIES = (*POLICIES, DNS_TTL)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=40)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LinkKeys(_Part):
    """Impairment of a link, the same both ways."""

    delay_ms: float = Field(0.0, ge=0, le=10_000)
    """One-way delay."""
    jitter_ms: float = Field(0.0, ge=0)
    """Spread of the delay."""
    loss_percent: float = Field(0.0, ge=0, le=100)
    """Random loss."""
    rate_mbps: float | None = Field(None, gt=0)
    """Rate limit; none: as fast as the machine."""
    queue_packets: int = Field(1000, ge=1)
    """Packets that wait for the rate limit before more are dropped."""

    def spec(self) -> LinkSpec:
        """Return it in the topology's own terms."""
        return LinkSpec(**self.model_dump())


class SiteKeys(_Part):
    """An edge site: a D-Router attached to an infrastructure router."""

    at: str
    """Name of the infrastructure router in the topology."""
    link: LinkKeys = LinkKeys(delay_ms=0.5)
    """The link between the two."""


class AffinityKeys(_Part):
    """What a flow is, and how long its binding outlives its last packet."""

    fields: tuple[Literal["src", "dst", "proto", "src_port", "dst_port"], ...] = (
        "src",
        "dst",
        "proto",
        "src_port",
        "dst_port",
    )
    """Header fields that identify a flow."""
    port_block: int = Field(1, ge=1)
    """Ports are told apart by blocks of so many (a power of two): 4 makes ports 5004 to 5007 of one call one flow."""
    timeout_s: int = Field(30, ge=1, le=65535)
    """Idle time after which the binding ends."""
    mode: Literal["reactive", "datapath"] = "reactive"
    """Who binds a new flow: the D-Router upon its first packet, or the switch itself at weights the D-Router moves."""

    @model_validator(mode="after")
    def _ports_can_be_told_by_blocks(self) -> AffinityKeys:
        if self.port_block not in PORT_BLOCKS:
            raise ValueError(f"port_block must be a power of two up to {PORT_BLOCKS[-1]}, not {self.port_block}")
        if self.port_block > 1 and not {"src_port", "dst_port"} & set(self.fields):
            raise ValueError("port_block needs src_port or dst_port among the fields")
        return self

    @model_validator(mode="after")
    def _the_switch_can_bind_it(self) -> AffinityKeys:
        if self.mode == "datapath" and "src" not in self.fields:
            raise ValueError("mode datapath needs src among the fields: the switch spreads flows by their client")
        return self


def _d_sid_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"].remove("d_sid")


class ServiceKeys(SteeringKeys):
    """A service, offered at an anycast address by all its instances."""

    model_config = ConfigDict(json_schema_extra=_d_sid_may_be_left_out)

    d_sid: IPvAnyAddress
    """Dyncast Service ID: the address clients use. Must overlap no address of the network. Default: the next free one
    of `d_sid_ranges`."""
    kind: Literal["http", "rtp"] = "http"
    """What the instances serve."""
    port: int | None = Field(None, ge=1, le=65534)
    """TCP (http, default 80) or UDP (rtp, default 5004; RTCP one above) port."""
    policy: str | None = None
    """Policy of this service; default: the scenario's."""
    affinity: AffinityKeys = AffinityKeys()
    """What a flow is, and for how long."""
    refusal: Literal["unreachable", "reset"] = "unreachable"
    """What a new flow gets when no instance takes it: an ICMP error, or (TCP) a RST."""
    normalisation: NormalisationKeys | None = None
    """How raw metrics of its instances become scores; default: metrics.normalisation."""

    @property
    def service_port(self) -> int:
        """The port, or the default of the kind."""
        return self.port or {"http": 80, "rtp": 5004}[self.kind]


class DistributionKeys(_Part):
    """A random time, by its mean."""

    distribution: Literal["constant", "exponential", "lognormal", "bounded_pareto"] = "exponential"
    """Family."""
    mean_ms: float = Field(gt=0)
    """Mean."""
    sigma: float | None = Field(None, gt=0)
    """Lognormal: standard deviation of the logarithm."""
    alpha: float | None = Field(None, gt=0)
    """Bounded Pareto: tail index."""
    max_ms: float | None = Field(None, gt=0)
    """Bounded Pareto: upper bound."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> DistributionKeys:
        wanted = {"lognormal": {"sigma"}, "bounded_pareto": {"alpha", "max_ms"}}.get(self.distribution, set())
        given = {key for key in ("sigma", "alpha", "max_ms") if getattr(self, key) is not None}
        if given != wanted:
            needs = f"needs {', '.join(sorted(wanted))}" if wanted else "takes mean_ms only"
            raise ValueError(f"{self.distribution} {needs}")
        return self


class InstanceKeys(_Part):
    """Service instances of one kind at one place."""

    service: str
    """Name of the service."""
    site: str | None = None
    """Edge site to put them at."""
    host: str | None = None
    """Or: the instance host of the topology that runs it."""
    count: int = Field(1, ge=1, le=200)
    """How many, each on a host of its own."""
    workers: int = Field(1, ge=1, le=1024)
    """Requests (or RTP packets) served at once."""
    queue_limit: int = Field(50, ge=0)
    """Requests that wait for a worker before more are refused."""
    speed: float = Field(1.0, gt=0)
    """Work takes work / speed."""
    service_time: DistributionKeys = DistributionKeys(mean_ms=50.0)
    """Work of a request that brings none of its own."""
    packet_time: DistributionKeys = DistributionKeys(distribution="constant", mean_ms=0.1)
    """Work of one RTP packet."""
    mode: Literal["clock", "burn"] = "clock"
    """clock: service is modelled by waiting. burn: real CPU, under `cpu_limit`."""
    cpu_limit: float | None = Field(None, gt=0)
    """burn: cores the instance may use."""
    link: LinkKeys = LinkKeys()
    """Link between the instance and its D-Router."""

    @model_validator(mode="after")
    def _placed(self) -> InstanceKeys:
        if (self.site is None) == (self.host is None):
            raise ValueError("say either site or host")
        if self.host is not None and self.count != 1:
            raise ValueError("a host of the topology runs one instance; leave out count")
        return self


class ClientKeys(_Part):
    """Client hosts at a site."""

    site: str
    """Edge site they are attached to: its D-Router is their ingress."""
    count: int = Field(1, ge=1, le=200)
    """How many hosts."""
    link: LinkKeys = LinkKeys()
    """Link between each client and its D-Router, or its Dispatcher."""
    dispatcher: Name | None = None
    """CFN Dispatcher that they are behind; one that the topology does not have is put between them and the site."""


class ArrivalKeys(_Part):
    """When flows begin: open loop, whatever became of earlier ones."""

    process: Literal["poisson", "constant", "on_off", "trace"] = "poisson"
    """Arrival process."""
    rate_per_s: float | None = Field(None, gt=0)
    """Flows per second over all clients of the workload (on_off: while on)."""
    on_s: float | None = Field(None, gt=0)
    """on_off: mean length of an on period."""
    off_s: float | None = Field(None, gt=0)
    """on_off: mean length of an off period."""
    path: str | None = None
    """trace: CSV file with a column offset_s."""
    start_s: float = Field(0.0, ge=0)
    """Begin of the window, from the start of the run."""
    end_s: float | None = Field(None, gt=0)
    """End of the window; default: the end of the run."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> ArrivalKeys:
        wanted = {"on_off": {"rate_per_s", "on_s", "off_s"}, "trace": {"path"}}.get(self.process, {"rate_per_s"})
        given = {key for key in ("rate_per_s", "on_s", "off_s", "path") if getattr(self, key) is not None}
        if given != wanted:
            raise ValueError(f"{self.process} takes {', '.join(sorted(wanted))}; given: {', '.join(sorted(given))}")
        return self

    def process_config(self) -> dict[str, Any]:
        """Return the keys that are set, as the arrival processes take them."""
        return self.model_dump(exclude_none=True)


class WorkloadKeys(_Part):
    """Flows from clients to one service."""

    name: Name
    """Name in the results."""
    service: str
    """Name of the service."""
    clients: tuple[str, ...] = Field(min_length=1)
    """Sites whose clients take part."""
    arrivals: ArrivalKeys
    """When flows begin."""
    work: DistributionKeys | None = None
    """http: work a request carries; default: the instance draws it."""
    response_bytes: int = Field(1000, ge=0, le=100_000_000)
    """http: size of the answer."""
    request_bytes: int = Field(200, ge=0, le=1_000_000)
    """http: least size of the request."""
    timeout_s: float = Field(10.0, gt=0)
    """http: give up after; rtp: wait for the last echoes."""
    media: Literal["audio", "video", "call"] = "audio"
    """rtp: G.711 audio (50 packets/s), video (30 frames/s, fragmented), or calls of both, each with RTCP: four flows of
    a client, from the service's port and from a source port that is a multiple of the port block."""
    video_kbps: float = Field(1000.0, gt=0)
    """rtp video and call: mean bit rate of the video."""
    call_duration: DistributionKeys = DistributionKeys(mean_ms=20_000.0)
    """rtp: how long a call lasts."""


class RateLimitKeys(_Part):
    """How many reports a D-Router takes of each agent; it refuses what is more."""

    reports_per_s: float = Field(REPORT_RATE.per_s, gt=0)
    """On average."""
    burst: int = Field(int(REPORT_RATE.burst), ge=1)
    """At once."""


class MetricKeys(_Part):
    """How fresh the ingress's picture is, and whom it believes."""

    interval_s: float = Field(1.0, gt=0, le=3600)
    """Each D-MA reports this often, unless `telling` says otherwise."""
    poll_interval_s: float | None = Field(None, gt=0)
    """Each D-MA reads its instances this often; default: interval_s."""
    agent_at: Literal["d_router", "edge"] = "d_router"
    """Where the D-MA of a site with instances runs: on its D-Router, or on a host of its own beside the instances."""
    agent_link: LinkKeys | None = None
    """agent_at edge: link between that host and the D-Router; default: as fast as the machine."""
    telling: TellingKeys = TellingKeys()
    """When D-MAs tell what they read."""
    normalisation: NormalisationKeys = NormalisationKeys()
    """How raw metrics become scores, for services that do not say."""
    lifetime_s: float = Field(10.0, gt=0)
    """A binding not refreshed for so long is no candidate."""
    probe_interval_s: float = Field(1.0, gt=0)
    """D-Routers probe the paths to each other this often."""
    port_interval_s: float | None = Field(1.0, gt=0)
    """D-Routers read the counters of their own ports this often, and a full or dropping port costs; null: never."""
    authentication: Literal["none", "hmac"] = "none"
    """hmac: reports and probes carry HMAC-SHA256 tags; forged, replayed and stale (lifetime_s) ones are refused."""
    rate_limit: RateLimitKeys = RateLimitKeys()
    """Against agents that tell too much."""

    @property
    def refresh_s(self) -> float:
        """How often each D-MA tells of everything."""
        if self.telling.when == "interval":
            return self.interval_s
        return self.telling.refresh_s or self.lifetime_s / 3

    @model_validator(mode="after")
    def _agent_has_a_host_to_link(self) -> MetricKeys:
        if self.agent_link is not None and self.agent_at != "edge":
            raise ValueError("agent_link: a D-MA on its D-Router has no link; say agent_at: edge")
        return self

    @model_validator(mode="after")
    def _bindings_outlive_refreshes(self) -> MetricKeys:
        if self.refresh_s >= self.lifetime_s:
            key = "interval_s" if self.telling.when == "interval" else "telling.refresh_s"
            raise ValueError(
                f"{key}: metrics told every {self.refresh_s:g} s expire after {self.lifetime_s:g} s; raise lifetime_s"
            )
        budget = self.telling.budget
        if budget is not None and budget.per_s * self.refresh_s < 1:
            raise ValueError(
                f"telling.budget: {budget.per_s:g} reports/s are less than one each {self.refresh_s:g} s, when "
                "everything is told; raise per_s"
            )
        return self


class EmulationKeys(_Part):
    """Backends; `auto` takes what the machine has."""

    datapath: Literal["auto", "system", "netdev"] = "auto"
    """Open vSwitch datapath: kernel (system) or userspace (netdev)."""
    link: Literal["auto", "netem", "relay"] = "auto"
    """Link impairment: kernel netem or the userspace TAP relay."""


class Scenario(_Part):
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
    def _services_can_be_learnt(self) -> Scenario:
        if self.services_known == "learnt":
            check_learnt(self)
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
            create = name_steering.parameters if name == DNS_TTL else partial(policies.create, name)
            create(**parameters)  # the ValueError names the policy and what is wrong
        for number, instance in enumerate(self.instances):
            _known(f"instances[{number}].service", instance.service, self.services)
        served = {instance.service for instance in self.instances}
        for name in self.services:
            if name not in served:
                raise ValueError(f"services.{name} has no instances; add one under instances")
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
