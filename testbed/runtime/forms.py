"""How one value stands in the JSON document of a process: what is good, how it is read, how it is written.

Owns the forms of single values, of lists and of mappings; a field of a dataclass (`testbed.runtime.document`) has one
of them by its type, or the one that `Annotated` names. Each form reads by `Keys`, which words the mistakes. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError, Keys


class Form(Protocol):
    """What stands at a key."""

    def take(self, keys: Keys, key: str) -> Any:
        """Return the value that a document has at a key. Raises ConfigError."""

    def put(self, value: Any) -> Any:
        """Return a value as JSON has it."""

    @property
    def words(self) -> str:
        """What would do, for documentation."""


class _AsItIs:
    """A value that JSON has, too."""

    def put(self, value: Any) -> Any:
        """Return a value as JSON has it."""
        return value


@dataclass(frozen=True)
class Text(_AsItIs):
    """A string that is not empty."""

    def take(self, keys: Keys, key: str) -> str:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.text(key)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return "string"


@dataclass(frozen=True)
class Parsed:
    """A string that stands for something else."""

    wanted: str
    parse: Callable[[str], Any]
    text: Callable[[Any], str] = str

    def take(self, keys: Keys, key: str) -> Any:
        """Return the value that a document has at a key. Raises ConfigError."""
        try:
            return self.parse(keys.text(key))
        except ConfigError:
            raise
        except ValueError as error:
            raise keys.mistyped(key, self.wanted) from error

    def put(self, value: Any) -> str:
        """Return a value as JSON has it."""
        return self.text(value)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return self.wanted.removeprefix("a ").removeprefix("an ")


@dataclass(frozen=True)
class OneOf(_AsItIs):
    """One of some words."""

    choices: tuple[str, ...]

    def take(self, keys: Keys, key: str) -> str:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.one_of(key, self.choices)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return ", ".join(f"`{choice}`" for choice in self.choices)


@dataclass(frozen=True)
class Integer(_AsItIs):
    """An integer within bounds, both included."""

    least: int | None = None
    most: int | None = None

    def take(self, keys: Keys, key: str) -> int:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.integer(key, self.least, self.most)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return f"integer{_bounds(self.least, self.most)}"


@dataclass(frozen=True)
class Number(_AsItIs):
    """A finite number within bounds, both included; `is_positive`: above 0."""

    least: float | None = None
    most: float | None = None
    is_positive: bool = False

    def take(self, keys: Keys, key: str) -> float:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.positive(key) if self.is_positive else keys.number(key, self.least, self.most)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return "number > 0" if self.is_positive else f"number{_bounds(self.least, self.most)}"


@dataclass(frozen=True)
class NumberOrName(_AsItIs):
    """A finite number or a string that is not empty."""

    def take(self, keys: Keys, key: str) -> float | str:
        """Return the value that a document has at a key. Raises ConfigError."""
        try:
            return keys.text(key)
        except ConfigError:
            return keys.number(key)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return "number or string"


@dataclass(frozen=True)
class IpAddress:
    """An IP address, of version 4 or 6 if one of them is asked for."""

    version: int | None = None

    def take(self, keys: Keys, key: str) -> Address:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.address(key, self.version)

    def put(self, value: Address) -> str:
        """Return a value as JSON has it."""
        return str(value)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return f"IP{f'v{self.version}' if self.version else ''} address"


@dataclass(frozen=True)
class Nullable:
    """What may be null."""

    of: Form

    def take(self, keys: Keys, key: str) -> Any:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.nullable(key, lambda key: self.of.take(keys, key))

    def put(self, value: Any) -> Any:
        """Return a value as JSON has it."""
        return None if value is None else self.of.put(value)

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return f"{self.of.words}, or null"


@dataclass(frozen=True)
class Length:
    """How long a list is; `wanted` says what would do."""

    least: int = 0
    wanted: str = "a list"


@dataclass(frozen=True)
class Listed:
    """A list of any length of one form."""

    of: Form
    length: Length = Length()

    def take(self, keys: Keys, key: str) -> tuple[Any, ...]:
        """Return the value that a document has at a key. Raises ConfigError."""
        entries = keys.entries(key, self.length.wanted, self.length.least)
        return tuple(self.of.take(entries, entry) for entry in entries)

    def put(self, value: Collection[Any]) -> list[Any]:
        """Return a value as JSON has it."""
        return [self.of.put(entry) for entry in value]

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return f"list of {self.of.words}{f', at least {self.length.least}' if self.length.least else ''}"


@dataclass(frozen=True)
class Pair:
    """A list of as many entries as there are forms; `wanted` says what would do."""

    of: tuple[Form, ...]
    wanted: str

    def take(self, keys: Keys, key: str) -> tuple[Any, ...]:
        """Return the value that a document has at a key. Raises ConfigError."""
        entries = keys.entries(key, self.wanted, len(self.of), len(self.of))
        return tuple(form.take(entries, entry) for form, entry in zip(self.of, entries, strict=True))

    def put(self, value: Collection[Any]) -> list[Any]:
        """Return a value as JSON has it."""
        return [form.put(entry) for form, entry in zip(self.of, value, strict=True)]

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return self.wanted


@dataclass(frozen=True)
class Mapped:
    """An object with any keys, whose values have one form."""

    of: Form

    def take(self, keys: Keys, key: str) -> dict[str, Any]:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.section(key, lambda inner: {name: self.of.take(inner, name) for name in inner})

    def put(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return a value as JSON has it."""
        return {name: self.of.put(entry) for name, entry in value.items()}

    @property
    def words(self) -> str:
        """What would do, for documentation."""
        return f"object of {self.of.words}"


PATH = Parsed("a path", Path)
NETWORK = Parsed("an IP network", ip_network)


def _url(text: str) -> str:
    parts = urlsplit(text)
    port = parts.port  # raises ValueError for what is none
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not text.isascii():
        raise ValueError(text)
    return text


URL = Parsed("a URL such as http://10.0.0.1:8181", _url)

Port = Annotated[int, Integer(1, 65535)]
Count = Annotated[int, Integer(1)]
Size = Annotated[int, Integer(0)]
Positive = Annotated[float, Number(is_positive=True)]
NotNegative = Annotated[float, Number(0)]
Destination = Annotated[tuple[Address, int], Pair((IpAddress(), Integer(1, 65535)), "[address, port]")]
Url = Annotated[str, URL]
Texts = Annotated[tuple[str, ...], Length(0, "a list of strings")]


def _bounds(least: float | None, most: float | None) -> str:
    if least is None:
        return "" if most is None else f" <= {most:g}"
    return f" >= {least:g}" if most is None else f" {least}..{most}"
