"""Resources of an ALTO server as update streams see them: in the version that is known now, and what changed since.

Owns how a version follows another. Of cost maps only rows that are not shared are looked into, and a map is written
when a stream sends it whole; other resources are compared as documents.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.alto import json_octets, media_types
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import ResourceEntry
from testbed.alto.errors import AltoError
from testbed.alto.maps.cost_map import CostMap
from testbed.alto.service.asked import Asked, Content, NotKnownYet
from testbed.alto.service.exchange import Request
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import HANDLERS
from testbed.alto.updates.patches.cost_changes import CostChange, cost_patch
from testbed.alto.updates.patches.merge_patch import Json, NotExpressible, patch_between
from testbed.alto.version_tags import tag_of

_NOTHING = Content(b'{"meta":{}}')


@dataclass
class Known:
    """What a server knows; it is replaced as a whole."""

    knowledge: Knowledge
    default_network_map: str


class ServedResource:
    """A resource of a directory; `body`: the input of one that takes input."""

    def __init__(self, known: Known, directory: Directory, entry: ResourceEntry, body: bytes = b"") -> None:
        """Take a resource that can be answered now. Raises AltoError, NotKnownYet."""
        self._known, self._directory, self._entry = known, directory, entry
        self._request = Request(entry.method, entry.uri, {}, body)
        self._of = known.knowledge
        self._content: Content | None = None
        content = self._answer(self._of)
        self._content = _NOTHING if entry.accepts else content

    @property
    def media_type(self) -> str:
        """Return the media type of its body."""
        return self._entry.media_type

    @property
    def tag(self) -> str:
        """Return the tag of its present version."""
        content = self._present()
        return content.tag or tag_of(content.octets)

    def body(self) -> bytes:
        """Return the present version."""
        return self._present().octets

    def size_octets(self) -> int:
        """Return how long it is."""
        return len(self._present().octets)

    def patch(self, before: Knowledge) -> tuple[str, Json] | None:
        """Return the tag of the version before, and the patch that makes it the present one; None: nothing changed.

        The patch is None where there is none.
        """
        old, new = self._answer(before), self._present()
        if old.octets == new.octets:
            return None
        tag = old.tag or tag_of(old.octets)
        try:
            return tag, patch_between(json_octets.parse(old.octets), json_octets.parse(new.octets))
        except NotExpressible:
            return tag, None

    def _present(self) -> Content:
        if self._entry.accepts:
            return self._answer(self._known.knowledge)  # made again each time: anybody may ask for many of these
        if self._content is None or self._of is not self._known.knowledge:
            self._of = self._known.knowledge
            self._content = self._answer(self._of)
        return self._content

    def _answer(self, knowledge: Knowledge) -> Content:
        """Answer as to a request; what cannot be answered any more stays as it was, or says nothing."""
        asked = Asked(self._request, self._entry, self._directory, knowledge, self._known.default_network_map)
        try:
            return HANDLERS[self._entry.media_type, self._entry.accepts](asked)
        except (AltoError, NotKnownYet):
            if self._content is None:
                raise
            return self._content


class ServedCostMap(ServedResource):
    """A whole cost map, whose changes are found by its rows."""

    def __init__(self, known: Known, directory: Directory, entry: ResourceEntry) -> None:
        """Take a cost map that is known. Raises NotKnownYet."""
        super().__init__(known, directory, entry)
        self._cost_type = directory.cost_types[entry.capabilities.cost_type_names[0]]
        self._size_octets = len(self._present().octets)
        self._content = _NOTHING  # a map of a million costs is not kept here

    @property
    def tag(self) -> str:
        """Return the tag of its present version, which the map has without being written."""
        return self._map(self._known.knowledge).tag

    def body(self) -> bytes:
        """Return the present version."""
        octets = self._map(self._known.knowledge).octets
        self._size_octets = len(octets)
        return octets

    def size_octets(self) -> int:
        """Return how long it was when it was written last."""
        return self._size_octets

    def patch(self, before: Knowledge) -> tuple[str, Json] | None:
        """Return the tag of the version before, and the patch that makes it the present one; None: nothing changed."""
        old, new = self._map(before), self._map(self._known.knowledge)
        return None if old is new or old.tag == new.tag else (old.tag, cost_map_patch(old, new))

    def _map(self, knowledge: Knowledge) -> CostMap:
        return knowledge.cost_map(knowledge.network_maps[self._entry.uses[0]], self._cost_type)


def served(known: Known, directory: Directory, entry: ResourceEntry, body: bytes = b"") -> ServedResource:
    """Return a resource as streams see it. Raises AltoError, NotKnownYet."""
    if entry.media_type == media_types.COST_MAP and not entry.accepts:
        return ServedCostMap(known, directory, entry)
    return ServedResource(known, directory, entry, body)


def cost_map_patch(old: CostMap, new: CostMap) -> dict[str, Json]:
    """Return the patch between two versions of a cost map; rows that they share are not looked into."""
    changes = (CostChange(*pair, cost) for pair, cost in new.changes_since(old).items())
    meta = {} if old.dependent_vtags == new.dependent_vtags else {"dependent-vtags": new.meta["dependent-vtags"]}
    return cost_patch(changes, emptied=old.rows.keys() - new.rows.keys(), meta=meta)
