"""Limits: those of one action, which whoever creates it may choose, and those of the whole cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from testbed.faas.errors import malformed

MIB = 1 << 20


@dataclass(frozen=True)
class ActionLimits:
    """Limits of each activation of an action, under the names and units of the API."""

    timeout_ms: int = 60_000
    memory_mb: int = 256
    logs_mb: int = 10
    concurrency: int = 1

    def document(self) -> dict[str, int]:
        """Return them as the API shows them."""
        return {
            "timeout": self.timeout_ms,
            "memory": self.memory_mb,
            "logs": self.logs_mb,
            "concurrency": self.concurrency,
        }


@dataclass(frozen=True)
class ClusterLimits:
    """Limits of a cluster: ranges of what an action may ask for, sizes, and how much is admitted."""

    timeout_ms: tuple[int, int] = (100, 300_000)
    memory_mb: tuple[int, int] = (32, 2048)
    logs_mb: tuple[int, int] = (0, 10)
    code_bytes: int = 48 * MIB
    payload_bytes: int = MIB
    result_bytes: int = MIB
    unpacked_bytes: int = 256 * MIB
    archive_entries: int = 20_000
    actions: int = 10_000
    activations_kept: int = 10_000
    per_minute: int = 6_000
    concurrent: int = 200


_NAMES = {"timeout": "timeout_ms", "memory": "memory_mb", "logs": "logs_mb", "concurrency": "concurrency"}


def action_limits(document: object, former: ActionLimits, cluster: ClusterLimits) -> ActionLimits:
    """Return the limits that a request asks for; what it leaves out stays. Raises ApiError."""
    if not isinstance(document, Mapping):
        raise malformed(f"limits must be an object with any of {', '.join(_NAMES)}")
    values = {field.name: getattr(former, field.name) for field in fields(former)}
    for name, value in document.items():
        if name in _NAMES and value is not None:  # others are those of other platforms
            values[_NAMES[name]] = _integer(name, value)
    limits = ActionLimits(**values)
    _check(limits, cluster)
    return limits


def _check(limits: ActionLimits, cluster: ClusterLimits) -> None:
    _within("timeout", limits.timeout_ms, cluster.timeout_ms, "ms")
    _within("memory", limits.memory_mb, cluster.memory_mb, "MB")
    _within("logs", limits.logs_mb, cluster.logs_mb, "MB")
    if limits.concurrency != 1:
        raise malformed("limits.concurrency must be 1: a container runs one activation at a time here")


def _within(name: str, value: int, bounds: tuple[int, int], unit: str) -> None:
    least, most = bounds
    if not least <= value <= most:
        raise malformed(f"limits.{name} must be in {least}..{most} {unit}, not {value}")


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(f"limits.{name} must be an integer")
    return value
