"""Function delivery's part of a plan: clusters on hosts of their own, at their addresses, and whom each user asks.

Pure. What cannot be built is said here, before anything is touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import Any, NamedTuple

from testbed.alto.roles import ALTO_CLIENT, ALTO_SERVER, CLUSTER, CLUSTER_CLIENT, REPOSITORY
from testbed.experiment.plan.plan import Plan, PlannedClient
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.schema_parts import LinkKeys
from testbed.experiment.systems.alto.keys.cluster import ClusterKeys
from testbed.experiment.systems.alto.keys.workload import InvokeKeys
from testbed.experiment.systems.alto.scenario import AltoScenario
from topologies import routing
from topologies.addressing import AddressPlan
from topologies.roles import Kind, Role
from topologies.sites import Host
from topologies.spec import Topology, TopologyError, unknown_name

CLUSTER_PORT, CLUSTER_ADMIN_PORT = 3233, 9100  # TCP: the API of a cluster; what it says of its functions
ALTO_PORT, REPORTS_PORT = 8181, 8182  # TCP: an ALTO server; UDP: reports to it
ALTO_CLIENT_PORT, CLUSTER_CLIENT_PORT, REPOSITORY_PORT = 8183, 8184, 8185  # TCP
MOST_INVOCATIONS_PER_CLIENT_PER_S = 200.0  # a generator takes 1.4 ms of a core for a small one


@dataclass(frozen=True)
class PlannedCluster:
    """One cluster on its host; `number` from 1. `holds`: the functions that it has before the load begins."""

    name: str
    number: int
    site: str
    address: IPv4Address | IPv6Address
    keys: ClusterKeys
    holds: tuple[str, ...]
    port: int = CLUSTER_PORT

    @property
    def url(self) -> str:
        """Where others find it."""
        return f"http://{self.address}:{self.port}"


@dataclass(frozen=True)
class PlannedServer:
    """A server of function delivery on a host of its own; both have the same name."""

    name: str
    site: str
    address: IPv4Address | IPv6Address
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where others find it."""
        return f"{self.scheme}://{self.address}:{self.port}"


class _Kind(NamedTuple):
    """A kind of server: the key that says its site, its role, its port."""

    key: str
    role: Role
    port: int


SECURED = ("alto", "alto-client")  # that serve ALTO, and so by TLS if a scenario asks for it

_SERVERS = {
    "repository": _Kind("delivery.repository", REPOSITORY, REPOSITORY_PORT),
    "alto": _Kind("alto.site", ALTO_SERVER, ALTO_PORT),
    "alto-client": _Kind("delivery.site", ALTO_CLIENT, ALTO_CLIENT_PORT),
    "cluster-client": _Kind("delivery.site", CLUSTER_CLIENT, CLUSTER_CLIENT_PORT),
}


@dataclass(frozen=True)
class AltoPlan(Plan):
    """A plan with function delivery's part: `AltoPlan.of(plan).clusters`."""

    scenario: AltoScenario
    clusters: tuple[PlannedCluster, ...] = ()
    servers: Mapping[str, PlannedServer] = field(default_factory=dict)  # by kind

    @property
    def repository(self) -> PlannedServer | None:
        """The repository, if there is one."""
        return self.servers.get("repository")

    @property
    def alto_server(self) -> PlannedServer | None:
        """The ALTO server, if there is one."""
        return self.servers.get("alto")

    @property
    def cluster_client(self) -> PlannedServer | None:
        """Whom users ask who are to be redirected, if there is somebody."""
        return self.servers.get("cluster-client")

    @classmethod
    def of(cls, plan: Plan) -> AltoPlan:
        """Return a plan with function delivery's part of it, typed."""
        if isinstance(plan, cls):
            return plan
        shared: dict[str, Any] = {item.name: getattr(plan, item.name) for item in fields(Plan)}
        return cls(**shared, **plan.parts["alto"])

    def d_sid(self, workload: InvokeKeys) -> IPv4Address | IPv6Address | None:
        """Return the address that the function of a workload is steered by; None: it is not, or a cluster is named."""
        steered = self.scenario.functions[workload.function].steered
        return None if workload.to is not None or steered is None else steered.d_sid

    def asked(self, workload: InvokeKeys, client: PlannedClient) -> PlannedCluster | PlannedServer:
        """Return whom a client asks: the named cluster, the cluster client, the D-SID, or the nearest that holds it."""
        if workload.to is None and self.cluster_client is not None:
            return self.cluster_client
        d_sid = self.d_sid(workload)
        if d_sid is not None:
            return PlannedServer(str(d_sid), client.site, d_sid, CLUSTER_PORT)
        holders = [item for item in self.clusters if workload.function in item.holds]
        if workload.to is not None:
            return next(item for item in holders if item.site == workload.to)
        return min(holders, key=lambda item: (self.distance_ms(client.site, item.site), item.number))

    def distance_ms(self, a: str, b: str) -> float:
        """Return the routing's round-trip cost between two sites, 0 within one."""
        return 0.0 if a == b else self.path_cost_ms(a, b)


def hosts(scenario: Scenario, topology: Topology) -> Iterable[Host]:
    """Return the hosts of clusters. Raises TopologyError for a site that is not there."""
    sites = {node.name for node in topology.of_kind(Kind.EDGE)}
    for number, keys in enumerate(AltoScenario.of(scenario).clusters):
        if keys.site not in sites:
            raise unknown_name(f"clusters[{number}].site: there is no site", keys.site, sites)
        yield Host(cluster_name(keys.site), CLUSTER, keys.site, keys.link.spec())
    for kind, (site, link) in _sites(AltoScenario.of(scenario)).items():
        if site not in sites:
            raise unknown_name(f"{_SERVERS[kind].key}: there is no site", site, sites)
        yield Host(f"{kind}@{site}", _SERVERS[kind].role, site, link.spec())


def _sites(keys: AltoScenario) -> dict[str, tuple[str, LinkKeys]]:
    """Return where each kind of server is that there is, and the link to its host."""
    found = {}
    if keys.alto is not None:
        found["alto"] = keys.alto.site, keys.alto.link
    if keys.delivery is not None:
        found["repository"] = keys.delivery.repository, keys.delivery.link
        if keys.delivery.site is not None:
            found |= dict.fromkeys(("alto-client", "cluster-client"), (keys.delivery.site, keys.delivery.link))
    return found


def reach(plan: AltoPlan, links: Collection[frozenset[str]]) -> Iterable[tuple[str, str]]:
    """Return the pairs of users' site and cluster between which the path crosses one of these links."""
    for site in sorted({client.site for client in plan.clients}):
        for item in plan.clusters:
            path = [*routing.path(plan.topology, site, item.site), item.name]
            if any(frozenset(hop) in links for hop in pairwise(path)):
                yield site, item.name


def planned(plan: Plan) -> dict[str, Any]:
    """Return what `AltoPlan` has beside the stage's. Raises TopologyError."""
    keys = AltoScenario.of(plan.scenario)
    for number, workload in keys.invocations:
        _check_rate(f"workloads[{number}]", workload, len(plan.clients_of(workload)))
    clusters = tuple(_cluster(number, item, keys, plan.addresses) for number, item in enumerate(keys.clusters, 1))
    has_tls = keys.alto is not None and keys.alto.tls
    servers = {kind: _server(kind, site, plan.addresses, has_tls=has_tls) for kind, (site, _) in _sites(keys).items()}
    return {"clusters": clusters, "servers": servers}


def _server(kind: str, site: str, addresses: AddressPlan, *, has_tls: bool) -> PlannedServer:
    name = f"{kind}@{site}"
    scheme = "https" if has_tls and kind in SECURED else "http"
    return PlannedServer(name, site, addresses.host(name).ipv4.ip, _SERVERS[kind].port, scheme)


def cluster_name(site: str) -> str:
    """Return what the cluster of a site is called, and its host."""
    return f"cluster@{site}"


def _cluster(number: int, keys: ClusterKeys, scenario: AltoScenario, addresses: AddressPlan) -> PlannedCluster:
    name = cluster_name(keys.site)
    holds = tuple(function for function, of in scenario.functions.items() if keys.site in of.delivered_to)
    return PlannedCluster(name, number, keys.site, addresses.host(name).ipv4.ip, keys, holds)


def _check_rate(key: str, workload: InvokeKeys, clients: int) -> None:
    """Refuse more load than the generators can send: the numbers would be theirs, not the network's."""
    rate_per_s, most_per_s = workload.arrivals.rate_per_s, MOST_INVOCATIONS_PER_CLIENT_PER_S * clients
    if rate_per_s is not None and rate_per_s > most_per_s:
        raise TopologyError(
            f"{key}.arrivals.rate_per_s: {rate_per_s:g} invocations/s from {clients} client(s) are more than their "
            f"generators can send ({most_per_s:g}); add clients or lower the rate"
        )
