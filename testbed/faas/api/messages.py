"""A request and an answer of HTTP as data, and JSON in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed import json_documents
from testbed.faas.errors import malformed


@dataclass(frozen=True)
class Request:
    """A request. `path`: still percent-encoded, without the query; `authorization`: that field, as it came."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = None
    body: bytes = b""
    transaction_id: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer, whose body is a JSON document (None: it has none)."""

    status: int
    document: Any = None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The document as octets."""
        return b"" if self.document is None else encoded(self.document)


def encoded(document: Any) -> bytes:
    """Return a document as octets; surrogates that stand alone stay escaped, as they came."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds; an empty body is an empty object. Raises ApiError 400."""
    if not body.strip():
        return {}
    try:
        document = json_documents.parse(body)
    except ValueError as error:
        raise malformed(f"the body is no JSON: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise malformed("the body must be a JSON object")
    return document
