"""Update streams as a resource of an ALTO server: requests of HTTP in, answers out, and changes of what is known.

Owns HTTP's part and which resources streams have; `UpdateStreams` does the rest. A process asks it before `Service`,
sends a stream's octets as the body of its answer, and passes on what is known to both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from testbed.alto import json_octets, media_types
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.errors import AltoDataError, AltoError, ErrorCode
from testbed.alto.service.asked import NotKnownYet
from testbed.alto.service.exchange import Answer, Request, overloaded, plain, refusal
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.negotiation import quality
from testbed.alto.service.service import HANDLERS
from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.patches.merge_patch import Json
from testbed.alto.updates.refusals import StreamUnavailable
from testbed.alto.updates.resources import Offer, Published
from testbed.alto.updates.served_resources import Known, ServedResource, served
from testbed.alto.updates.service import Action, UpdateStreams

RETRY_AFTER_S = 10


@dataclass(frozen=True)
class Reply:
    """What a request comes to. `stream_id`: the body of the answer is that stream, which `streams.take` has."""

    answer: Answer
    stream_id: str | None = None
    actions: tuple[Action, ...] = ()


class ServedStreams:
    """Update streams of resources of a server's directories: those that the stream's entry uses."""

    def __init__(
        self,
        entry: ResourceEntry,
        directories: Mapping[str, Directory],
        knowledge: Knowledge,
        new_id: Callable[[], str],
        bounds: Bounds | None = None,
    ) -> None:
        """Take the entry of the stream; raises AltoDataError if it uses what the server does not have."""
        self._entry, self._path = entry, _path(entry.uri)
        self._known = Known(knowledge, next(iter(directories.values())).default_network_map or "")
        self._places = _places(entry, directories)
        self._present: dict[str, ServedResource] = {}  # without input, as streams have them
        offers = [
            Offer(name, place.uses, _is_incremental(entry, name), takes_input=bool(place.accepts))
            for name, (_, place) in self._places.items()
        ]
        self.streams = UpdateStreams(offers, self, new_id, lambda stream_id: f"{self._path}/{stream_id}", bounds)

    def resource(self, resource_id: str, input: dict[str, Json] | None) -> ServedResource:
        """Return a resource for a substream. Raises AltoError, StreamUnavailable."""
        directory, entry = self._places[resource_id]
        try:
            if entry.accepts:
                if input is None:
                    raise AltoError(ErrorCode.MISSING_FIELD)
                return served(self._known, directory, entry, json_octets.encode(input))
            if resource_id not in self._present:
                self._present[resource_id] = served(self._known, directory, entry)
            return self._present[resource_id]
        except NotKnownYet as error:
            raise StreamUnavailable(503, str(error)) from None

    def update(self, knowledge: Knowledge, now_s: float) -> list[Action]:
        """Have streams sent what changed with what is known now."""
        before, self._known.knowledge = self._known.knowledge, knowledge
        actions: list[Action] = []
        for resource_id, (_, entry) in self._places.items():
            if self.streams.has_substreams(resource_id):
                actions += self._changed(resource_id, entry, before, now_s)
        return actions

    def answer(self, request: Request, now_s: float) -> Reply | None:
        """Answer a request for a stream or to the control of one; None: it is for another resource."""
        path = _path(request.path)
        stream_id = path.removeprefix(f"{self._path}/")
        if path not in (self._path, f"{self._path}/{stream_id}"):
            return None
        refused = self._refused_by_http(request, is_control=path != self._path)
        if refused is not None:
            return Reply(refused)
        try:
            return self._opened(request, now_s) if path == self._path else self._controlled(stream_id, request, now_s)
        except AltoError as error:
            return Reply(refusal(error))
        except StreamUnavailable as error:
            is_overload = error.status == 503
            return Reply(overloaded(RETRY_AFTER_S) if is_overload else plain(error.status, str(error)))

    def _opened(self, request: Request, now_s: float) -> Reply:
        stream_id = self.streams.open(request.body, now_s)
        return Reply(Answer(200, {"Content-Type": media_types.UPDATE_STREAM, "Cache-Control": "no-store"}), stream_id)

    def _controlled(self, stream_id: str, request: Request, now_s: float) -> Reply:
        return Reply(Answer(204), actions=tuple(self.streams.control(stream_id, request.body, now_s)))

    def _refused_by_http(self, request: Request, is_control: bool) -> Answer | None:
        if request.method == "OPTIONS":
            return Answer(204, {"Allow": "POST, OPTIONS"})
        if request.method != "POST":
            return plain(405, "a stream is requested by POST", Allow="POST, OPTIONS")
        if media_types.essence(request.header("Content-Type") or "") != media_types.UPDATE_STREAM_PARAMS:
            sent = media_types.UPDATE_STREAM_PARAMS
            return plain(415, f"the parameters are sent as {sent}", Accept=sent)
        if not is_control and quality(request.header("Accept"), media_types.UPDATE_STREAM) == 0:
            return plain(406, f"this is {media_types.UPDATE_STREAM}", Vary="Accept")
        return None

    def _changed(self, resource_id: str, entry: ResourceEntry, before: Knowledge, now_s: float) -> list[Action]:
        if entry.accepts:
            return self.streams.publish(Published(resource_id, "", ""), now_s)
        resource = self._present[resource_id]
        found = resource.patch(before)
        if found is None:
            return []
        previous, patch = found
        return self.streams.publish(Published(resource_id, previous, resource.tag, patch), now_s)


def _places(entry: ResourceEntry, directories: Mapping[str, Directory]) -> dict[str, tuple[Directory, ResourceEntry]]:
    """Return the resources that a stream uses, each with the directory that it is in."""
    offered = {
        name: (directory, found) for directory in directories.values() for name, found in directory.by_id.items()
    }
    for name in entry.uses:
        if name not in offered or (offered[name][1].media_type, offered[name][1].accepts) not in HANDLERS:
            raise AltoDataError(f"{entry.resource_id} uses {name}, of which this server has no updates")
    return {name: offered[name] for name in entry.uses}


def _path(target: str) -> str:
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def _is_incremental(entry: ResourceEntry, resource_id: str) -> bool:
    return resource_id in entry.capabilities.said.get("incremental-change-media-types", {})
