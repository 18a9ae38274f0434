"""The configuration of each process of function delivery (docs/processes.md), from the plan. Pure: writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

from testbed.agents.alto_client.config import AltoClientConfig
from testbed.agents.alto_server.config import AltoServerConfig
from testbed.agents.cluster.config import AltoReportsConfig, ClusterConfig
from testbed.agents.cluster_client import truth
from testbed.agents.cluster_client.config import ClusterClientConfig, ClusterPlace, PlacedFunction, SteeringConfig
from testbed.agents.repository.config import FunctionConfig, FunctionLimits, RepositoryConfig
from testbed.alto.network.directories import DIRECTORY_PATH
from testbed.alto.reports.admission import Reporter
from testbed.experiment.plan.plan import PlannedClient
from testbed.experiment.systems.alto import topology_facts
from testbed.experiment.systems.alto.keys.alto import AltoKeys
from testbed.experiment.systems.alto.keys.delivery import DeliveryKeys
from testbed.experiment.systems.alto.keys.function import FunctionKeys
from testbed.experiment.systems.alto.launch import function_code
from testbed.experiment.systems.alto.launch.credentials import NONE as NO_CREDENTIALS
from testbed.experiment.systems.alto.launch.credentials import Credentials
from testbed.experiment.systems.alto.plan.plan import (
    CLUSTER_ADMIN_PORT,
    CLUSTER_PORT,
    REPORTS_PORT,
    AltoPlan,
    PlannedCluster,
    PlannedServer,
)
from testbed.faas.placement.policies import ORACLE
from testbed.net.addresses import Address, Network
from testbed.runtime.document import ProcessConfig
from traffic.config import GeneratorConfig, WorkloadConfig


def cluster(
    plan: AltoPlan, item: PlannedCluster, auth: str, out_dir: Path, *, run_dir: Path, store_dir: Path | None = None
) -> ClusterConfig:
    """Return the configuration of a cluster, with the folders of its containers and of what is delivered to it."""
    keys = item.keys
    return ClusterConfig(
        name=item.name,
        out_dir=out_dir,
        address=item.address,
        port=item.port,
        auth=auth,
        run_dir=run_dir,
        sandbox=keys.sandbox,
        memory_mb=keys.memory_mb,
        slots=keys.slots,
        cpus=keys.cpus,
        queue=keys.queue,
        keep_alive_s=keys.keep_alive_s,
        per_minute=keys.per_minute,
        concurrent=keys.concurrent,
        prewarmed={str(kind): count for kind, count in keys.prewarm.items()},
        layers={} if plan.repository else function_code.layers(plan),  # else they come with their functions
        store_dir=store_dir,
        site=item.site,
        number=item.number,
        admin_port=CLUSTER_ADMIN_PORT if any(of.steered for of in plan.scenario.functions.values()) else None,
        alto=_reports(plan),
        state_file=None if (folder := truth_dir(plan, out_dir)) is None else truth.state_path(folder, item.name),
    )


def server(
    plan: AltoPlan, kind: str, item: PlannedServer, auth: str, out_dir: Path, store_dir: Path, own: Credentials
) -> ProcessConfig:
    """Return the configuration of a server of any kind; `store_dir`: of a repository, the folder of its content."""
    scenario = plan.scenario
    match kind:
        case "repository":
            return repository(plan, item, out_dir, store_dir)
        case "alto":
            assert scenario.alto is not None
            return alto_server(plan, item, scenario.alto, out_dir, own)
        case "alto-client":
            return alto_client(plan, item, out_dir, own)
        case _:
            assert scenario.delivery is not None
            return cluster_client(plan, item, scenario.delivery, auth, out_dir, own)


def repository(plan: AltoPlan, item: PlannedServer, out_dir: Path, store_dir: Path) -> RepositoryConfig:
    """Return the configuration of the repository, with the folder of its content."""
    functions = {
        name: FunctionConfig(
            code=plan.folder / keys.code,
            kind=keys.kind,
            main=keys.main,
            limits=FunctionLimits(timeout_ms=round(1000 * keys.timeout_s), memory_mb=keys.memory_mb),
            layers={layer: plan.folder / folder for layer, folder in keys.layers.items()},
        )
        for name, keys in plan.scenario.functions.items()
    }
    return RepositoryConfig(item.name, out_dir, item.address, item.port, store_dir, functions)


def alto_server(
    plan: AltoPlan, item: PlannedServer, keys: AltoKeys, out_dir: Path, own: Credentials = NO_CREDENTIALS
) -> AltoServerConfig:
    """Return the configuration of the ALTO server: D-Routers and clusters report to it, from their own addresses."""
    routers = {site: Reporter("network", (_alone(plan.addresses.site(site).gateway4.ip),)) for site in plan.sites}
    clusters = {of.name: Reporter("cluster", (_alone(of.address),)) for of in plan.clusters}
    return AltoServerConfig(
        item.name,
        out_dir,
        item.address,
        item.port,
        REPORTS_PORT,
        topology_facts.facts_of(plan.topology, plan.addresses),
        {**routers, **clusters},
        lifetime_s=keys.lifetime_s,
        certificate=own.certificate("alto"),
        key=own.key("alto"),
        users_file=own.users,
    )


def alto_client(
    plan: AltoPlan, item: PlannedServer, out_dir: Path, own: Credentials = NO_CREDENTIALS
) -> AltoClientConfig:
    """Return the configuration of the ALTO client."""
    server, repository = plan.servers["alto"], plan.servers["repository"]
    directory = f"{server.url}{DIRECTORY_PATH}"
    return AltoClientConfig(
        item.name,
        out_dir,
        item.address,
        item.port,
        directory,
        repository.address,
        authority=own.authority,
        user_file=own.users,
        certificate=own.certificate("alto-client"),
        key=own.key("alto-client"),
    )


def cluster_client(
    plan: AltoPlan, item: PlannedServer, keys: DeliveryKeys, auth: str, out_dir: Path, own: Credentials = NO_CREDENTIALS
) -> ClusterClientConfig:
    """Return the configuration of the cluster client."""
    functions = {
        name: PlacedFunction(
            replicas=of.replicas,
            held_by=tuple(cluster.name for cluster in plan.clusters if name in cluster.holds),
            steering=_steering(of),
        )
        for name, of in plan.scenario.functions.items()
    }
    of_sites = {site: plan.addresses.site(site) for site in plan.sites}
    return ClusterClientConfig(
        item.name,
        out_dir,
        item.address,
        item.port,
        plan.servers["alto-client"].url,
        plan.servers["repository"].url,
        seed=plan.scenario.seed,
        functions=functions,
        clusters={of.name: ClusterPlace(of.url, auth) for of in plan.clusters},
        policy=keys.policy,
        policy_parameters=dict(keys.policy_parameters),
        truth_dir=truth_dir(plan, out_dir),
        sites={site: (of.prefix4, of.prefix6) for site, of in of_sites.items()},
        authority=own.authority,
        refresh_s=keys.refresh_s,
        wait_s=keys.wait_s,
        horizon_s=keys.horizon_s,
        silent_after_s=keys.silent_after_s,
        unused_s=keys.unused_s,
    )


def truth_dir(plan: AltoPlan, out_dir: Path) -> Path | None:
    """Return the folder in which the truth is shown for the policy `oracle`; None: nobody asks for it."""
    delivery = plan.scenario.delivery
    is_wanted = plan.cluster_client is not None and delivery is not None and delivery.policy == ORACLE
    return out_dir / "truth" if is_wanted else None


def _steering(keys: FunctionKeys) -> SteeringConfig | None:
    of = keys.steered
    if of is None:
        return None
    return SteeringConfig(f"http://{of.d_sid}:{CLUSTER_PORT}", of.kept_s, of.announced_after_s)


def _reports(plan: AltoPlan) -> AltoReportsConfig | None:
    keys = plan.scenario.alto
    if keys is None:
        return None
    return AltoReportsConfig((plan.servers["alto"].address, REPORTS_PORT), keys.interval_s)


def _alone(address: Address) -> Network:
    return ip_network(address)


def users(
    plan: AltoPlan, client: PlannedClient, workloads: Sequence[WorkloadConfig], start_s: float, out_dir: Path
) -> GeneratorConfig:
    """Return the configuration of a client's generator of invocations. `start_s` is on CLOCK_MONOTONIC."""
    host = plan.addresses.host(client.name)
    return GeneratorConfig(
        name=users_name(client.name),
        out_dir=out_dir,
        client=client.name,
        site=client.site,
        source={4: host.ipv4.ip, 6: host.ipv6.ip},
        start_s=start_s,
        workloads=tuple(workloads),
    )


def users_name(client: str) -> str:
    """Return what the generator of invocations at a client is called."""
    return f"users@{client}"
