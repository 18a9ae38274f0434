"""One resource on one stream: what its client has, and what is still to be sent of it.

Owns the choice between patches and a full replacement. A full replacement is made of the resource's present version
when its turn comes, so however slowly a client reads, there is one at most.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from weakref import WeakValueDictionary

from testbed.alto import json_octets
from testbed.alto.media_types import MERGE_PATCH
from testbed.alto.updates.bounds import Bounds
from testbed.alto.updates.events.event_kind import EventKind
from testbed.alto.updates.events.sse_events import data_of_json, head
from testbed.alto.updates.patches.merge_patch import NotExpressible, patch_between
from testbed.alto.updates.resources import Resource
from testbed.alto.version_tags import tag_of

LONGEST_ANSWER_KEPT = 256 << 10  # octets; of a longer one no patch is made


@dataclass(frozen=True)
class EncodedPatch:
    """A patch from one version to the next as data lines, which all streams share."""

    previous_tag: str
    tag: str
    data: bytes


@dataclass(frozen=True)
class EncodedEvent:
    """An event in two parts: its own first line, and data that others may have, too."""

    head: bytes
    data: bytes


@dataclass(eq=False)
class FullData:
    """A version as data lines, which all streams share that begin to send it while another one does."""

    tag: str
    data: bytes
    __slots__ = ("__weakref__", "data", "tag")


class FullReplacements:
    """Full replacements that are being sent, by resource."""

    def __init__(self) -> None:
        self._sent: WeakValueDictionary[str, FullData] = WeakValueDictionary()

    def of(self, resource_id: str, resource: Resource) -> FullData:
        """Return the present version of a resource."""
        tag = resource.tag
        full = self._sent.get(resource_id)
        if full is None or full.tag != tag:
            full = self._sent[resource_id] = FullData(tag, data_of_json(resource.body()))
        return full


class Substream:
    """A resource without input. `tag`: the version that its client will have; a lower `rank` is sent first."""

    def __init__(self, substream_id: str, resource_id: str, rank: int, resource: Resource, takes_patches: bool) -> None:
        self.substream_id, self.resource_id, self.rank, self.resource = substream_id, resource_id, rank, resource
        self.takes_patches = takes_patches
        self.tag: str | None = None
        self.rounds_behind = 0
        self._needs_full = True
        self._patches: deque[EncodedPatch] = deque()
        self._patch_octets = 0
        self._full: FullData | None = None  # as long as it is being sent

    @property
    def has_pending(self) -> bool:
        """Return whether the client lacks anything."""
        return self._needs_full or bool(self._patches)

    def skip_full(self) -> None:
        """Have the client go on from the present version, which it has."""
        self.tag = self.resource.tag
        self._needs_full = False

    def publish(self, patch: EncodedPatch | None, bounds: Bounds) -> None:
        """Take a new version of the resource; `patch` makes it of the one before, if anything does."""
        newest = self._patches[-1].tag if self._patches else self.tag
        if self._needs_full or (patch is not None and patch.tag == newest):
            return  # the full replacement has it, or had it
        if patch is None or not self.takes_patches or patch.previous_tag != newest:
            self._require_full()
            return
        self._patches.append(patch)
        self._patch_octets += len(patch.data)
        if self._patch_octets > bounds.patch_share * self.resource.size_octets():
            self.rounds_behind += len(self._patches) > 1
            self._require_full()

    def next_event(self, replacements: FullReplacements) -> EncodedEvent | None:
        """Take what is to be sent next; None: nothing after all."""
        if self._needs_full:
            self._needs_full = False
            return self._replacement(replacements)
        patch = self._patches.popleft()
        self._patch_octets -= len(patch.data)
        self.tag = patch.tag
        return self._event(MERGE_PATCH, patch.data)

    def drained(self) -> None:
        """The client has read all that there was, on the whole stream."""
        self.rounds_behind, self._full = 0, None

    def _replacement(self, replacements: FullReplacements) -> EncodedEvent | None:
        self._full = replacements.of(self.resource_id, self.resource)
        self.tag = self._full.tag
        return self._event(self.resource.media_type, self._full.data)

    def _event(self, media_type: str, data: bytes) -> EncodedEvent:
        return EncodedEvent(head(str(EventKind(media_type, self.substream_id))), data)

    def _require_full(self) -> None:
        self._needs_full = True
        self._patches.clear()
        self._patch_octets = 0


class AnswerSubstream(Substream):
    """A resource with input, such as a filtered map: what changed is found by comparing its answers."""

    def __init__(self, substream_id: str, resource_id: str, rank: int, resource: Resource, takes_patches: bool) -> None:
        super().__init__(substream_id, resource_id, rank, resource, takes_patches)
        self._sent: bytes | None = None  # what was sent last; of a long answer, its digest alone
        self._is_whole = False

    def publish(self, patch: EncodedPatch | None, bounds: Bounds) -> None:  # noqa: ARG002
        """Have the answer looked at again when its turn comes; a patch is of the resource, not of the answer."""
        self._require_full()

    def _replacement(self, replacements: FullReplacements) -> EncodedEvent | None:  # noqa: ARG002
        body = self.resource.body()
        was_whole, self._is_whole = self._is_whole, len(body) <= LONGEST_ANSWER_KEPT
        sent, self._sent = self._sent, body if self._is_whole else tag_of(body).encode()
        if sent == self._sent:
            return None
        patch = None if sent is None or not was_whole or not self.takes_patches else _patch(sent, body)
        if patch is not None:
            return self._event(MERGE_PATCH, data_of_json(patch))
        return self._event(self.resource.media_type, data_of_json(body))


def _patch(sent: bytes, body: bytes) -> bytes | None:
    """Return the patch between two answers; None: the answer itself is no longer, or there is no patch."""
    try:
        patch = json_octets.encode(patch_between(json_octets.parse(sent), json_octets.parse(body)))
    except NotExpressible:
        return None
    return patch if len(patch) < len(body) else None
