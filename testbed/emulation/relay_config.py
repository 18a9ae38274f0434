"""The relay's configuration file: its keys, and how its mistakes are worded.

Stdlib only. Written by `relay_link`, or by hand:

    {"name": "relay", "out_dir": "…", "seed": 7, "links": [
      {"label": "a - b", "a": {"netns_pid": 4711, "interface": "eth0", "mac": "02:00:00:00:00:01"},
       "b": {"netns_pid": null, "interface": "dy12ab-p0", "mac": null},
       "delay_ms": 10, "jitter_ms": 0, "loss_percent": 0, "rate_mbps": null, "queue_packets": 1000}]}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.emulation.relay_core import Impairment

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


class ConfigError(ValueError):
    """A configuration that cannot be used: the key, what is wrong, what would do."""


@dataclass(frozen=True)
class RelayEnd:
    """A TAP interface to make in the namespace of a process (None: the relay's own)."""

    netns_pid: int | None
    interface: str
    mac: str | None


@dataclass(frozen=True)
class RelayLink:
    """A link to relay, impaired alike in both directions."""

    label: str
    a: RelayEnd
    b: RelayEnd
    impairment: Impairment


@dataclass(frozen=True)
class RelayConfig:
    """Everything a relay process is told."""

    name: str
    out_dir: Path
    seed: int
    links: tuple[RelayLink, ...]


def read(path: Path) -> RelayConfig:
    """Return the configuration in the file. Raises ConfigError."""
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"is no JSON: {error}") from error
    return parse(values)


def parse(values: Any) -> RelayConfig:
    """Return the configuration that a JSON object spells. Raises ConfigError."""
    keys = _object(values, "", ("name", "out_dir", "seed", "links"))
    name = _text(keys, "name", "")
    if "/" in name or name.startswith("."):
        raise ConfigError(f"name must be fit for a file name (no '/', no leading '.'), not {name!r}")
    out_dir = Path(_text(keys, "out_dir", ""))
    if not out_dir.is_dir():
        raise ConfigError(f"out_dir must be a folder that exists, not {str(out_dir)!r}")
    if not isinstance(keys["links"], list):
        raise ConfigError(f"links must be a list, not {keys['links']!r}")
    links = tuple(_link(item, f"links[{index}].") for index, item in enumerate(keys["links"]))
    return RelayConfig(name, out_dir, _integer(keys, "seed", ""), links)


def _link(values: Any, prefix: str) -> RelayLink:
    keys = _object(
        values, prefix, ("label", "a", "b", "delay_ms", "jitter_ms", "loss_percent", "rate_mbps", "queue_packets")
    )
    rate_mbps = None if keys["rate_mbps"] is None else _number(keys, "rate_mbps", prefix)
    if rate_mbps == 0:
        raise ConfigError(f"{prefix}rate_mbps must be > 0, or null for no limit")
    return RelayLink(
        label=_text(keys, "label", prefix),
        a=_end(keys["a"], f"{prefix}a."),
        b=_end(keys["b"], f"{prefix}b."),
        impairment=Impairment(
            delay_ms=_number(keys, "delay_ms", prefix),
            jitter_ms=_number(keys, "jitter_ms", prefix),
            loss_percent=_number(keys, "loss_percent", prefix, most=100),
            rate_mbps=rate_mbps,
            queue_packets=_integer(keys, "queue_packets", prefix, least=1),
        ),
    )


def _end(values: Any, prefix: str) -> RelayEnd:
    keys = _object(values, prefix, ("netns_pid", "interface", "mac"))
    interface = _text(keys, "interface", prefix)
    if len(interface.encode()) > 15 or "/" in interface:
        raise ConfigError(f"{prefix}interface must be at most 15 bytes without '/', not {interface!r}")
    if keys["mac"] is not None and not _MAC.fullmatch(_text(keys, "mac", prefix)):
        raise ConfigError(f"{prefix}mac must be like 02:00:00:00:00:01, or null, not {keys['mac']!r}")
    pid = None if keys["netns_pid"] is None else _integer(keys, "netns_pid", prefix, least=1)
    return RelayEnd(pid, interface, keys["mac"])


def _object(values: Any, prefix: str, wanted: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ConfigError(f"{prefix.rstrip('.') or 'the file'} must hold an object, not {values!r}")
    for key in wanted:
        if key not in values:
            raise ConfigError(f"{prefix}{key} is missing")
    for key in values:
        if key not in wanted:
            raise ConfigError(f"{prefix}{key} is not a key of the relay; there are: {', '.join(wanted)}")
    return values


def _text(keys: Mapping[str, Any], key: str, prefix: str) -> str:
    value = keys[key]
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{prefix}{key} must be a string that is not empty, not {value!r}")
    return value


def _integer(keys: Mapping[str, Any], key: str, prefix: str, least: int | None = None) -> int:
    value = keys[key]
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        raise ConfigError(f"{prefix}{key} must be an integer{'' if least is None else f' >= {least}'}, not {value!r}")
    return value


def _number(keys: Mapping[str, Any], key: str, prefix: str, most: float = math.inf) -> float:
    value = keys[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most or value == math.inf:
        bound = ">= 0" if most == math.inf else f"in 0..{most:g}"
        raise ConfigError(f"{prefix}{key} must be a number {bound}, not {value!r}")
    return float(value)
