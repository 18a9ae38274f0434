"""Programs that others wrote, at instances and clients: the configurations of their processes, from the plan.

Owns filling in placeholders and the folder of each program, which stays with the results. Raises ScenarioError where a
program is not there; starts nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

from testbed.agents.command_instance.config import ApplicationMetrics, CommandConfig, Readiness
from testbed.agents.command_instance.json_metrics import Pointer
from testbed.emulation.netns.resolver import with_resolver
from testbed.experiment.plan.plan import PlannedClient
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.system import ScenarioCommand
from testbed.experiment.systems.dyncast.keys.command import filled
from testbed.experiment.systems.dyncast.keys.service import ADMIN_PORT
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.launch import own_folder
from testbed.experiment.systems.dyncast.launch.process_configs import SAMPLE_INTERVAL_S
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan, PlannedInstance
from testbed.records.file_names import file_name
from testbed.records.parts import whole_rows
from testbed.runtime import caller
from traffic.loads.command_load import CommandLoadConfig

INSTANCE_MODULE = "testbed.agents.command_instance"
CLIENT_MODULE = "traffic.loads.command_load"

_SEEDS_PER_RUN = 1000  # more clients than a workload has

_FAILURES = {"failed": "failed", "overdue": "did not end in time"}


def check_programs(plan: DyncastPlan, source: Path) -> None:
    """Raise ScenarioError for the first program that is not on this machine, naming key, user and way out."""
    wanted: list[tuple[str, str, Sequence[str], Mapping[str, str]]] = []
    for number, keys in enumerate(plan.scenario.instances):
        if keys.command:
            item = next(item for item in plan.instances if item.keys is keys)
            values = _instance_values(plan, item, Path())
            wanted.append((f"instances[{number}].command", item.name, *_filled(keys.command, keys.environment, values)))
    for number, workload in enumerate(plan.scenario.workloads):
        if isinstance(workload, FlowKeys) and workload.command:
            client = plan.clients_of(workload)[0]
            values = _client_values(plan, workload, client, 0, Path())
            wanted.append(
                (f"workloads[{number}].command", client.name, *_filled(workload.command, workload.environment, values))
            )
    for key, user, argv, environment in wanted:
        program = argv[0]
        if "/" in program and not Path(program).is_absolute():
            raise ScenarioError(
                f"{source}: {key}: {program} has no place to be looked for; say {{scenario_folder}}/{program}"
            )
        if shutil.which(program, path=environment.get("PATH", caller.search_path())) is None:
            where = "is no program" if "/" in program else "is not on PATH"
            raise ScenarioError(f"{source}: {key}: {program} {where}; {user} runs it: install it, or give its path")


def scenario_commands(plan: DyncastPlan) -> Iterator[ScenarioCommand]:
    """Yield the commands of all instances, then those of clients, as they would be started."""
    logs = Path("logs")
    for item in plan.instances:
        if item.keys.command:
            number = next(number for number, keys in enumerate(plan.scenario.instances) if keys is item.keys)
            values = _instance_values(plan, item, logs / file_name(item.name))
            argv, _ = _filled(item.keys.command, {}, values)
            yield ScenarioCommand(f"instances[{number}].command", item.host, argv, item.keys.as_root)
    for number, workload in enumerate(plan.scenario.workloads):
        if isinstance(workload, FlowKeys) and workload.command:
            for position, client in enumerate(plan.clients_of(workload)):
                folder = logs / file_name(f"{workload.name}.{client.name}")
                argv, _ = _filled(workload.command, {}, _client_values(plan, workload, client, position, folder))
                yield ScenarioCommand(f"workloads[{number}].command", client.name, argv, workload.as_root)


def ready_timeout_s(plan: DyncastPlan, least_s: float) -> float:
    """Return how long instances may take until they serve."""
    return max([least_s, *(item.keys.ready.timeout_s + 5.0 for item in plan.first_instances)])


def instance(plan: DyncastPlan, item: PlannedInstance, out_dir: Path, logs: Path) -> CommandConfig:
    """Write the files of a command instance, and return the configuration of its process."""
    keys, service = item.keys, plan.scenario.services[item.service]
    folder = _folder(logs, item.name)
    values = _instance_values(plan, item, folder)
    argv, environment = _filled(keys.command or (), keys.environment, values)
    user = None if keys.as_root else caller.sudo_user()
    own_folder.prepare(folder, {name: filled(text, values) for name, text in keys.files.items()}, user)
    metrics = keys.metrics
    pointers = {name: Pointer(figure.at, figure.times) for name, figure in metrics.values.items()}
    return CommandConfig(
        name=item.name,
        out_dir=out_dir,
        service=item.service,
        site=item.site,
        protocol=service.transport,
        host=ip_address(item.d_bid),
        port=service.service_port,
        admin_port=ADMIN_PORT,
        workers=keys.workers,
        queue_limit=keys.queue_limit,
        service_time_ms=keys.service_time.mean_ms / keys.speed,
        cpu_limit=keys.cpu_limit,
        argv=tuple(argv),
        within=tuple(caller.run_as(user)),
        environment=_assignments({**caller.home_of(user), **environment}),
        folder=folder,
        ready=Readiness(keys.ready.http, keys.ready.output, keys.ready.timeout_s),
        application=ApplicationMetrics(metrics.url, pointers) if metrics.source == "http" and metrics.url else None,
        sample_interval_s=SAMPLE_INTERVAL_S,
    )


def loads(
    plan: DyncastPlan, start_s: float, out_dir: Path, logs: Path
) -> list[tuple[PlannedClient, CommandLoadConfig]]:
    """Return each client that runs a command, with the configuration of its process. `start_s`: CLOCK_MONOTONIC."""
    found = []
    for workload in plan.scenario.flow_workloads:
        if workload.command is None:
            continue
        begin_s, end_s = _window(plan, workload)
        for number, client in enumerate(plan.clients_of(workload)):
            name = f"{workload.name}.{client.name}"
            folder = _folder(logs, name)
            values = _client_values(plan, workload, client, number, folder)
            argv, environment = _filled(workload.command, workload.environment, values)
            user = None if workload.as_root else caller.sudo_user()
            own_folder.prepare(folder, {}, user)
            resolving = with_resolver(resolver_folder(out_dir)) if plan.name_server else ()
            config = CommandLoadConfig(
                name=name,
                out_dir=out_dir,
                workload=workload.name,
                service=workload.service,
                client=client.name,
                argv=tuple(argv),
                within=(*resolving, *caller.run_as(user)),
                environment=_assignments({**caller.home_of(user), **environment}),
                folder=folder,
                output=str(Path(logs.name) / file_name(name) / "output.log"),
                start_s=start_s + begin_s,
                end_s=start_s + end_s,
                patience_s=workload.timeout_s if _knows_its_end(workload) else 0.0,
            )
            found.append((client, config))
    return found


def resolver_folder(out_dir: Path) -> Path:
    """Return where the resolv.conf of clients lies."""
    return (out_dir / "resolver").absolute()


def failed_loads(work: Path) -> list[str]:
    """Return, in a line each, the commands of clients that failed or did not end in time, by the parts in `work`."""
    failed = []
    for path in sorted(work.glob("commands.*.part.csv")):
        for row in whole_rows(path):
            if row["outcome"] in _FAILURES:
                what = f"{row['workload']} at {row['client']} {_FAILURES[row['outcome']]}"
                failed.append(f"{what}: {row['last_words']} ({row['output']})")
    return failed


def _assignments(environment: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in environment.items())


def _knows_its_end(workload: FlowKeys) -> bool:
    """Return whether a command gets a duration, and so ends by itself."""
    return any("{duration_s}" in text for text in (*(workload.command or ()), *workload.environment.values()))


def _window(plan: DyncastPlan, workload: FlowKeys) -> tuple[float, float]:
    end_s = workload.arrivals.end_s
    return workload.arrivals.start_s, min(end_s or plan.scenario.duration_s, plan.scenario.duration_s)


def _folder(logs: Path, name: str) -> Path:
    folder = (logs / file_name(name)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _filled(
    argv: Sequence[str], environment: Mapping[str, str], values: Mapping[str, object]
) -> tuple[list[str], dict[str, str]]:
    return [filled(word, values) for word in argv], {key: filled(text, values) for key, text in environment.items()}


def _instance_values(plan: DyncastPlan, item: PlannedInstance, folder: Path) -> dict[str, object]:
    return {
        "port": plan.scenario.services[item.service].service_port,
        "host": item.d_bid,
        "site": item.site,
        "instance": item.name,
        "service": item.service,
        "folder": folder,
        "scenario_folder": plan.folder,
    }


def _client_values(
    plan: DyncastPlan, workload: FlowKeys, client: PlannedClient, number: int, folder: Path
) -> dict[str, object]:
    service = plan.scenario.services[workload.service]
    d_sid, port = ip_address(str(service.d_sid)), service.service_port
    address = plan.addresses.host(client.name)
    host = f"[{d_sid}]" if d_sid.version == 6 else str(d_sid)
    if plan.name_server is not None:
        host = plan.name_server.host_name(workload.service)
    begin_s, end_s = _window(plan, workload)
    return {
        "d_sid": d_sid,
        "port": port,
        "url": f"http://{host}{'' if port == 80 else f':{port}'}/",
        "duration_s": f"{end_s - begin_s:g}",
        "seed": plan.scenario.seed * _SEEDS_PER_RUN + number,
        "client": client.name,
        "site": client.site,
        "host": (address.ipv4 if d_sid.version == 4 else address.ipv6).ip,
        "folder": folder,
        "scenario_folder": plan.folder,
    }
