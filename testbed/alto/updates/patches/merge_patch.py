"""JSON merge patch (RFC 7396): applied to a document, and made from two documents.

Knows JSON values only, and no ALTO. `null` in an object of a patch removes a member, so a patch cannot say that a
member *is* null; arrays are replaced whole, and what is in them is no patch. Nesting is followed without recursion:
documents come from others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from testbed.errors import TestbedError

Json = Any  # None, bool, int, float, str, list of them, dict of them by str


class NotExpressible(TestbedError, ValueError):
    """No merge patch leads from one document to the other: a member would have to become null."""


def merge(target: Json, patch: Json) -> Json:
    """Return a document with a patch applied (RFC 7396, section 2); an object is changed in place."""
    if not isinstance(patch, dict):
        return patch
    root = target if isinstance(target, dict) else {}
    pending = [(root, patch)]
    while pending:
        into, changes = pending.pop()
        for name, value in changes.items():
            if value is None:
                into.pop(name, None)
            elif isinstance(value, dict):
                inner = into.get(name)
                if not isinstance(inner, dict):
                    inner = into[name] = {}
                pending.append((inner, value))
            else:
                into[name] = value
    return root


def patch_between(old: Json, new: Json) -> Json:
    """Return the patch that makes `new` of `old`, {} where nothing changed. Raises NotExpressible."""
    if not isinstance(new, dict):
        return new
    root: dict[str, Json] = {}
    if not isinstance(old, dict):
        _require_no_null(new)
        return new
    pending = [(old, new, root)]
    while pending:
        before, after, changes = pending.pop()
        for name in before.keys() - after.keys():
            changes[name] = None
        for name, value in after.items():
            if name in before and isinstance(value, dict) and isinstance(before[name], dict):
                changes[name] = {}
                pending.append((before[name], value, changes[name]))
            elif name not in before or not same(before[name], value):
                _require_no_null(value)
                changes[name] = value
    return _without_empty(old, root)


def same(one: Json, other: Json) -> bool:
    """Return whether two values are the same JSON: 1 is 1.0, but true is not 1."""
    pending = [(one, other)]
    while pending:
        left, right = pending.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            pending += [(value, right[name]) for name, value in left.items()]
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            pending += zip(left, right, strict=True)
        elif isinstance(left, bool) is not isinstance(right, bool) or left != right:
            return False
    return True


def _require_no_null(value: Json) -> None:
    """Arrays may have nulls: they are no patches."""
    pending = [value]
    while pending:
        item = pending.pop()
        if item is None:
            raise NotExpressible("a merge patch cannot set a member to null: send the whole document")
        if isinstance(item, dict):
            pending += item.values()


def _without_empty(old: Json, patch: dict[str, Json]) -> dict[str, Json]:
    """Leave out members in which nothing changed; {} is a change only where there was no object before."""
    order = list(_objects_within(old, patch))
    for holder, name in reversed(order):
        if not holder[name]:
            del holder[name]
    return patch


def _objects_within(old: Json, patch: dict[str, Json]) -> Iterator[tuple[dict[str, Json], str]]:
    """Yield where a patch has an object for an object of the document, the outer before the inner."""
    pending = [(old, patch)]
    while pending:
        before, changes = pending.pop()
        for name, value in changes.items():
            if isinstance(value, dict) and isinstance(before.get(name), dict):
                yield changes, name
                pending.append((before[name], value))
