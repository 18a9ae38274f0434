"""What a run would hand to Dyncast's processes, built and read again before a run touches anything.

Owns what stands in for what only a network that stands can say: descriptors, ports, zones. So whatever a process would
refuse of its configuration is refused here, in one line. Starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from ryu_apps.dyncast.config.control_process import SwitchConfig
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import (
    command_configs,
    dispatcher_configs,
    process_configs,
    workload_files,
)
from testbed.experiment.systems.dyncast.launch.measurement_sockets import Measuring
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan, PlannedInstance
from testbed.linux.port_reader import PortSource
from testbed.runtime.document import ProcessConfig

# As good as any that the machine would give.
_DESCRIPTOR, _SWITCH_PORT, _DATAPATH_ID = 3, 1, 1
_SWITCH = SwitchConfig("netdev", Path("management"))

_Make = Callable[[], ProcessConfig | None]


def check(plan: DyncastPlan, source: Path, folder: Path, *, with_load: bool) -> None:
    """Build the configurations of all processes in `folder`, read each again, and draw the arrivals if `with_load`.

    Raises ScenarioError, naming source and process, for the first that would be refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    for process, make in (*_processes(plan, folder), *(_load(plan, source, folder) if with_load else ())):
        try:
            config = make()
            if config is not None:
                type(config).from_document(config.to_document())
        except ScenarioError:
            raise
        except ValueError as error:  # a ConfigError, or of the pure core
            raise ScenarioError(f"{source}: {process} would refuse its configuration: {error}") from error
        if process in seen:
            raise ScenarioError(f"{source}: two processes of the run would be called {process}; rename a node")
        seen.add(process)


def _processes(plan: DyncastPlan, folder: Path) -> Iterator[tuple[str, _Make]]:
    for site in plan.sites:
        yield f"control@{site}", partial(_control, plan, site, folder)
    for name in plan.dispatchers:
        yield f"control@{name}", partial(_dispatcher, plan, name, folder)
    for number, item in enumerate(plan.instances):
        yield item.name, partial(_instance, plan, item, number, folder)
    for site in plan.sites:
        yield f"dma@{site}", partial(process_configs.metric_agent, plan, site, folder, folder)
    if plan.name_server is not None:
        yield plan.name_server.name, partial(process_configs.name_server, plan, folder, folder)


def _load(plan: DyncastPlan, source: Path, folder: Path) -> Iterator[tuple[str, _Make]]:
    try:
        configured = workload_files.write(plan, folder / "workloads", source.parent)
    except ValueError as error:
        raise ScenarioError(f"{source}: {error}") from error
    for client in plan.clients:
        if workloads := configured[client.name]:
            yield client.name, partial(process_configs.generator, plan, client, workloads, 0.0, folder)
    for _, command in command_configs.loads(plan, 0.0, folder, folder / "logs"):
        yield command.name, partial(_itself, command)


def _itself(config: ProcessConfig) -> ProcessConfig:
    return config


def _control(plan: DyncastPlan, site: str, folder: Path) -> ProcessConfig:
    in_datapath = (name for name, service in plan.scenario.services.items() if service.affinity.mode == "datapath")
    hosts = [station.node for station in plan.addresses.stations()]
    ports = dict(zip([*hosts, *plan.dispatchers], count(_SWITCH_PORT + 1), strict=False))
    tunnel_port = _SWITCH_PORT if plan.scenario.tunnelled_services else None
    towards = {peer: PortSource("uplink") for peer in plan.sites if peer != site}
    return process_configs.control(
        plan, site, folder, datapath_id=_DATAPATH_ID, openflow_fd=_DESCRIPTOR, uplink_port=_SWITCH_PORT,
        in_band_fd=_DESCRIPTOR, switch=_SWITCH, zones=dict(zip(in_datapath, count(1), strict=False)),
        inspection_socket="inspection", keys_folder=folder,
        tunnel=process_configs.tunnel(plan, site, tunnel_port, ports),
        dispatchers=dispatcher_configs.peers_of_cfn_node(plan, site, ports),
        measuring=Measuring(_DESCRIPTOR, _DESCRIPTOR, _DESCRIPTOR, towards),
    )  # fmt: skip


def _dispatcher(plan: DyncastPlan, name: str, folder: Path) -> ProcessConfig:
    return dispatcher_configs.control(
        plan, name, folder, datapath_id=_DATAPATH_ID, openflow_fd=_DESCRIPTOR, uplink_port=_SWITCH_PORT,
        in_band_fd=_DESCRIPTOR, switch=_SWITCH, inspection_socket="inspection", keys_folder=folder,
    )  # fmt: skip


def _instance(plan: DyncastPlan, item: PlannedInstance, number: int, folder: Path) -> ProcessConfig:
    if plan.scenario.services[item.service].kind == "command":
        return command_configs.instance(plan, item, folder, folder / "logs")
    return process_configs.instance(plan, item, number, folder)
