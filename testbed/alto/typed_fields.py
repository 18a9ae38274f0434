"""Fields of JSON that somebody else wrote, each of the kind that it must be; errors name its path."""

from __future__ import annotations

from typing import TypeVar

from testbed.alto.errors import AltoDataError

Kind = TypeVar("Kind")

_KINDS = {dict: "an object", list: "an array", str: "a string", int: "a whole number"}


def typed(value: object, kind: type[Kind], path: str) -> Kind:
    """Return a value of a kind. Raises AltoDataError."""
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    wanted = next(name for known, name in _KINDS.items() if known is kind)
    raise AltoDataError(f"{path} is {'missing' if value is None else f'not {wanted}'}")


def texts(value: object, path: str) -> tuple[str, ...]:
    """Return an array of strings. Raises AltoDataError."""
    return tuple(typed(text, str, path) for text in typed(value, list, path))
