"""Functions created at clusters before the load, by their API: what is created so is there when the run begins."""

from __future__ import annotations

from collections.abc import Mapping
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
