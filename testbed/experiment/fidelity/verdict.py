"""A verdict on a run: `valid`, `suspect` or `invalid`, with its figures and reasons. Knows not what is assessed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from testbed.records.manifest import FidelityEntry

_NAMED = 3  # processes or links that a reason names


@dataclass
class Fidelity:
    """The verdict so far; `measured` keeps every figure that went into it."""

    verdict: str = "valid"
    reasons: list[str] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)

    def above(self, name: str, value: float | None, suspect: float, invalid: float | None, what: str) -> None:
        """Judge a figure that should be small."""
        if value is None:
            return
        self.note(name, value)
        if invalid is not None and value > invalid:
            self.say("invalid", f"{what} (limit {invalid:g})")
        elif value > suspect:
            self.say("suspect", f"{what} (limit {suspect:g})")

    def note(self, name: str, value: float) -> None:
        """Keep a figure."""
        self.measured[name] = round(value, 6)

    def fail(self, reason: str) -> None:
        """Take note of something that makes the run invalid."""
        self.say("invalid", reason)

    def miss(self, what: str, of: Collection[str]) -> None:
        """Doubt a run for figures that should be there; `of`: the processes or links that nothing is known of."""
        if of:
            more = f" and {len(of) - _NAMED} more" if len(of) > _NAMED else ""
            self.say("suspect", f"nothing says {what}: {', '.join(sorted(of)[:_NAMED])}{more}")

    def say(self, verdict: str, reason: str) -> None:
        """Give a reason; the verdict only gets worse."""
        self.reasons.append(reason)
        if verdict == "invalid" or self.verdict == "valid":
            self.verdict = verdict

    def as_entry(self) -> FidelityEntry:
        """Return it for the manifest."""
        return FidelityEntry(self.verdict, tuple(self.reasons), dict(self.measured))
