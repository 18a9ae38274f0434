"""Dataclasses that are the configuration of a process: one type for its writer, its reader and its documentation.

Owns how a dataclass stands in a JSON document: its fields are the keys, in their order, by the form that follows from
their types (`testbed.runtime.forms`). A field that has a default is a key that may be absent; where the default is
nothing (null, 0, empty) and holds, the key is not written. What one key alone cannot show, `__post_init__` refuses: by
a ConfigError that begins with the key, or, in the types of the pure core, by a ValueError. Pure.

    @dataclass(frozen=True)
    class EchoConfig(ProcessConfig):
        port: Port
        \"\"\"It listens here.\"\"\"
        greeting: str | None = None

    EchoConfig.from_document(EchoConfig("echo", Path("out"), 7).to_document())
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cached_property, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from testbed.runtime.config import Keys, parse
from testbed.runtime.forms import (
    NETWORK,
    PATH,
    Form,
    Integer,
    IpAddress,
    Length,
    Listed,
    Mapped,
    Nullable,
    Number,
    OneOf,
    Text,
)

Made = TypeVar("Made", bound="Document")


@dataclass(frozen=True)
class Document:
    """What stands in a JSON document as an object."""

    @classmethod
    def from_document(cls: type[Made], document: object) -> Made:
        """Return what a document says. Raises ConfigError naming the key."""
        made: Made = parse(document, section(cls).read)
        return made

    def to_document(self) -> dict[str, Any]:
        """Return the document that says this."""
        return section(type(self)).write(self)


@dataclass(frozen=True)
class ProcessConfig(Document):
    """What the configuration of every process says."""

    name: str
    """Its name. In names of its files, %2F stands for a slash, and the like."""
    out_dir: Path
    """The folder that its files go to; it must exist."""


class Field(NamedTuple):
    """A field of a dataclass as a key: its form, and what it is where it is absent (MISSING: it must be there)."""

    name: str
    form: Form | Merged
    default: Any


class Section:
    """An object with the fields of a dataclass for keys. `forms`: those of fields whose type does not say enough."""

    def __init__(self, kind: Callable[..., Any], **forms: Form | Merged) -> None:
        self.kind: Any = kind
        self._forms = forms

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The keys."""
        hints = get_type_hints(self.kind, include_extras=True)
        return tuple(
            Field(field.name, self._forms.get(field.name) or form_of(hints[field.name]), _default(field))
            for field in dataclasses.fields(self.kind)
            if field.init
        )

    def read(self, keys: Keys) -> Any:
        """Return the dataclass that an object says. Raises ConfigError."""
        values = {name: self._value(keys, name, form, default) for name, form, default in self.fields}
        return keys.made(partial(self.kind, **values))

    @staticmethod
    def _value(keys: Keys, name: str, form: Form | Merged, default: Any) -> Any:
        if isinstance(form, Merged):
            return form.of.read(keys)
        if default is MISSING:
            return form.take(keys, name)
        return keys.optional(name, partial(form.take, keys), default)

    def write(self, value: Any) -> dict[str, Any]:
        """Return the object that says this."""
        document: dict[str, Any] = {}
        for name, form, default in self.fields:
            entry = getattr(value, name)
            if isinstance(form, Merged):
                document |= form.of.write(entry)
            elif default or entry != default:
                document[name] = form.put(entry)
        return document

    def take(self, keys: Keys, key: str) -> Any:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.section(key, self.read)

    put = write

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return "object"


class Tagged:
    """An object of one of several dataclasses; which, the word at the key `tag` says. None: the word says it all."""

    def __init__(self, tag: str, kinds: Mapping[str, type[Any] | Section | None]) -> None:
        self.tag = tag
        self.kinds = {word: section(kind) if isinstance(kind, type) else kind for word, kind in kinds.items()}

    def read(self, keys: Keys) -> Any:
        """Return the dataclass that an object says. Raises ConfigError."""
        kind = self.kinds[keys.one_of(self.tag, self.kinds)]
        return kind and kind.read(keys)

    def write(self, value: Any) -> dict[str, Any]:
        """Return the object that says this."""
        word, kind = next(item for item in self.kinds.items() if type(value) is (item[1].kind if item[1] else NoneType))
        return {self.tag: word, **(kind.write(value) if kind else {})}

    def take(self, keys: Keys, key: str) -> Any:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.section(key, self.read)

    put = write

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return "object"


@dataclass(frozen=True)
class Merged:
    """For a field whose own keys stand in the same object as those beside it."""

    of: Section | Tagged


_SECTIONS: dict[type[Any], Section] = {}


def section(kind: type[Any]) -> Section:
    """Return the form of a dataclass whose types say all."""
    return _SECTIONS.setdefault(kind, Section(kind))


def form_of(hint: Any) -> Form | Merged:
    """Return the form of values of a type. Raises TypeError for a type that has none."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(*arguments)
    if hint in _FORMS:
        return _FORMS[hint]
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin is Literal:
        return OneOf(arguments)
    if origin is tuple and arguments[1:] == (...,):
        return Listed(_single(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Mapped(_single(arguments[1]))
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return section(hint)
    raise TypeError(f"{hint} has no form in a document")


_FORMS: dict[Any, Form] = {
    str: Text(),
    int: Integer(),
    float: Number(),
    Path: PATH,
    IPv4Address | IPv6Address: IpAddress(),
    IPv4Network | IPv6Network: NETWORK,
}


def _single(hint: Any) -> Form:
    form = form_of(hint)
    if isinstance(form, Merged):
        raise TypeError(f"{hint} has no key of its own")
    return form


def _annotated(hint: Any, *said: Any) -> Form | Merged:
    for form in said:
        if isinstance(form, Length):
            listed = form_of(hint)
            assert isinstance(listed, Listed)
            return Listed(listed.of, form)
        if isinstance(form, Merged) or hasattr(form, "take"):
            return form  # type: ignore[no-any-return]
    return form_of(hint)


def _union(members: tuple[Any, ...]) -> Form:
    others = tuple(member for member in members if member is not NoneType)
    if len(others) == len(members):
        raise TypeError(f"{members} need a form that distinguishes them")
    of = others[0] if len(others) == 1 else Union[others]  # noqa: UP007
    return Nullable(_single(of))


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
