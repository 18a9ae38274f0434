"""What waits on average in a queue that has settled. Pure."""

from __future__ import annotations

import math


def stationary_wait(workers: int, utilisation: float) -> float:
    """Return the mean wait of M/M/c in service times, for 0 <= utilisation < 1.

    Sakasegawa's approximation (1977), exact for one worker.
    """
    return float(utilisation ** (math.sqrt(2 * (workers + 1)) - 1) / (workers * (1 - utilisation)))
