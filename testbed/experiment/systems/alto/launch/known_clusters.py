"""Whether the ALTO client knows all clusters, and the paths to them, before the load begins.

Asks it from within its host, for users at each site with clients.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from testbed.agents.http.tls import client_context
from testbed.experiment.systems.alto.cluster_api import ClusterApi
from testbed.experiment.systems.alto.plan.plan import AltoPlan

_OK = 200


class KnownClusters:
    """What is known of the clusters of a run. All methods raise ClusterApiError for who does not answer."""

    def __init__(self, plan: AltoPlan, auth: str, pid_of: Callable[[str], int], authority: Path | None = None) -> None:
        """Take whom to ask; `authority`: the certificate to trust, where it serves HTTPS. Raises CannotTrust."""
        self._server = plan.servers["alto-client"]
        self._auth, self._pid_of = auth, pid_of
        self._names = frozenset(item.name for item in plan.clusters)
        self._users = {client.site: str(plan.addresses.host(client.name).ipv4.ip) for client in plan.clients}
        self._tls = None if authority is None else client_context(authority)
        self.missing = "all"

    def is_complete(self) -> bool:
        """Return whether lists for users at each site have all clusters, with resources and delays."""
        server = self._server
        where = server.address, server.port
        with ClusterApi(server.name, self._pid_of(server.name), *where, self._auth, self._tls) as api:
            for site, address in self._users.items():
                reply = api.ask("GET", f"/clusters?address={address}")
                known = _known(reply.document) if reply.status == _OK else frozenset()
                if known < self._names:
                    self.missing = f"{', '.join(sorted(self._names - known))} for users at {site}"
                    return False
        return True


def _known(document: dict[str, list[dict[str, object]]]) -> frozenset[str]:
    """Return the clusters of a list of which resources and the delay from users are known."""
    listed = document["clusters"]
    return frozenset(str(item["cluster"]) for item in listed if "slots" in item and "delay_rt_ms" in item["from_user"])  # type: ignore[operator]
