"""Bodies of requests, declared: which fields there are, of which kind; errors name the path of the field (8.5.2).

A form reads a JSON value and returns it checked, without fields that it does not know (8.3.7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from testbed.alto import json_octets
from testbed.alto.errors import AltoError, ErrorCode, invalid_type, invalid_value, missing_field, syntax_error


class Kind(Protocol):
    """What a field can be."""

    def read(self, value: object, path: str) -> Any:
        """Return a value checked. Raises AltoError."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string, of which `is_good` may ask more."""

    is_good: Callable[[str], bool] = bool

    def read(self, value: object, path: str) -> str:
        """Return a string."""
        if not isinstance(value, str):
            raise invalid_type(path)
        if not self.is_good(value):
            raise invalid_value(path, value)
        return value

    def are_good(self, values: Iterable[object]) -> bool:
        """Return whether all values are good strings."""
        is_good = self.is_good
        return all(isinstance(value, str) and is_good(value) for value in values)


@dataclass(frozen=True, slots=True)
class Array:
    """An array; what is wrong with an element is an error of the array's value (8.5.2)."""

    element: Kind
    at_least: int = 0

    def read(self, value: object, path: str) -> list[Any]:
        """Return a list."""
        if not isinstance(value, list):
            raise invalid_type(path)
        if len(value) < self.at_least:
            raise invalid_value(path, value)
        if isinstance(self.element, Text) and self.element.are_good(value):  # the usual case, by the hundred
            return list(value)
        return [self._element(element, path) for element in value]

    def _element(self, element: object, path: str) -> Any:
        try:
            return self.element.read(element, path)
        except AltoError as error:
            if error.code is ErrorCode.INVALID_FIELD_TYPE and error.field == path:
                raise invalid_value(path, element) from None
            raise


@dataclass(frozen=True, slots=True)
class Required:
    """A field that must be there."""

    kind: Kind


Fields: TypeAlias = Mapping[str, "Kind | Required"]


class Form:
    """An object with fields by name; a kind alone is a field that may be left out."""

    def __init__(self, fields: Fields) -> None:
        self._required = {name: field.kind for name, field in fields.items() if isinstance(field, Required)}
        self._optional = {name: field for name, field in fields.items() if not isinstance(field, Required)}

    def read(self, value: object, path: str = "") -> dict[str, Any]:
        """Return the fields that there are."""
        if not isinstance(value, dict):
            raise invalid_type(path or None)
        for name in self._required:
            if name not in value:
                raise missing_field(_join(path, name))
        kinds = {**self._required, **{name: kind for name, kind in self._optional.items() if name in value}}
        return {name: kind.read(value[name], _join(path, name)) for name, kind in kinds.items()}

    def parse(self, octets: bytes) -> dict[str, Any]:
        """Return the fields of a body. Raises AltoError."""
        try:
            document = json_octets.parse(octets)
        except ValueError as error:
            raise syntax_error(str(error)) from None
        return self.read(document)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
