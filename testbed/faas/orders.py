"""What a cluster asks of its adapter: containers to start, fill, run and stop, and requests to answer.

What deliveries ask of it is in `delivery.orders`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testbed.faas.api.messages import Answer
from testbed.faas.delivery import orders as delivery


@dataclass(frozen=True)
class StartContainer:
    """Start a container of a runtime. Then `on_started`, or `on_ended`."""

    container: int
    kind: str
    layers: tuple[str, ...]
    memory_mb: int


@dataclass(frozen=True)
class Initialize:
    """Send the code of an action to a container (/init). Then `on_initialized`, unless it is stopped or ends before."""

    container: int
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """Send a run to a container (/run), and collect its logs. Then `on_ran`, unless it is stopped or ends before."""

    container: int
    document: Mapping[str, Any]
    most_log_bytes: int


@dataclass(frozen=True)
class StopContainer:
    """End a container at once, with all that is in it. Then `on_ended`."""

    container: int


@dataclass(frozen=True)
class Respond:
    """Answer a request."""

    request: int
    answer: Answer


Order = StartContainer | Initialize | Run | StopContainer | Respond | delivery.Order
