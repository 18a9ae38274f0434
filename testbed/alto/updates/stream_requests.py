"""Bodies of requests: which substreams to add and to remove (RFC 8895, sections 6.5 and 7.5).

Owns their form and bounds. Does not know which resources there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.alto import errors, json_octets
from testbed.alto.names import is_resource_id, is_tag
from testbed.alto.updates.patches.merge_patch import Json
from testbed.alto.updates.refusals import StreamUnavailable

MOST_OCTETS = 1 << 20


@dataclass(frozen=True)
class AddSubstream:
    """Updates that a client asks for. `tag`: of the version that it has; `input`: for a resource that needs one."""

    resource_id: str
    tag: str | None = None
    incremental_changes: bool = True
    input: dict[str, Json] | None = field(default=None, hash=False)

    def document(self) -> dict[str, Json]:
        """Return it as JSON has it; what is left out has its default."""
        wanted = {"resource-id": self.resource_id, "tag": self.tag, "input": self.input}
        document = {name: value for name, value in wanted.items() if value is not None}
        return document if self.incremental_changes else {**document, "incremental-changes": False}


@dataclass(frozen=True)
class StreamRequest:
    """A request to a stream: substreams by their id to add, and ids to remove; () removes all, None nothing."""

    add: Mapping[str, AddSubstream] = field(default_factory=dict)
    remove: tuple[str, ...] | None = None

    def encoded(self) -> bytes:
        """Return the body of the request."""
        document: dict[str, Json] = (
            {"add": {name: add.document() for name, add in self.add.items()}} if self.add else {}
        )
        return json_octets.encode(document if self.remove is None else {**document, "remove": list(self.remove)})


def parse_update_request(body: bytes) -> StreamRequest:
    """Return what a body asks of a new stream; `remove` has no place there and is ignored.

    Raises AltoError, StreamUnavailable.
    """
    document = _document(body)
    if "add" not in document:
        raise errors.missing_field("add")
    add = _added(document["add"])
    if not add:  # a stream cannot be without substreams
        raise errors.invalid_value("add", {})
    return StreamRequest(add)


def parse_control_request(body: bytes) -> StreamRequest:
    """Return what a body asks of a stream that there is. Raises AltoError, StreamUnavailable."""
    document = _document(body)
    if "add" not in document and "remove" not in document:
        raise errors.missing_field("add")
    remove = _removed(document["remove"]) if "remove" in document else None
    return StreamRequest(_added(document.get("add", {})), remove)


def _document(body: bytes) -> dict[str, Json]:
    if len(body) > MOST_OCTETS:
        raise StreamUnavailable(413, f"a request has at most {MOST_OCTETS} octets")
    try:
        document = json_octets.parse(body)
    except ValueError as error:
        raise errors.syntax_error(str(error)) from None
    if not isinstance(document, dict):
        raise errors.syntax_error("a request is a JSON object")
    return document


def _added(value: Json) -> dict[str, AddSubstream]:
    added = {}
    for substream_id, request in _typed(value, dict, "add").items():
        if not is_resource_id(substream_id):
            raise errors.invalid_value("add", substream_id)
        path = f"add/{substream_id}"
        added[substream_id] = _add(_typed(request, dict, path), path)
    return added


def _add(request: dict[str, Json], path: str) -> AddSubstream:
    if "resource-id" not in request:
        raise errors.missing_field(f"{path}/resource-id")
    tag = _optional(request, "tag", str, path)
    if tag is not None and not is_tag(tag):
        raise errors.invalid_value(f"{path}/tag", tag)
    incremental = _optional(request, "incremental-changes", bool, path)
    return AddSubstream(
        _typed(request["resource-id"], str, f"{path}/resource-id"),
        tag,
        incremental is not False,
        _optional(request, "input", dict, path),
    )


def _removed(value: Json) -> tuple[str, ...]:
    removed: list[Json] = _typed(value, list, "remove")
    for item in removed:
        if not isinstance(item, str):  # an element of the wrong type is a wrong value (RFC 7285, 8.5.2)
            raise errors.invalid_value("remove", item)
    return tuple(removed)


def _optional(request: dict[str, Json], name: str, kind: type, path: str) -> Any:
    return _typed(request[name], kind, f"{path}/{name}") if name in request else None


def _typed(value: Json, kind: type, path: str) -> Any:
    if not isinstance(value, kind):
        raise errors.invalid_type(path)
    return value
