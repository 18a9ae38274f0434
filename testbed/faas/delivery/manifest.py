"""The manifest of a function: its name, its runtime, its limits, and the blobs that it consists of, by digest and size.

Owns its document (JSON) and what may stand in one: it comes from a repository that anybody may have written. A function
is known by the digest of its manifest, so two that differ in anything are two functions.

    {"name": "detect", "kind": "python:3", "main": "main", "limits": {"memory": 256, "timeout": 10000},
     "code": {"digest": "sha256:…", "size": 1200, "binary": false},
     "layers": [{"name": "opencv", "digest": "sha256:…", "size": 52428800}]}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed import json_documents
from testbed.errors import InputError
from testbed.faas.actions.action import BLACKBOX, LAYERS, resolved
from testbed.faas.actions.documents import check_name
from testbed.faas.api.messages import encoded
from testbed.faas.delivery.blobs import Blob, Role, digest_of, is_digest
from testbed.faas.errors import ApiError
from testbed.faas.limits import MIB

MOST_OCTETS = 64 << 10
MANIFEST = "manifest"  # the annotation of an action that was delivered
_DEEPEST = 4
_LAYER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}", re.ASCII)
_KEYS = {"name", "kind", "main", "limits", "code", "layers"}
_LIMITS = {"timeout", "memory", "logs", "concurrency"}
_AT = "@"


class FunctionError(InputError):
    """A document that is no manifest of a function, by the key that is wrong."""


@dataclass(frozen=True)
class Bounds:
    """How large a function may be."""

    code_octets: int = 48 * MIB
    layer_octets: int = 2048 * MIB
    layers: int = 32


@dataclass(frozen=True)
class Layer:
    """A layer of a function; `name` is what its containers see it as."""

    name: str
    blob: Blob

    @property
    def full_name(self) -> str:
        """Return what distinguishes it from a layer of this name in another function."""
        return f"{self.name}{_AT}{self.blob.file_name}"


@dataclass(frozen=True)
class Manifest:
    """A function. `limits`: under the names and units of the API; what is left out, the cluster chooses."""

    name: str
    kind: str
    code: Blob
    is_binary: bool = False
    main: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Return all blobs that it needs, each once."""
        return tuple(dict.fromkeys([self.code, *(layer.blob for layer in self.layers)]))

    @property
    def octets(self) -> bytes:
        """Return the document as octets, the same for the same function."""
        document: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.main:
            document["main"] = self.main
        if self.limits:
            document["limits"] = dict(sorted(self.limits.items()))
        document["code"] = {"digest": self.code.digest, "size": self.code.octets, "binary": self.is_binary}
        if self.layers:
            document["layers"] = [
                {"name": layer.name, "digest": layer.blob.digest, "size": layer.blob.octets} for layer in self.layers
            ]
        return encoded(document)

    @property
    def digest(self) -> str:
        """Return the digest of that document. A repository may write it otherwise; then its digest is another."""
        return digest_of(self.octets)

    def action_document(self, code: str, digest: str) -> dict[str, Any]:
        """Return the action that it stands for, as a request to the API.

        `code`: source, or base64 of an archive; `digest`: that of the manifest as it came.
        """
        executed: dict[str, Any] = {"kind": self.kind, "code": code, "binary": self.is_binary}
        if self.main:
            executed["main"] = self.main
        layers = [layer.full_name for layer in self.layers]
        annotations = [{"key": LAYERS, "value": layers}, {"key": MANIFEST, "value": digest}]
        return {"exec": executed, "limits": dict(self.limits), "annotations": annotations}


def seen_name(layer: str) -> str:
    """Return what containers see a layer as, by its full name; a layer that was not delivered has no other name."""
    return layer.partition(_AT)[0]


def blob_of(layer: str) -> Blob | None:
    """Return the blob of a layer by its full name; None for one that was not delivered."""
    return Blob.of_file_name(layer.partition(_AT)[2])


def read(octets: bytes, bounds: Bounds = Bounds()) -> Manifest:
    """Return the manifest that a document says. Raises FunctionError."""
    if len(octets) > MOST_OCTETS:
        raise FunctionError(f"a manifest may have {MOST_OCTETS} octets, not {len(octets)}")
    try:
        document = json_documents.parse(octets, deepest=_DEEPEST)
    except ValueError as error:
        raise FunctionError(f"the manifest is no JSON: {str(error)[:200]}") from error
    return _manifest(_object("the manifest", document, _KEYS), bounds)


def _manifest(document: Mapping[str, Any], bounds: Bounds) -> Manifest:
    try:
        name = check_name(_text(document, "name"))
    except ApiError as error:
        raise FunctionError(f"name: {error}") from error
    code = _object("code", document.get("code"), {"digest", "size", "binary"})
    layers = tuple(_layers(document.get("layers", []), bounds))
    if len({layer.name for layer in layers}) < len(layers):
        raise FunctionError("layers: two have the same name")
    kind, is_binary = resolved(_text(document, "kind")), code.get("binary")
    if not isinstance(is_binary, bool):
        raise FunctionError("code.binary must be true or false")
    if kind == BLACKBOX and not is_binary:
        raise FunctionError("code.binary must be true: a black box is an archive with a program exec")
    blob = _blob("code", code, Role.CODE, bounds.code_octets)
    main = _text(document, "main") if "main" in document else ""
    return Manifest(name, kind, blob, is_binary, main, _limits(document.get("limits", {})), layers)


def _layers(document: Any, bounds: Bounds) -> Iterator[Layer]:
    if not isinstance(document, list) or len(document) > bounds.layers:
        raise FunctionError(f"layers must be a list of at most {bounds.layers}")
    for number, item in enumerate(document):
        key = f"layers[{number}]"
        entry = _object(key, item, {"name", "digest", "size"})
        name = entry.get("name")
        if not isinstance(name, str) or not is_layer_name(name):
            raise FunctionError(
                f"{key}.name must be 1 to 64 letters, digits, or any of _ . + -, and begin with no sign"
            )
        yield Layer(name, _blob(key, entry, Role.LAYER, bounds.layer_octets))


def is_layer_name(name: str) -> bool:
    """Return whether a layer may be called so."""
    return _LAYER_NAME.fullmatch(name) is not None


def _blob(key: str, document: Mapping[str, Any], role: Role, most_octets: int) -> Blob:
    digest, octets = document.get("digest"), document.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        raise FunctionError(f"{key}.digest must be sha256: and 64 hexadecimal digits in lower case")
    if isinstance(octets, bool) or not isinstance(octets, int) or not 1 <= octets <= most_octets:
        raise FunctionError(f"{key}.size must be an integer in 1..{most_octets}")
    return Blob(digest, octets, role)


def _limits(document: Any) -> dict[str, int]:
    limits = _object("limits", document, _LIMITS)
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise FunctionError(f"limits.{name} must be an integer")
    return dict(limits)


def _object(key: str, document: Any, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise FunctionError(f"{key} must be a JSON object")
    for name in document:
        if name not in known:
            raise FunctionError(f"{key} has no key {name[:100]!r}; there are: {', '.join(sorted(known))}")
    return document


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value or len(value) > 256:
        raise FunctionError(f"{key} must be a string of 1 to 256 characters")
    return value
