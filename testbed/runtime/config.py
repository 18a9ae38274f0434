"""From the JSON document that starts a process to typed values, each key checked.

Pure: the document comes in, the file it stood in is named by whoever read it (`testbed.runtime.lifecycle`). Owns how
mistakes are worded: an unknown, missing or mistyped key is a `ConfigError` of one line that names the key by its path,
as `workloads[0].port`. Knows nothing of which keys a process has: for that, each has a function that takes them from
`Keys`; what the function leaves untaken is an unknown key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from ipaddress import ip_address
from typing import TypeVar

from testbed.errors import InputError
from testbed.net.addresses import Address

Value = TypeVar("Value")
Default = TypeVar("Default")
Take = Callable[[str], Value]
Check = Callable[["Keys"], Value]

_SHOWN_CHARACTERS = 100  # of a wrong value
# How alike two keys are, from 0 to 1. http_port and rtp_port, both right, are less alike than the latter.
_RELATED = 0.6
_MISSPELT = 0.85


class ConfigError(InputError):
    """A configuration that cannot be used, in one line: the key, what is wrong, what would do."""


def parse(document: object, check: Check[Value], path: str = "") -> Value:
    """Return what `check` makes of the keys of an object, which must be all that it has.

    `path` is the key that the object itself is the value of. Raises ConfigError.
    """
    keys = Keys(document, path)
    value = check(keys)
    keys.reject_unknown()
    return value


class Keys:
    """The keys of one JSON object; each is taken by the type it must have. All methods raise ConfigError."""

    def __init__(self, document: object, path: str = "") -> None:
        if not isinstance(document, dict):
            raise ConfigError(f"{path or 'the file'} must hold a JSON object, not {_shown(document)}")
        self._values = document
        self._path = path
        self._taken: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def error(self, key: str, problem: str) -> ConfigError:
        """Return the error of a key that has a problem only its process can see, to be raised."""
        return ConfigError(f"{self._path_of(key)} {problem}")

    def mistyped(self, key: str, wanted: str) -> ConfigError:
        """Return the error of a key whose value is not what is wanted, to be raised."""
        return self.error(key, f"must be {wanted}, not {_shown(self._values[key])}")

    def made(self, make: Callable[[], Value]) -> Value:
        """Return what is made of the values of these keys, which together may be wrong where each is right."""
        try:
            return make()
        except ConfigError as error:
            raise ConfigError(self._path_of(str(error))) from error  # it begins with the key
        except ValueError as error:
            raise ConfigError(f"{self._path or 'the file'} cannot be used: {error}") from error

    def optional(self, key: str, take: Take[Value], default: Default) -> Value | Default:
        """Take a key that may be absent, or null where null is the default."""
        self._taken.add(key)
        is_default = key not in self._values or (default is None and self._values[key] is None)
        return default if is_default else take(key)

    def nullable(self, key: str, take: Take[Value]) -> Value | None:
        """Take a key that may be null."""
        return None if self._take(key) is None else take(key)

    def text(self, key: str) -> str:
        """Take a string that is not empty."""
        value = self._take(key)
        if not isinstance(value, str) or not value:
            raise self.mistyped(key, "a string that is not empty")
        return value

    def one_of(self, key: str, choices: Collection[str]) -> str:
        """Take one of some words."""
        value = self._take(key)
        if not isinstance(value, str) or value not in choices:
            raise self.mistyped(key, f"one of {', '.join(choices)}")
        return value

    def integer(self, key: str, least: int | None = None, most: int | None = None) -> int:
        """Take an integer within bounds, both included."""
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.mistyped(key, "an integer")
        if (least is not None and value < least) or (most is not None and value > most):
            raise self.mistyped(key, _bounds(least, most))
        return value

    def port(self, key: str) -> int:
        """Take a TCP or UDP port number."""
        return self.integer(key, 1, 65535)

    def number(self, key: str, least: float | None = None, most: float | None = None) -> float:
        """Take a finite number within bounds, both included."""
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            raise self.mistyped(key, "a finite number")
        if (least is not None and value < least) or (most is not None and value > most):
            raise self.mistyped(key, _bounds(least, most))
        return float(value)

    def positive(self, key: str) -> float:
        """Take a finite number > 0."""
        value = self.number(key)
        if value <= 0:
            raise self.mistyped(key, "> 0")
        return value

    def address(self, key: str, version: int | None = None) -> Address:
        """Take an IP address, of version 4 or 6 if one of them is asked for."""
        value = self._take(key)
        try:
            address = ip_address(value) if isinstance(value, str) else None
        except ValueError:
            address = None
        if address is None or version not in (None, address.version):
            raise self.mistyped(key, f"an IP{f'v{version}' if version else ''} address")
        return address

    def section(self, key: str, check: Check[Value]) -> Value:
        """Take an object, by its own keys."""
        return parse(self._take(key), check, self._path_of(key))

    def entries(self, key: str, wanted: str = "a list", least: int = 0, most: int | None = None) -> Keys:
        """Take a list, whose entries are keys in turn, called `[0]`, `[1]` and so on; `wanted` says what would do."""
        value = self._take(key)
        if not isinstance(value, list) or len(value) < least or (most is not None and len(value) > most):
            raise self.mistyped(key, wanted)
        return Keys({f"[{index}]": entry for index, entry in enumerate(value)}, self._path_of(key))

    def reject_unknown(self) -> None:
        """Raise for a key that nobody has taken."""
        for key in self._values:
            if key not in self._taken:
                near = _nearest(key, self._taken, _RELATED)
                hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(sorted(self._taken))}"
                raise self.error(key, f"is not a known key; {hint}")

    def _take(self, key: str) -> object:
        if key not in self._values:
            near = _nearest(key, self._values.keys() - self._taken, _MISSPELT)
            raise self.error(key, f"is missing; is it misspelt as {near!r}?" if near else "is missing")
        self._taken.add(key)
        return self._values[key]

    def _path_of(self, key: str) -> str:
        return f"{self._path}{'.' if self._path and not key.startswith('[') else ''}{key}"


def _bounds(least: float | None, most: float | None) -> str:
    if least is None or most is None:
        return f"<= {most:g}" if least is None else f">= {least:g}"
    return f"in {least:g}..{most:g}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _nearest(key: str, others: Collection[str], likeness: float) -> str | None:
    import difflib  # slow to import, and only a mistake needs it

    return next(iter(difflib.get_close_matches(key, sorted(others), n=1, cutoff=likeness)), None)
