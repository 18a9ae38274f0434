"""What a run would hand to the processes of function delivery, built and read again before a run touches anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.alto.launch import function_code, process_configs, workload_files
from testbed.experiment.systems.alto.launch.credentials import Credentials
from testbed.experiment.systems.alto.plan.plan import AltoPlan
from testbed.runtime.document import ProcessConfig

_AUTH = "dyncast:rehearsal"


def check(plan: AltoPlan, source: Path, folder: Path, *, with_load: bool) -> None:
    """Build all configurations in `folder`, look at all code, and draw the arrivals if `with_load`.

    Raises ScenarioError, naming source and key or process, for the first that would be refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    function_code.check(plan, source)
    for item in plan.clusters:
        _read_again(item.name, partial(process_configs.cluster, plan, item, _AUTH, folder, run_dir=folder), source)
    own = Credentials.of(plan, folder)
    for kind, server in plan.servers.items():
        make = partial(process_configs.server, plan, kind, server, _AUTH, folder, folder, own)
        _read_again(server.name, make, source)
    if with_load:
        _check_load(plan, source, folder)


def _check_load(plan: AltoPlan, source: Path, folder: Path) -> None:
    try:
        configured = workload_files.write(plan, folder / "workloads", source.parent, _AUTH)
    except ValueError as error:
        raise ScenarioError(f"{source}: {error}") from error
    for client in plan.clients:
        if client.name in configured:
            make = partial(process_configs.users, plan, client, configured[client.name], 0.0, folder)
            _read_again(f"users of {client.name}", make, source)


def _read_again(process: str, make: Callable[[], ProcessConfig], source: Path) -> None:
    try:
        config = make()
        type(config).from_document(config.to_document())
    except ValueError as error:
        raise ScenarioError(f"{source}: {process} would refuse its configuration: {error}") from error
