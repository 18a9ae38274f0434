"""From a JSON object to a frozen dataclass, each value checked against the type of its field, and back.

Pure. Owns what a wrong value is called: a `DocumentError` of a few words that begin with its key. A key without a field
is passed over, and one that is absent or null takes the field's default, so that records of other versions can be read.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from testbed.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


class DocumentError(InputError):
    """A value that its record cannot hold: the key, and what is wrong with it."""


def read(kind: type[Record], document: Mapping[str, Any], path: str = "") -> Record:
    """Return a record of the values of a JSON object, which stands under the key `path`. Raises DocumentError."""
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):
        value = document.get(field.name)
        if value is not None:
            values[field.name] = _value(hints[field.name], f"{path}.{field.name}".lstrip("."), value)
        elif _is_required(field):
            raise DocumentError(f"{path or 'it'} holds {document!r}, which has no {field.name}")
    return kind(**values)


def document(record: DataclassInstance) -> dict[str, Any]:
    """Return the values of a record and of those in it, ready for JSON."""
    return asdict(record)


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(hint: Any, key: str, value: Any) -> Any:
    """Return the value of a key as what its field is declared to be. Raises DocumentError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _value(next(item for item in arguments if item is not type(None)), key, value)
    if origin is tuple:
        return _items(arguments, key, value)
    if origin is not None:  # a mapping, by names
        _must(isinstance(value, dict), key, value)
        return {str(name): _value(arguments[1], f"{key}.{name}", item) for name, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        _must(isinstance(value, dict), key, value)
        return read(hint, value, key)
    wanted = (int, float) if hint is float else hint
    _must(isinstance(value, wanted) and (hint is bool or not isinstance(value, bool)), key, value)
    return value


def _items(arguments: tuple[Any, ...], key: str, value: Any) -> tuple[Any, ...]:
    _must(isinstance(value, (list, tuple)), key, value)
    hints = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
    _must(len(hints) == len(value), key, value)
    return tuple(_value(hint, key, item) for hint, item in zip(hints, value, strict=True))


def _must(condition: bool, key: str, value: Any) -> None:
    if not condition:
        raise DocumentError(f"{key} is {value!r}, which is of the wrong type")
