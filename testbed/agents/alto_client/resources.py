"""Which resources of a server a list of clusters is made of: one network map, costs by metric, the clusters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from testbed.alto import media_types
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.client.closure import Closure, Resource
from testbed.alto.costs.cost_type import CostMode, CostType

ADDRESSES = ".priv:addresses"  # the property by which a property map of clusters is known
METRICS = ("delay-ow", "delay-rt", "bw-available", "bw-residual", "lossrate", "hopcount", "routingcost")


@dataclass(frozen=True)
class Wanted:
    """The resources. `costs`: by metric; `clusters`, `stream`: None where the server has none."""

    network: Resource
    costs: Mapping[str, Resource]
    clusters: Resource | None
    stream: Resource | None

    @property
    def all(self) -> tuple[Resource, ...]:
        """All that have content."""
        return (self.network, *self.costs.values(), *([] if self.clusters is None else [self.clusters]))

    @property
    def followed(self) -> tuple[Resource, ...]:
        """Those that the stream has updates of."""
        uses = () if self.stream is None else self.stream.entry.uses
        return tuple(resource for resource in self.all if resource.resource_id in uses)


def wanted(url: str, closure: Closure) -> Wanted:
    """Return what to follow of a server's resources. Raises AltoAnswerError if it has no network map."""
    maps = {resource.resource_id: resource for resource in closure.find(media_types.NETWORK_MAP, accepts="")}
    network = maps.get(closure.default_network_map or "") or next(iter(maps.values()), None)
    if network is None:
        raise AltoAnswerError(url, "the server has no network map")
    found = {metric: _cost_map(closure, metric, network) for metric in METRICS}
    costs = {metric: resource for metric, resource in found.items() if resource is not None}
    clusters = next((one for one in closure.find(media_types.PROPERTY_MAP, accepts="") if _is_of_clusters(one)), None)
    stream = next(closure.find(media_types.UPDATE_STREAM, uses=network.resource_id), None)
    return Wanted(network, costs, clusters, stream)


def _cost_map(closure: Closure, metric: str, network: Resource) -> Resource | None:
    cost_type = CostType(metric, CostMode.NUMERICAL)
    found = closure.find(media_types.COST_MAP, accepts="", cost_type=cost_type, uses=network.resource_id)
    return next((one for one in found if one.cost_types == (cost_type,)), None)


def _is_of_clusters(resource: Resource) -> bool:
    return any(ADDRESSES in names for names in resource.entry.capabilities.mappings.values())
