"""What a check against theory comes to: a figure, what is expected of it, its interval; or why there is none.

Knows no run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from testbed.analysis.theory.formulas import Interval

CONFIDENCE = 0.999  # of each check: ten of them fail by chance in one run of a hundred


@dataclass(frozen=True)
class TheoryCheck:
    """One figure of a run, what theory expects of it, and the figure's interval."""

    name: str
    subject: str
    unit: str
    figure: Interval
    expected: float

    @property
    def holds(self) -> bool:
        """Return whether what is expected is within the interval."""
        return self.figure.holds(self.expected)


@dataclass(frozen=True)
class LeftOut:
    """Something that a theory does not apply to, and why."""

    subject: str
    why: str


Outcome = TheoryCheck | LeftOut


@dataclass(frozen=True)
class TheoryReport:
    """All checks of a run."""

    checks: tuple[TheoryCheck, ...]
    left_out: tuple[LeftOut, ...]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> TheoryReport:
        """Sort outcomes."""
        every = tuple(outcomes)
        return cls(
            tuple(item for item in every if isinstance(item, TheoryCheck)),
            tuple(item for item in every if isinstance(item, LeftOut)),
        )

    @property
    def holds(self) -> bool:
        """Return whether every check holds."""
        return all(check.holds for check in self.checks)
