"""A client's copy of one resource: replaced, patched, and held against the version tags that it carries.

Owns what is believed of an update. One that does not fit, such as a patch without the resource that it changes, is an
`Unfit`, and the copy is of no use until a full replacement comes (RFC 7285, 10.3 and 11.2.1.6; RFC 8895, 9.3).
"""

from __future__ import annotations

from collections.abc import Mapping

from testbed.alto import json_octets
from testbed.alto.media_types import MERGE_PATCH
from testbed.alto.names import is_tag
from testbed.alto.updates.patches.merge_patch import Json, merge, same
from testbed.alto.updates.stream_requests import AddSubstream
from testbed.errors import TestbedError

_TAGS_KEPT = 32


class Unfit(TestbedError, ValueError):
    """An update that cannot be of what the client has."""


class Copy:
    """What a client has of a resource. `document` None: nothing; `awaits_full`: no patch can be taken now."""

    def __init__(self, wanted: AddSubstream) -> None:
        self.wanted = wanted
        self.document: dict[str, Json] | None = None
        self.awaits_full = True
        self.patches = self.replacements = 0
        self._tags: dict[str, None] = {}  # those that it had, the newest last

    @property
    def tag(self) -> str | None:
        """Return the version tag that it carries (network maps do; cost maps have those of what they depend on)."""
        tag = _vtag(self.document).get("tag")
        return tag if isinstance(tag, str) and is_tag(tag) else None

    @property
    def dependent_tags(self) -> Mapping[str, str]:
        """Return the tags of the resources that it depends on."""
        return _dependent_tags(self.document)

    def had(self, tag: str) -> bool:
        """Return whether it carries a tag, or carried it not long ago."""
        return tag in self._tags

    def hold(self, document: dict[str, Json]) -> None:
        """Begin with a version that was fetched before."""
        self.document, self.awaits_full = document, False
        self._note_tag()

    def begin(self) -> AddSubstream:
        """Return what to ask of a new stream; without a tag to go on from, the copy is to be replaced."""
        self.awaits_full = self.tag is None or self.wanted.input is not None or self.awaits_full
        tag = None if self.awaits_full else self.tag
        return AddSubstream(self.wanted.resource_id, tag, self.wanted.incremental_changes, self.wanted.input)

    def lose(self) -> None:
        """Have no copy until a full replacement comes."""
        self.document, self.awaits_full = None, True

    def update(self, media_type: str, data: str) -> bool:
        """Take an update, and return whether it said what the resource depends on. Raises Unfit."""
        try:
            value = json_octets.parse(data.encode())
        except ValueError as error:
            raise Unfit(f"its data is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise Unfit("its data is no JSON object")
        if media_type == MERGE_PATCH:
            self._patch(value)
        elif media_type.endswith("-patch+json"):
            raise Unfit(f"changes as {media_type} cannot be read here")
        else:
            self._replace(value)
        self._note_tag()
        return "dependent-vtags" in _meta(value)

    def _patch(self, patch: dict[str, Json]) -> None:
        if not self.wanted.incremental_changes:
            raise Unfit("a patch, which was not asked for")
        if self.document is None or self.awaits_full:
            raise Unfit("a patch without the resource that it changes")
        tag = self.tag
        merge(self.document, patch)
        self.patches += 1
        self._require_resource()
        if tag is not None and patch and self.tag == tag:
            raise Unfit(f"a patch that leaves the tag {tag}")

    def _replace(self, document: dict[str, Json]) -> None:
        before, tag = self.document, self.tag
        self.document, self.awaits_full = document, False
        self.replacements += 1
        self._require_resource()
        if tag is not None and tag == self.tag and not same(before, document):
            raise Unfit(f"other content under the same tag {tag}")

    def _require_resource(self) -> None:
        vtag = _vtag(self.document)
        named = vtag.get("resource-id", self.wanted.resource_id)
        if vtag and self.wanted.input is None and named != self.wanted.resource_id:
            raise Unfit(f"it is of resource {named!r:.80}, and not of {self.wanted.resource_id}")

    def _note_tag(self) -> None:
        tag = self.tag
        if tag is not None:
            self._tags.pop(tag, None)
            self._tags[tag] = None
            if len(self._tags) > _TAGS_KEPT:
                del self._tags[next(iter(self._tags))]


def _meta(document: Json) -> dict[str, Json]:
    meta = document.get("meta") if isinstance(document, dict) else None
    return meta if isinstance(meta, dict) else {}


def _vtag(document: Json) -> dict[str, Json]:
    vtag = _meta(document).get("vtag")
    return vtag if isinstance(vtag, dict) else {}


def _dependent_tags(document: Json) -> dict[str, str]:
    vtags = _meta(document).get("dependent-vtags")
    found = {}
    for vtag in vtags if isinstance(vtags, list) else []:
        name, tag = (vtag.get("resource-id"), vtag.get("tag")) if isinstance(vtag, dict) else (None, None)
        if isinstance(name, str) and isinstance(tag, str):
            found[name] = tag
    return found
