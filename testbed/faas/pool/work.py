"""An activation on its way through the pool: what it wants to run, and when it got how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.faas.actions.action import Action
from testbed.faas.activations.activation import Start
from testbed.faas.activations.outcome import Outcome


@dataclass
class Work:
    """An activation that is not over. Times are those of the pool's clock, in seconds."""

    activation_id: str
    action: Action
    parameters: Mapping[str, Any]
    queued_s: float
    transaction_id: str = ""
    start: Start | None = None
    bound_s: float | None = None  # when a container was found or started for it
    init_s: float | None = None
    began_s: float | None = None
    stopped_for: Outcome | None = field(default=None)  # why its container was stopped
    has_timed_out: bool = False


@dataclass(frozen=True)
class Finished:
    """An activation that is over."""

    work: Work
    outcome: Outcome
    ended_s: float
    logs: tuple[str, ...] = ()
