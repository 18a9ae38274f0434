"""What a request asks of one resource, and what comes of it: the two values that each service works between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from testbed.alto import json_octets
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.names import ResourceID
from testbed.alto.service.exchange import Request
from testbed.alto.service.knowledge import Knowledge
from testbed.errors import TestbedError


class NotKnownYet(TestbedError):
    """A resource that the directory has and the server does not: it answers 503."""


class TooMuchAsked(TestbedError):
    """A request that would take more work than a server does for one: it answers 413."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a resource, with the directory that it is in and what is known."""

    request: Request
    entry: ResourceEntry
    directory: Directory
    knowledge: Knowledge
    default_network_map: ResourceID

    def network_map(self, resource_id: ResourceID) -> NetworkMap:
        """Return a network map that the resource depends on."""
        known = self.knowledge.network_maps.get(resource_id)
        if known is None:
            raise NotKnownYet(f"the network map {resource_id} is not known yet")
        return known


@dataclass(frozen=True, slots=True)
class Content:
    """The octets of a response, and the tag of what they say where clients may keep them."""

    octets: bytes
    tag: str | None = None


Handler: TypeAlias = Callable[[Asked], Content]


def response(meta: Mapping[str, Any], name: str, data: object) -> Content:
    """Return a response made for one request (8.4)."""
    return Content(json_octets.encode({"meta": meta, name: data}))
