"""A client of update streams: what to ask, and what comes of the octets that a stream brings (RFC 8895, 5 and 9.3).

`UpdateClient` keeps a copy of each resource by the name that its user has for it. It says what is wrong: a resource
that is lost until it is asked for again (`resync_request`), or a stream that is of no use any more (`broken`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from testbed.alto.media_types import UPDATE_STREAM_CONTROL
from testbed.alto.updates.events.control_updates import ControlUpdate
from testbed.alto.updates.events.event_kind import EventKind
from testbed.alto.updates.events.sse_decoder import MOST_OCTETS, SseDecoder
from testbed.alto.updates.events.sse_events import Event
from testbed.alto.updates.following.client_copy import Copy, Unfit
from testbed.alto.updates.stream_requests import AddSubstream, StreamRequest


@dataclass(frozen=True)
class Updated:
    """A copy has a new version."""

    name: str


@dataclass(frozen=True)
class Stopped:
    """There will be no more updates of these."""

    names: tuple[str, ...]
    description: str | None


@dataclass(frozen=True)
class Lost:
    """A copy is of no use until it is asked for again."""

    name: str
    reason: str


@dataclass(frozen=True)
class Broken:
    """The stream is of no use: close it, and ask again."""

    reason: str


ClientEvent = Updated | Stopped | Lost | Broken


class UpdateClient:
    """A client with one stream at a time. `wanted`: by names of its copies, which are its first substream-ids, too."""

    def __init__(
        self, wanted: Mapping[str, AddSubstream], stream_uri: str = "", most_octets: int = MOST_OCTETS
    ) -> None:
        self.copies = {name: Copy(add) for name, add in wanted.items()}
        self.control_uri: str | None = None
        self.broken: str | None = None
        self.unexpected = 0  # updates for what was not asked for, or has stopped
        self._stream_uri, self._most_octets = stream_uri, most_octets
        self._names: dict[str, str] = {}  # of substreams
        self._lost: dict[str, str] = {}  # substreams by name, until they are asked for again
        self._retired: set[str] = set()  # substreams that were removed, and may still have updates under way
        self._added = 0
        self._decoder = SseDecoder()
        self._is_first = True

    # -- requests

    def open_request(self) -> bytes:
        """Begin a stream, and return the body of the request for it: with the tags of what there is already."""
        self._decoder = SseDecoder(self._most_octets, self._most_octets)
        self._names = {name: name for name in self.copies}
        self._lost, self._retired = {}, set()
        self._is_first, self.broken, self.control_uri = True, None, None
        return StreamRequest({name: copy.begin() for name, copy in self.copies.items()}).encoded()

    def resync_request(self) -> bytes | None:
        """Return the body of a control request for what was lost, under new substream-ids; None: nothing was lost.

        Without a control URI, a new stream is the way.
        """
        if not self._lost:
            return None
        add = {}
        for name, old in self._lost.items():
            self._retired.add(old)
            del self._names[old]
            self._added += 1
            new = f"{name[:48]}:{self._added}"
            self._names[new] = name
            add[new] = self.copies[name].begin()
        request = StreamRequest(add, tuple(self._lost.values()))
        self._lost = {}
        return request.encoded()

    # -- the stream

    def receive(self, octets: bytes) -> list[ClientEvent]:
        """Take octets of the stream, and return what came of them; nothing more of one that is broken."""
        events: list[ClientEvent] = []
        for event in self._decoder.feed(octets):
            if self.broken is None:
                events += self._take(event)
        if self.broken is None and self._decoder.broken is not None:
            events.append(self._break(f"it has {self._decoder.broken}"))
        return events

    def is_current(self, name: str) -> bool:
        """Return whether a copy can be used: it is whole, and of the present versions of what it depends on."""
        copy = self.copies[name]
        if copy.document is None or copy.awaits_full:
            return False
        by_resource = self._by_resource()
        tags = copy.dependent_tags.items()
        return all(by_resource[resource].tag == tag for resource, tag in tags if resource in by_resource)

    def _take(self, event: Event) -> list[ClientEvent]:
        kind = EventKind.parse(event.kind)
        if kind.media_type == UPDATE_STREAM_CONTROL:
            return self._control(event.data)
        if self._is_first:
            return [self._break("it does not begin with its control URI")]
        if kind.data_id is None or kind.data_id not in self._names:
            self.unexpected += kind.data_id not in self._retired
            return []
        return [self._update(kind.data_id, kind.media_type, event.data)]

    def _update(self, substream_id: str, media_type: str, data: str) -> ClientEvent:
        name = self._names[substream_id]
        copy = self.copies[name]
        try:
            if copy.update(media_type, data):
                self._require_order(copy)
        except Unfit as unfit:
            copy.lose()
            self._lost[name] = substream_id
            return Lost(name, str(unfit))
        self._lost.pop(name, None)
        return Updated(name)

    def _require_order(self, copy: Copy) -> None:
        """A resource that depends on another comes after it: a version of the other that did not come is a gap."""
        by_resource = self._by_resource()
        for resource, tag in copy.dependent_tags.items():
            other = by_resource.get(resource)
            if other is not None and other.tag is not None and not other.had(tag):
                raise Unfit(f"it depends on version {tag:.80} of {resource}, which has not come")

    def _by_resource(self) -> dict[str, Copy]:
        return {copy.wanted.resource_id: copy for copy in self.copies.values() if copy.wanted.input is None}

    def _control(self, data: str) -> list[ClientEvent]:
        try:
            update = ControlUpdate.parse(data)
        except ValueError as error:
            return [self._break(f"a control update is wrong: {error}")]
        if self._is_first is not update.names_control:
            return [self._break("its control URI is named once, in the first event, and nowhere else")]
        if self._is_first:
            self._is_first = False
            self.control_uri = None if update.control_uri is None else urljoin(self._stream_uri, update.control_uri)
        names = []
        for substream_id in update.stopped:
            self._retired.discard(substream_id)
            name = self._names.pop(substream_id, None)
            if name is not None:
                names.append(name)
                self._lost.pop(name, None)
        return [Stopped(tuple(names), update.description)] if names else []

    def _break(self, reason: str) -> Broken:
        self.broken = reason
        return Broken(reason)
