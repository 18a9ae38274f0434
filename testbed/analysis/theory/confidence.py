"""How sure one can be of a mean of few independent values: the 95 % confidence interval by Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


def half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Return half the width of the confidence interval of the mean of `values`; NaN for fewer than two of them."""
    runs = len(values)
    if runs < 2:
        return math.nan
    return float(stdtrit(runs - 1, (1 + confidence) / 2) * np.std(values, ddof=1) / math.sqrt(runs))
