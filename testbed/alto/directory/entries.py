"""Entries of a directory: one resource each (RFC 7285, sections 9.1 and 9.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.alto import media_types
from testbed.alto.names import ResourceID


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a resource can do, as it is said; what is not said has the default of its document."""

    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cost_type_names(self) -> tuple[str, ...]:
        """Return the names of the cost types that it offers; the directory says which they are."""
        return tuple(self.said.get("cost-type-names", ()))

    @property
    def cost_constraints(self) -> bool:
        """Return whether a request may have constraints (11.3.2.4)."""
        return self.said.get("cost-constraints", False) is True

    @property
    def max_cost_types(self) -> int:
        """Return how many cost types one request may ask for; zero is none of the extension (RFC 8189)."""
        return int(self.said.get("max-cost-types", 0))

    @property
    def testable_cost_type_names(self) -> tuple[str, ...]:
        """Return the names of the cost types that constraints may test: all, where nothing is said (RFC 8189)."""
        return tuple(self.said.get("testable-cost-type-names", self.cost_type_names))

    @property
    def prop_types(self) -> tuple[str, ...]:
        """Return the properties of endpoints that it offers (11.4.1.4)."""
        return tuple(self.said.get("prop-types", ()))

    @property
    def mappings(self) -> Mapping[str, tuple[str, ...]]:
        """Return the properties that it offers of the entities of each domain (RFC 9240)."""
        return {domain: tuple(names) for domain, names in self.said.get("mappings", {}).items()}


@dataclass(frozen=True, slots=True)
class ResourceEntry:
    """One resource: where it is, what comes from there, what is to be sent, what it depends on."""

    resource_id: ResourceID
    uri: str
    media_type: str
    accepts: str = ""
    capabilities: Capabilities = Capabilities()
    uses: tuple[ResourceID, ...] = ()

    @property
    def method(self) -> str:
        """Return the HTTP method: POST if there are input parameters (9.2.2)."""
        return "POST" if self.accepts else "GET"

    @property
    def is_directory(self) -> bool:
        """Return whether more resources are found there (9.2.4)."""
        return self.media_type == media_types.DIRECTORY

    def document(self) -> dict[str, Any]:
        """Return it as JSON, without what is not said."""
        said: dict[str, Any] = {"uri": self.uri, "media-type": self.media_type}
        if self.accepts:
            said["accepts"] = self.accepts
        if self.capabilities.said:
            said["capabilities"] = dict(self.capabilities.said)
        if self.uses:
            said["uses"] = list(self.uses)
        return said
