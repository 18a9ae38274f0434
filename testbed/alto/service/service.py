"""The server of ALTO: from a request of HTTP to its answer, by what its directories say is where (RFC 7285, 8.3).

It does HTTP's part (methods, content negotiation, conditional requests, sizes) and leaves each resource to its
service. Compression, TLS, authentication and time are of whoever carries the octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit

from testbed.alto import media_types
from testbed.alto.directory import rules
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.errors import AltoError
from testbed.alto.service import endpoint_services, map_services, property_services
from testbed.alto.service.asked import Asked, Content, Handler, NotKnownYet, TooMuchAsked
from testbed.alto.service.exchange import Answer, Request, plain, refusal
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.negotiation import is_current, quality

HANDLERS: Mapping[tuple[str, str], Handler] = MappingProxyType(
    {
        (media_types.NETWORK_MAP, ""): map_services.network_map,
        (media_types.NETWORK_MAP, media_types.NETWORK_MAP_FILTER): map_services.filtered_network_map,
        (media_types.COST_MAP, ""): map_services.cost_map,
        (media_types.COST_MAP, media_types.COST_MAP_FILTER): map_services.filtered_cost_map,
        (media_types.ENDPOINT_PROPERTIES, media_types.ENDPOINT_PROPERTY_PARAMS): endpoint_services.endpoint_properties,
        (media_types.ENDPOINT_COSTS, media_types.ENDPOINT_COST_PARAMS): endpoint_services.endpoint_costs,
        (media_types.PROPERTY_MAP, ""): property_services.property_map,
        (media_types.PROPERTY_MAP, media_types.PROPERTY_MAP_PARAMS): property_services.filtered_property_map,
    }
)
LARGEST_BODY = 1 << 20
_METHODS = {"GET": ("GET", "HEAD"), "POST": ("POST",)}


@dataclass(frozen=True, slots=True)
class _Place:
    """A resource at a path, with its directory."""

    entry: ResourceEntry
    directory: Directory
    handler: Handler


class Service:
    """A server; `directories` are by path, the root one first."""

    def __init__(
        self,
        knowledge: Knowledge,
        directories: Mapping[str, Directory],
        largest_body: int = LARGEST_BODY,
        handlers: Mapping[tuple[str, str], Handler] = HANDLERS,
    ) -> None:
        """Take what is known and where it is found; raises AltoDataError if that is no server of ALTO."""
        rules.check_closure(list(directories.values()))
        self.knowledge = knowledge
        self._largest_body = largest_body
        self._default_network_map = next(iter(directories.values())).default_network_map or ""
        self._places: dict[str, list[_Place]] = {}
        for path, directory in directories.items():
            self._add(path, _Place(_entry_of(path), directory, _directory))
            for entry in directory.entries:
                handler = handlers.get((entry.media_type, entry.accepts))
                if handler is not None:
                    self._add(_path(urljoin(path, entry.uri)), _Place(entry, directory, handler))

    def _add(self, path: str, place: _Place) -> None:
        self._places.setdefault(path, []).append(place)

    def update(self, knowledge: Knowledge) -> None:
        """Serve from now on what is known now."""
        self.knowledge = knowledge

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request, whatever it is."""
        answer = self._answer(request)
        return Answer(answer.status, answer.headers) if request.method == "HEAD" else answer

    def _answer(self, request: Request) -> Answer:
        places = self._places.get(_path(request.path))
        if places is None:
            return plain(404, "there is nothing here; the directory says where there is something")
        method = "GET" if request.method == "HEAD" else request.method
        allowed = ", ".join(
            [*dict.fromkeys(name for place in places for name in _METHODS[place.entry.method]), "OPTIONS"]
        )
        if method == "OPTIONS":
            return Answer(204, {"Allow": allowed})
        places = [place for place in places if place.entry.method == method]
        if not places:
            return plain(405, f"a resource here is requested by {allowed}", Allow=allowed)
        return self._negotiated(request, places)

    def _negotiated(self, request: Request, places: list[_Place]) -> Answer:
        """Answer with that of the resources at a path which the client can send to and read."""
        if places[0].entry.accepts:
            if len(request.body) > self._largest_body:
                return plain(413, f"a request has {self._largest_body} octets at most")
            sent = media_types.essence(request.header("Content-Type") or "")
            accepted = ", ".join(dict.fromkeys(place.entry.accepts for place in places))
            places = [place for place in places if place.entry.accepts == sent]
            if not places:
                return plain(415, f"the parameters are sent as {accepted}", Accept=accepted)
        accept = request.header("Accept")
        place = max(places, key=lambda place: quality(accept, place.entry.media_type))
        if quality(accept, place.entry.media_type) == 0:
            return plain(406, f"this is {_listed(place.entry.media_type for place in places)}", Vary="Accept")
        return self._served(request, place)

    def _served(self, request: Request, place: _Place) -> Answer:
        asked = Asked(request, place.entry, place.directory, self.knowledge, self._default_network_map)
        try:
            content = place.handler(asked)
        except AltoError as error:
            return refusal(error)
        except NotKnownYet as error:
            return plain(503, str(error))
        except TooMuchAsked as error:
            return plain(413, str(error))
        headers = {"Content-Type": place.entry.media_type}
        if content.tag is not None:
            headers |= {"ETag": f'"{content.tag}"', "Vary": "Accept"}
            if is_current(request.header("If-None-Match"), content.tag):
                return Answer(304, headers)
        return Answer(200, headers, content.octets)


def _directory(asked: Asked) -> Content:
    return Content(asked.directory.octets, asked.directory.tag)


def _entry_of(path: str) -> ResourceEntry:
    return ResourceEntry("", path, media_types.DIRECTORY)


def _path(target: str) -> str:
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
