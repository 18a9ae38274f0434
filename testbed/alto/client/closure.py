"""All resources that a client may ask for, and which of them fits (RFC 7285, sections 8.3.1 and 9.2.5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from testbed.alto.costs.cost_type import CostType
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.errors import AltoDataError
from testbed.alto.names import ResourceID


@dataclass(frozen=True, slots=True)
class Resource:
    """An entry with its URI made absolute, and the cost types that its directory names."""

    entry: ResourceEntry
    uri: str
    cost_types: tuple[CostType, ...] = ()
    testable_cost_types: tuple[CostType, ...] = ()

    @property
    def resource_id(self) -> ResourceID:
        """Return the name of the resource."""
        return self.entry.resource_id


@dataclass(slots=True)
class Closure:
    """The resources found, by ID; `problems` are what could not be read of linked directories."""

    default_network_map: ResourceID | None = None
    resources: dict[ResourceID, Resource] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, resource: Resource) -> None:
        """Take a resource; the first of an ID stays."""
        first = self.resources.setdefault(resource.resource_id, resource)
        if first is not resource and first.uri != resource.uri:
            self.problems.append(f"{resource.uri}: {first.uri} has the ID {resource.resource_id}, too")

    def __getitem__(self, resource_id: ResourceID) -> Resource:
        """Return a resource by its ID. Raises AltoDataError."""
        if resource_id not in self.resources:
            raise AltoDataError(
                f"there is no resource {resource_id!r}; there are: {', '.join(self.resources) or 'none'}"
            )
        return self.resources[resource_id]

    def find(
        self,
        media_type: str,
        accepts: str | None = None,
        cost_type: CostType | None = None,
        uses: ResourceID | None = None,
        prop_type: str | None = None,
    ) -> Iterator[Resource]:
        """Return the resources that fit, those by GET first, for their answers are cached (9.2.5.1)."""
        fitting = [
            resource
            for resource in self.resources.values()
            if resource.entry.media_type == media_type
            and accepts in (None, resource.entry.accepts)
            and (cost_type is None or cost_type in resource.cost_types)
            and (uses is None or uses in resource.entry.uses)
            and (prop_type is None or prop_type in resource.entry.capabilities.prop_types)
        ]
        return iter(sorted(fitting, key=lambda resource: resource.entry.accepts != ""))
