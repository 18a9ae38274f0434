"""How a mean of few differences is worded, with the half-width of its 95 % confidence interval (Student's t)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from testbed.analysis.theory.confidence import half_width


def difference(differences_ms: Sequence[float]) -> str:
    """Return a mean of differences, run by run, and how sure it is."""
    return f"{mean(differences_ms):+.0f} ± {half_width(differences_ms):.0f}"
