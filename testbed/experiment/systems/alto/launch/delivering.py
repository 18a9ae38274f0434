"""Functions delivered to clusters over the network before the load, each to those that are to hold it.

Asks the repository what it has, and clusters to fetch it, from within their hosts; what crosses links is the clusters'
own doing. Knows nothing of how a delivery is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from testbed.experiment.launch.processes import RunError
from testbed.experiment.systems.alto.cluster_api import ClusterApi
from testbed.experiment.systems.alto.plan.plan import CLUSTER_PORT, PlannedCluster, PlannedServer
from testbed.faas.delivery.states import Stage

_DELIVERIES = "/api/v1/cluster/deliveries"
_ACCEPTED = 202
_AT_ONCE = 16  # to a cluster, which refuses what is too many
_OVER = {stage.value for stage in Stage if stage.is_over}


@dataclass
class _Recipient:
    """A cluster: functions that are yet to be asked for, and those on their way, by the id of their delivery."""

    cluster: PlannedCluster
    unasked: list[str]
    on_way: dict[str, str] = field(default_factory=dict)


class Delivering:
    """The deliveries of a run. `pid_of`: the process that holds the network namespace of a host.

    All methods raise RunError, or ClusterApiError for who does not answer.
    """

    def __init__(
        self,
        repository: PlannedServer,
        clusters: Collection[PlannedCluster],
        auth: str,
        pid_of: Callable[[str], int],
    ) -> None:
        self._repository, self._auth, self._pid_of = repository, auth, pid_of
        self._recipients = [_Recipient(cluster, list(cluster.holds)) for cluster in clusters]
        self._digests: Mapping[str, str] = {}

    def begin(self) -> None:
        """Find out what the repository has."""
        where = self._repository
        with ClusterApi(where.name, self._pid_of(where.name), where.address, where.port, self._auth) as api:
            listed = api.ask("GET", "/functions").document
        self._digests = {name: item["manifest"] for name, item in listed.items()}

    def are_over(self) -> bool:
        """Ask for what is next; return whether all has come."""
        for recipient in list(self._recipients):
            cluster = recipient.cluster
            pid = self._pid_of(cluster.name)
            with ClusterApi(cluster.name, pid, cluster.address, CLUSTER_PORT, self._auth) as api:
                self._look(recipient, api)
                self._ask(recipient, api)
            if not recipient.on_way and not recipient.unasked:
                self._recipients.remove(recipient)
        return not self._recipients

    @property
    def missing(self) -> str:
        """Who waits for what, for an error."""
        return "; ".join(f"{', '.join(item.on_way.values())} at {item.cluster.name}" for item in self._recipients)

    def _look(self, recipient: _Recipient, api: ClusterApi) -> None:
        if not recipient.on_way:
            return
        for shown in api.ask("GET", _DELIVERIES).document:
            if shown["id"] not in recipient.on_way or shown["state"] not in _OVER:
                continue
            name = recipient.on_way.pop(shown["id"])
            if shown["state"] != Stage.DONE.value:
                why = shown.get("reason", shown["state"])
                raise RunError(f"functions.{name} was not delivered to {recipient.cluster.name}: {why}")

    def _ask(self, recipient: _Recipient, api: ClusterApi) -> None:
        while recipient.unasked and len(recipient.on_way) < _AT_ONCE:
            name = recipient.unasked.pop()
            asked = {"function": self._digests[name], "repository": self._repository.url}
            reply = api.ask("POST", _DELIVERIES, asked)
            if reply.status != _ACCEPTED:
                raise RunError(f"functions.{name}: {recipient.cluster.name} takes no delivery of it: {reply.problem}")
            recipient.on_way[reply.document["id"]] = name
