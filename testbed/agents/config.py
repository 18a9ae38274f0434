"""Configuration files of agent processes, read key by key.

Owns how a JSON object is taken apart and how its mistakes are worded: an unknown, missing or mistyped key
is a `ConfigError` of one line that names it. Knows nothing of which keys a process has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

Address = IPv4Address | IPv6Address


class ConfigError(ValueError):
    """A configuration that cannot be used: the key, what is wrong, what would do."""


def read(path: Path | str) -> Mapping[str, Any]:
    """Return the JSON object in the file; raise ConfigError if there is none."""
    try:
        values = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError("must hold a JSON object")
    return values


class Keys:
    """The keys of one object, each taken once; errors name them."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix
        self._taken: set[str] = set()

    def take(self, key: str) -> Any:
        """Take whatever is there."""
        if key not in self._values:
            raise ConfigError(f"{self._prefix}{key} is missing")
        self._taken.add(key)
        return self._values[key]

    def text(self, key: str) -> str:
        """Take a string that is not empty."""
        value = self.take(key)
        if not isinstance(value, str) or not value:
            raise self._mistyped(key, "a string that is not empty", value)
        return value

    def name(self, key: str) -> str:
        """Take a process name, which is also part of file names."""
        value = self.text(key)
        if "/" in value or "\0" in value or value.startswith("."):
            raise self._mistyped(key, "fit for a file name (no '/', no leading '.')", value)
        return value

    def integer(self, key: str, least: int | None = None, most: int | None = None) -> int:
        """Take an integer within bounds, both included."""
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._mistyped(key, "an integer", value)
        if (least is not None and value < least) or (most is not None and value > most):
            raise self._mistyped(key, f">= {least}" if most is None else f"in {least}..{most}", value)
        return value

    def port_or_none(self, key: str) -> int | None:
        """Take a port number, or null."""
        return None if self.take(key) is None else self.integer(key, 1, 65535)

    def positive(self, key: str) -> float:
        """Take a finite number > 0."""
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._mistyped(key, "a number", value)
        if not 0 < value < math.inf:
            raise self._mistyped(key, "> 0", value)
        return float(value)

    def positive_or_none(self, key: str) -> float | None:
        """Take a finite number > 0, or null."""
        return None if self.take(key) is None else self.positive(key)

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        """Take one of some words."""
        value = self.text(key)
        if value not in choices:
            raise self._mistyped(key, f"one of {', '.join(choices)}", value)
        return value

    def address(self, key: str) -> Address:
        """Take an IP address of either family."""
        value = self.text(key)
        try:
            return ip_address(value)
        except ValueError:
            raise self._mistyped(key, "an IP address", value) from None

    def folder(self, key: str) -> Path:
        """Take the path of a folder that exists."""
        path = Path(self.text(key))
        if not path.is_dir():
            raise self._mistyped(key, "a folder that exists", str(path))
        return path

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Take an object, whole."""
        value = self.take(key)
        if not isinstance(value, dict):
            raise self._mistyped(key, "an object", value)
        return value

    def done(self) -> None:
        """Raise for keys that nobody took."""
        for key in self._values:
            if key not in self._taken:
                import difflib  # slow to import, and only a mistake needs it

                near = difflib.get_close_matches(key, self._taken, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"{self._prefix}{key} is not a key of this process{hint}")

    def _mistyped(self, key: str, wanted: str, value: object) -> ConfigError:
        return ConfigError(f"{self._prefix}{key} must be {wanted}, not {value!r}")
