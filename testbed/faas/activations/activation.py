"""The record of one activation that is over, and its documents in the API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from testbed.faas.actions.action import Action
from testbed.faas.actions.documents import pairs
from testbed.faas.activations.outcome import Outcome


class Start(Enum):
    """What a run found: nothing, a container of its runtime, or one that holds its code."""

    COLD = "cold"
    PREWARMED = "prewarmed"
    WARM = "warm"


@dataclass(frozen=True)
class Activation:
    """What became of one run. `began_ms`, `ended_ms`: Unix time; `start` is None where no container took it.

    `start_ms`: how long of `wait_ms` its container took to start.
    """

    activation_id: str
    action: Action
    outcome: Outcome
    start: Start | None
    began_ms: int
    ended_ms: int
    wait_ms: int = 0
    start_ms: int | None = None
    init_ms: int | None = None
    has_timed_out: bool = False
    logs: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {**self._head(), "response": self.outcome.document(), "logs": list(self.logs)}

    def listed(self) -> dict[str, Any]:
        """Return it as it stands in a list."""
        return {**self._head(), "statusCode": self.outcome.status.code}

    def _head(self) -> dict[str, Any]:
        return {
            "activationId": self.activation_id,
            "namespace": self.action.namespace,
            "name": self.action.name,
            "subject": self.action.namespace,
            "version": self.action.version,
            "publish": False,
            "start": self.began_ms,
            "end": self.ended_ms,
            "duration": self.ended_ms - self.began_ms,
            "annotations": self._annotations(),
        }

    def _annotations(self) -> list[dict[str, Any]]:
        values: dict[str, Any] = {
            "path": self.action.path,
            "kind": self.action.code.kind,
            "limits": self.action.limits.document(),
            "timeout": self.has_timed_out,
            "waitTime": self.wait_ms,
        }
        if self.start_ms is not None:
            values["startTime"] = self.start_ms
        if self.init_ms is not None:
            values["initTime"] = self.init_ms
        if self.start is not None:
            values["start"] = self.start.value
        return pairs(values)
