"""One directory: cost types by the names that it alone gives them, and its entries (RFC 7285, section 9.2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from testbed.alto import json_octets
from testbed.alto.costs.cost_type import CostType
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.names import ResourceID
from testbed.alto.version_tags import tag_of


@dataclass(frozen=True)
class Directory:
    """A directory; the root one names the network map for clients that want but one."""

    entries: tuple[ResourceEntry, ...]
    cost_types: Mapping[str, CostType] = field(default_factory=dict)
    default_network_map: ResourceID | None = None

    @cached_property
    def by_id(self) -> Mapping[ResourceID, ResourceEntry]:
        """Return the entries by resource ID."""
        return {entry.resource_id: entry for entry in self.entries}

    def offered(self, names: Iterable[str]) -> list[CostType]:
        """Return the cost types of some names; a name that it does not give is left out."""
        return [self.cost_types[name] for name in names if name in self.cost_types]

    def document(self) -> dict[str, Any]:
        """Return the response."""
        meta: dict[str, Any] = {}
        if self.cost_types:
            described = {name: cost_type.document(with_description=True) for name, cost_type in self.cost_types.items()}
            meta["cost-types"] = described
        if self.default_network_map is not None:
            meta["default-alto-network-map"] = self.default_network_map
        return {"meta": meta, "resources": {entry.resource_id: entry.document() for entry in self.entries}}

    @cached_property
    def octets(self) -> bytes:
        """Return the octets of the response."""
        return json_octets.encode(self.document())

    @cached_property
    def tag(self) -> str:
        """Return the tag, derived from the content."""
        return tag_of(json_octets.canonical(self.document()))
