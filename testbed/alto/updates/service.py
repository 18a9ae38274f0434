"""The update stream service and its stream control service, for all clients of a server (RFC 8895, sections 6 and 7).

`UpdateStreams` takes request bodies, versions of resources and the time; actions and octets come out. The adapter has
the transport: it calls `take` when it can write, `closed` when a client has gone, `on_timer` when `next_timer_s` says.
Written from knowledge of the RFC, its examples and a schema of its messages; docs/alto/updates.md says what of its text
could not be looked up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from testbed.alto import errors, json_octets
from testbed.alto.errors import AltoError
from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.events.control_updates import ControlUpdate
from testbed.alto.updates.events.sse_events import data_of_json
from testbed.alto.updates.refusals import StreamUnavailable, below
from testbed.alto.updates.resources import Catalogue, Offer, Published, ranks
from testbed.alto.updates.stream import Phase, Stream, Taken
from testbed.alto.updates.stream_requests import (
    AddSubstream,
    StreamRequest,
    parse_control_request,
    parse_update_request,
)
from testbed.alto.updates.substream import AnswerSubstream, EncodedPatch, FullReplacements, Substream


@dataclass(frozen=True)
class Send:
    """There is something to take for a stream that had nothing."""

    stream_id: str


@dataclass(frozen=True)
class Cut:
    """Close the connection of a stream, whatever of it has not been sent."""

    stream_id: str
    reason: str


Action = Send | Cut


class UpdateStreams:
    """All update streams of a server.

    `control_uri`: the URI of the control of a stream by its id; None: streams cannot be controlled. `new_id`: an id
    that nobody can guess and that no stream had before, for who knows it controls the stream.
    """

    def __init__(
        self,
        offers: Sequence[Offer],
        catalogue: Catalogue,
        new_id: Callable[[], str],
        control_uri: Callable[[str], str] | None,
        bounds: Bounds | None = None,
    ) -> None:
        self._offers = {offer.resource_id: offer for offer in offers}
        self._ranks = ranks(offers)
        self._catalogue, self._new_id, self._control_uri = catalogue, new_id, control_uri
        self._bounds = bounds or Bounds()
        self._streams: dict[str, Stream] = {}
        self._of_resource: defaultdict[str, dict[tuple[str, str], Substream]] = defaultdict(dict)
        self._replacements = FullReplacements()
        self.counts: Counter[str] = Counter()

    # -- requests

    def open(self, body: bytes, now_s: float) -> str:
        """Begin the stream that a request asks for, and return its id. Raises AltoError, StreamUnavailable."""
        request = parse_update_request(body)
        if len(self._streams) >= self._bounds.streams:
            raise StreamUnavailable(503, f"there are {self._bounds.streams} streams, and may be no more")
        added = self._substreams(request)
        stream_id = self._new_id()
        stream = self._streams[stream_id] = Stream(self._bounds, self._replacements, now_s)
        uri = self._control_uri(stream_id) if self._control_uri else None
        stream.control(ControlUpdate(names_control=True, control_uri=uri), now_s)
        self._add(stream_id, added, now_s)
        self.counts["streams opened"] += 1
        return stream_id

    def control(self, stream_id: str, body: bytes, now_s: float) -> list[Action]:
        """Do what a request to a stream's control URI says, or raise AltoError or StreamUnavailable and do nothing."""
        stream = self._streams.get(stream_id)
        if self._control_uri is None or stream is None or stream.phase is not Phase.OPEN:
            self.counts["controls of no stream"] += 1
            raise StreamUnavailable(404, "there is no such stream")
        request = parse_control_request(body)
        removed = _removed(request, stream)
        added = self._substreams(request, stream)
        idle = self._idle((stream_id,))
        if added:
            stream.control(ControlUpdate(started=tuple(item.substream_id for item in added)), now_s)
            self._add(stream_id, added, now_s)
        if removed:
            self._stop(stream_id, removed, "its client removed it", now_s)
        return self._sends(idle)

    # -- what happens to resources

    def publish(self, version: Published, now_s: float) -> list[Action]:
        """Have a new version of a resource sent to all that want it, those of what it uses before it."""
        of = list(self._of_resource.get(version.resource_id, {}).items())
        if not of:
            return []
        patch = None
        if version.patch is not None:
            data = data_of_json(json_octets.encode(version.patch))
            patch = EncodedPatch(version.previous_tag, version.tag, data)
        idle = self._idle(stream_id for (stream_id, _), _ in of)
        for (stream_id, _), substream in of:
            self._streams[stream_id].publish(substream, patch, now_s)
        return self._sends(idle)

    def has_substreams(self, resource_id: str) -> bool:
        """Return whether anybody wants to know when a resource changes."""
        return resource_id in self._of_resource

    def withdraw(self, resource_id: str, reason: str, now_s: float) -> list[Action]:
        """Have no more updates sent of a resource, and say why; a stream that has no other ends."""
        of = list(self._of_resource.get(resource_id, {}))
        idle = self._idle(stream_id for stream_id, _ in of)
        for stream_id, substream_id in of:
            self._stop(stream_id, (substream_id,), reason, now_s)
        return self._sends(idle)

    def end_all(self, reason: str, now_s: float) -> list[Action]:
        """End all streams, and say why."""
        idle = self._idle(self._streams)
        for stream in self._streams.values():
            stream.end(reason, now_s)
        return self._sends(idle)

    # -- the transport

    def take(self, stream_id: str, most_octets: int, now_s: float) -> Taken:
        """Take what a stream is to send next, at most so many octets; nothing of one that is no more."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return Taken(b"", True)
        taken = stream.take(most_octets, now_s)
        if taken.is_last:
            self.closed(stream_id)
        return taken

    def closed(self, stream_id: str) -> None:
        """Forget a stream, whose connection is closed."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            for substream in stream.substreams.values():
                self._forget(stream_id, substream)
            self.counts[f"streams ended: {stream.reason or 'closed by the client'}"] += 1

    # -- time

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` is due; None: never."""
        due = (stream.next_timer_s() for stream in self._streams.values())
        return min((due_s for due_s in due if due_s is not None), default=None)

    def on_timer(self, now_s: float) -> list[Action]:
        """Do what is due on all streams."""
        idle = self._idle(self._streams)
        for stream in self._streams.values():
            stream.on_timer(now_s)
        cut = {stream_id: stream for stream_id, stream in self._streams.items() if stream.phase is Phase.CUT}
        for stream_id in cut:
            self.closed(stream_id)
        return [*self._sends(idle), *(Cut(stream_id, stream.reason or "") for stream_id, stream in cut.items())]

    # -- inside

    def _substreams(self, request: StreamRequest, stream: Stream | None = None) -> list[Substream]:
        """Return the substreams that a request adds. Raises AltoError, StreamUnavailable."""
        there = stream.substreams if stream else {}
        if len(there) + len(request.add) > self._bounds.substreams:
            raise StreamUnavailable(503, f"a stream has at most {self._bounds.substreams} substreams")
        for substream_id in request.add.keys() & there.keys():
            raise errors.invalid_value(f"add/{substream_id}", substream_id)
        return [self._substream(substream_id, add) for substream_id, add in request.add.items()]

    def _substream(self, substream_id: str, add: AddSubstream) -> Substream:
        path = f"add/{substream_id}"
        offer = self._offers.get(add.resource_id)
        if offer is None:
            raise errors.invalid_value(f"{path}/resource-id", add.resource_id)
        try:
            resource = self._catalogue.resource(add.resource_id, add.input if offer.takes_input else None)
        except AltoError as error:
            raise below(f"{path}/input", error) from None
        kind = AnswerSubstream if offer.takes_input else Substream
        rank, takes_patches = self._ranks[add.resource_id], offer.is_incremental and add.incremental_changes
        substream = kind(substream_id, add.resource_id, rank, resource, takes_patches)
        if not offer.takes_input and add.tag == resource.tag:
            substream.skip_full()
        return substream

    def _add(self, stream_id: str, substreams: Iterable[Substream], now_s: float) -> None:
        for substream in substreams:
            self._streams[stream_id].add(substream, now_s)
            self._of_resource[substream.resource_id][stream_id, substream.substream_id] = substream

    def _stop(self, stream_id: str, substream_ids: Collection[str], reason: str, now_s: float) -> None:
        """Stop substreams of a stream; without any left it ends."""
        stream = self._streams[stream_id]
        if stream.phase is not Phase.OPEN:
            return
        if stream.substreams.keys() <= set(substream_ids):
            stream.end(reason, now_s)
            return
        stream.control(ControlUpdate(stopped=tuple(substream_ids), description=reason), now_s)
        for substream_id in substream_ids:
            self._forget(stream_id, stream.substreams.pop(substream_id))

    def _forget(self, stream_id: str, substream: Substream) -> None:
        of = self._of_resource[substream.resource_id]
        of.pop((stream_id, substream.substream_id), None)
        if not of:
            del self._of_resource[substream.resource_id]

    def _idle(self, stream_ids: Iterable[str]) -> list[str]:
        return [stream_id for stream_id in dict.fromkeys(stream_ids) if not self._streams[stream_id].has_output]

    def _sends(self, idle: Iterable[str]) -> list[Action]:
        """Return which of those that had nothing to send have something now."""
        return [Send(stream_id) for stream_id in idle if self._streams[stream_id].has_output]


def _removed(request: StreamRequest, stream: Stream) -> tuple[str, ...]:
    """Return which substreams a request removes; an empty list is of all that there are. Raises AltoError."""
    if request.remove is None:
        return ()
    for substream_id in request.remove:
        if substream_id not in stream.substreams:
            raise errors.invalid_value("remove", substream_id)
    return tuple(dict.fromkeys(request.remove or stream.substreams))
