"""What a server knows of the network. It does not change: each `with_…` returns the next, which shares what stays.

Costs between endpoints are those between their PIDs, unless some are known more exactly (`endpoint_costs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from testbed.alto.costs.cost_type import Cost, CostMode, CostType
from testbed.alto.costs.cost_values import CostValues
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.addresses import is_typed_address
from testbed.alto.maps.cost_map import Changes, CostMap, Costs
from testbed.alto.maps.endpoint_properties import EndpointProperty
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.maps.property_map import PropertyMap, Values
from testbed.alto.names import PropertyName, ResourceID

Key = tuple[ResourceID, str, CostMode]
EndpointPairs = Mapping[tuple[str, str], Cost]


@dataclass(frozen=True)
class Knowledge:
    """Network maps, the cost maps on each, and properties."""

    network_maps: Mapping[ResourceID, NetworkMap] = field(default_factory=dict)
    cost_maps: Mapping[Key, CostMap] = field(default_factory=dict)
    endpoint_properties: Mapping[PropertyName, EndpointProperty] = field(default_factory=dict)
    endpoint_costs: Mapping[tuple[str, CostMode], EndpointPairs] = field(default_factory=dict)
    property_maps: Mapping[ResourceID, PropertyMap] = field(default_factory=dict)

    def with_network_map(self, network_map: NetworkMap) -> Knowledge:
        """Return the knowledge with a network map set or replaced, without costs of PIDs that are gone.

        Raises AltoDataError.
        """
        network_map.check_complete()
        resource_id, vtags = network_map.resource_id, (network_map.vtag,)
        moved = {
            key: costs.depending_on(vtags, network_map.pids) if key[0] == resource_id else costs
            for key, costs in self.cost_maps.items()
        }
        return replace(self, network_maps={**self.network_maps, resource_id: network_map}, cost_maps=moved)

    def with_cost_map(self, network_map: ResourceID, cost_type: CostType, costs: Costs) -> Knowledge:
        """Return the knowledge with all costs of a type set or replaced. Raises AltoDataError."""
        known = self._network_map(network_map)
        return self._with_cost_map(known, CostMap(cost_type, costs, (known.vtag,)))

    def with_costs(self, network_map: ResourceID, cost_type: CostType, changes: Changes) -> Knowledge:
        """Return the knowledge with some costs set, or no longer defined where there is None. Raises AltoDataError."""
        known = self._network_map(network_map)
        before = self.cost_maps.get((network_map, *cost_type.key)) or CostMap(cost_type, {}, (known.vtag,))
        _check_pids(known, {pid for pair in changes for pid in pair})
        return self._with(known, before.with_costs(changes))

    def with_cost(
        self, network_map: ResourceID, cost_type: CostType, source: str, destination: str, cost: Cost | None
    ) -> Knowledge:
        """Return the knowledge with one cost set. Raises AltoDataError."""
        return self.with_costs(network_map, cost_type, {(source, destination): cost})

    def with_endpoint_property(self, name: PropertyName, values: Mapping[str, str]) -> Knowledge:
        """Return the knowledge with a property set, by typed address or prefix. Raises AltoDataError."""
        known = EndpointProperty(name, values)
        return replace(self, endpoint_properties={**self.endpoint_properties, name: known})

    def with_endpoint_costs(self, cost_type: CostType, costs: EndpointPairs) -> Knowledge:
        """Return the knowledge with costs between endpoints set, by typed addresses. Raises AltoDataError."""
        values = CostValues(cost_type)
        for address in {address for pair in costs for address in pair}:
            if not is_typed_address(address):
                raise AltoDataError(f"{address!r} is no typed address such as `ipv4:192.0.2.1`")
        checked = {pair: values.checked(cost) for pair, cost in costs.items()}
        return replace(self, endpoint_costs={**self.endpoint_costs, cost_type.key: checked})

    def with_property_map(self, resource_id: ResourceID, values: Values) -> Knowledge:
        """Return the knowledge with the properties of a property map set or replaced. Raises AltoDataError."""
        return replace(self, property_maps={**self.property_maps, resource_id: PropertyMap(resource_id, values)})

    def cost_map(self, network_map: NetworkMap, cost_type: CostType) -> CostMap:
        """Return the costs of a type: ranks of numerical ones where no others are known, none where nothing is."""
        known = self.cost_maps.get((network_map.resource_id, *cost_type.key))
        if known is None and cost_type.mode is CostMode.ORDINAL:
            numerical = self.cost_maps.get((network_map.resource_id, cost_type.metric, CostMode.NUMERICAL))
            known = numerical and numerical.as_ordinal
        return known or CostMap(cost_type, {}, (network_map.vtag,))

    def is_ranked_here(self, network_map: ResourceID, cost_type: CostType) -> bool:
        """Return whether ranks of a type are made from numerical costs."""
        return cost_type.mode is CostMode.ORDINAL and (network_map, *cost_type.key) not in self.cost_maps

    def _network_map(self, resource_id: ResourceID) -> NetworkMap:
        if resource_id not in self.network_maps:
            known = ", ".join(self.network_maps) or "none"
            raise AltoDataError(f"there is no network map {resource_id!r}; there are: {known}")
        return self.network_maps[resource_id]

    def _with_cost_map(self, network_map: NetworkMap, cost_map: CostMap) -> Knowledge:
        _check_pids(network_map, cost_map.pids)
        return self._with(network_map, cost_map)

    def _with(self, network_map: NetworkMap, cost_map: CostMap) -> Knowledge:
        key = (network_map.resource_id, *cost_map.cost_type.key)
        return replace(self, cost_maps={**self.cost_maps, key: cost_map})


def _check_pids(network_map: NetworkMap, pids: set[str] | frozenset[str]) -> None:
    unknown = sorted(pids - network_map.pids.keys())
    if unknown:
        raise AltoDataError(f"{network_map.resource_id} has no PID {', '.join(map(repr, unknown[:5]))}")
