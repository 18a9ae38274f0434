"""Means of few runs, each with the half-width of its 95 % confidence interval (Student's t)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev

_STUDENT_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}  # two-sided 95 %, by runs


def half_width(values: Sequence[float]) -> float:
    """Return half the width of the confidence interval of the mean of two to eight independent values."""
    return _STUDENT_T[len(values)] * stdev(values) / sqrt(len(values))


def difference(differences_ms: Sequence[float]) -> str:
    """Return a mean of differences, run by run, and how sure it is."""
    return f"{mean(differences_ms):+.0f} ± {half_width(differences_ms):.0f}"
