"""Functions created at clusters before the load, by their API: what is created so is there when the run begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from testbed.experiment.launch.processes import RunError
from testbed.experiment.systems.alto.cluster_api import ClusterApi, ClusterApiError
from testbed.experiment.systems.alto.plan.plan import CLUSTER_PORT, PlannedCluster

_OK = 200


def create(cluster: PlannedCluster, pid: int, auth: str, functions: Mapping[str, Mapping[str, Any]]) -> None:
    """Create functions, by name, at a cluster in the network namespace of process `pid`. Raises RunError."""
    try:
        with ClusterApi(cluster.name, pid, cluster.address, CLUSTER_PORT, auth) as api:
            for name, document in functions.items():
                reply = api.ask("PUT", f"/api/v1/namespaces/_/actions/{quote(name, safe='')}?overwrite=true", document)
                if reply.status != _OK:
                    raise RunError(f"functions.{name}: {cluster.name} refuses it: {reply.problem}")
    except ClusterApiError as error:
        raise RunError(str(error)) from error


class Creating:
    """Functions created at a cluster that came back, in one step. `pid_of`: the process that holds its namespace."""

    def __init__(
        self,
        cluster: PlannedCluster,
        pid_of: Callable[[str], int],
        auth: str,
        functions: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._cluster, self._pid_of, self._auth, self._functions = cluster, pid_of, auth, functions

    def begin(self) -> None:
        """Create them. Raises RunError."""
        create(self._cluster, self._pid_of(self._cluster.name), self._auth, self._functions)

    def are_over(self) -> bool:
        """Return that they are there."""
        return True

    @property
    def missing(self) -> str:
        """Nothing."""
        return ""
