"""What clusters show of themselves while a run is up: their load, and their containers (docs/inspect.md).

Owns how clusters that are up are found: by their processes, whose configurations say where they serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.agents.cluster.config import ClusterConfig
from testbed.emulation.inspection.client import InspectionError
from testbed.emulation.tagged_processes import tagged_processes
from testbed.experiment.inspection import Columns, Node, Row, SystemInspection
from testbed.experiment.systems.alto.cluster_api import ClusterApi, ClusterApiError
from testbed.faas.activations.activation import Start
from testbed.runtime import lifecycle
from testbed.runtime.config import ConfigError

_MODULE = "testbed.agents.cluster"
_OK = 200


@dataclass(frozen=True)
class _Cluster:
    pid: int
    config: ClusterConfig


def _key(name: str) -> Callable[[Row], object]:
    return lambda row: row[name]


def _keys(*names: str) -> dict[str, Callable[[Row], object]]:
    return {name: _key(name) for name in names}


_SECTIONS: dict[str, Columns] = {
    "clusters": {
        "slots": lambda row: f"{row['used']}/{row['slots']}",
        "memory_mb": lambda row: f"{row['memory_used_mb']}/{row['memory_mb']}",
        **_keys("busy", "waiting", "in_flight", "cold", "prewarmed", "warm"),
        "functions": lambda row: ", ".join(row["functions"]),
    },
    "containers": _keys("container", "state", "function", "kind", "memory_mb", "works"),
}


class AltoInspection(SystemInspection):
    """Load and containers of each cluster."""

    kind = "cluster"
    key = "cluster"
    sections = _SECTIONS
    overview = ("clusters",)
    words = frozenset({"state", "function", "kind", "functions", "works"})

    def nodes(self) -> Iterator[Node]:
        """Return the clusters that are up."""
        for tag, processes in sorted(tagged_processes().items()):
            for process in processes:
                config = _config(process.command)
                if config is not None:
                    yield Node(str(tag), config.name, _Cluster(process.pid, config))

    def document(self, node: Node, sections: Sequence[str], most_flows: int | None) -> Row:
        """Ask a cluster."""
        del most_flows
        handle: _Cluster = node.handle
        config = handle.config
        try:
            with ClusterApi(node.name, handle.pid, config.address, config.port, config.auth) as api:
                reply = api.ask("GET", "/api/v1/cluster")
        except ClusterApiError as error:
            raise InspectionError(str(error)) from error
        if reply.status != _OK:
            raise InspectionError(f"{node.name} does not say: {reply.problem}")
        rows = {"clusters": [_load(reply.document)], "containers": reply.document["held"]}
        return {"run": node.run, self.key: node.name, **{section: rows[section] for section in sections}}


def _config(command: Sequence[str]) -> ClusterConfig | None:
    """Return the configuration of a process, if it is a cluster's and can be read."""
    if _MODULE not in command[:-1]:
        return None
    try:
        return lifecycle.load(Path(command[-1]), ClusterConfig)
    except ConfigError:
        return None


def _load(state: Row) -> Row:
    names = ("slots", "memory_mb", "memory_used_mb", "busy", "waiting", "in_flight")
    starts = {start.value: state["starts"].get(start.value, 0) for start in Start}
    used = sum(state["containers"].values())
    return {**{name: state[name] for name in names}, **starts, "used": used, "functions": state["actions"]}


INSPECTION = AltoInspection()
