"""JSON as octets: read within bounds, and written in one way only, so that equal content is equal octets.

A name that an object has twice, `NaN`, numbers of too many digits, an encoding that is not UTF-8 and nesting without
end are all malformed (RFC 8259).
"""

from __future__ import annotations

import json
from typing import Any

from testbed import json_documents

_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_CANONICAL = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True)
DEEPEST = 32  # levels; ALTO's own documents have six


def parse(octets: bytes) -> Any:
    """Return what a document says. Raises ValueError, which says where it is malformed."""
    text = octets.decode("utf-8")
    return json_documents.parse(text, deepest=DEEPEST, object_pairs_hook=_object, parse_float=_float)


def encode(value: object) -> bytes:
    """Return a value's JSON, without spaces, names in their order."""
    return _ENCODER.encode(value).encode()


def canonical(value: object) -> bytes:
    """Return a value's JSON, without spaces, names sorted."""
    return _CANONICAL.encode(value).encode()


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large a number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the name {next(name for name in names if names.count(name) > 1)!r} stands twice in an object"
        )
    return members
