"""How evenly and how steadily load lies on instances: the measures, over arrays. Knows no runs and no files.

* Imbalance: the coefficient of variation of the load per worker over the instances. It has no unit, so that a service
  that is busy and one that is idle compare; 0 is an even load, whoever has more workers; with all of it at one of k
  alike it is sqrt(k - 1). Jain's index of fairness says the same: 1 / (1 + imbalance²).
* Dispersion: of the flows that an instance gets per window, variance over mean; the mean over those that got any. 1 for
  a random split of Poisson arrivals, less for turns, far more where flows herd.
* Oscillation (column `swing`): how far the load per worker of an instance moves to and fro about that of its service:
  half the distance from the 5th to the 95th percentile (for a sine, its amplitude), the mean over the instances by
  workers. What all have more of at once is no oscillation, and neither is what one always has more of.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

WINDOW_S = 1.0


def dispersion(
    times_s: Sequence[float] | np.ndarray,
    assigned_to: Sequence[Hashable] | np.ndarray,
    from_s: float,
    until_s: float,
    window_s: float = WINDOW_S,
) -> float:
    """Return the dispersion of flows that began at these times, assigned to these instances; NaN if there are none."""
    windows = max(0, int((until_s - from_s) / window_s))
    window = np.floor((np.asarray(times_s, dtype=float) - from_s) / window_s).astype(int)
    numbers: dict[Hashable, int] = {}
    instance = np.array([numbers.setdefault(name, len(numbers)) for name in assigned_to], dtype=int)
    counted = (window >= 0) & (window < windows)
    cells = np.bincount(instance[counted] * windows + window[counted], minlength=len(numbers) * windows)
    per_window = cells.reshape(len(numbers), windows)
    per_window = per_window[per_window.any(axis=1)]
    return float((per_window.var(axis=1) / per_window.mean(axis=1)).mean()) if len(per_window) else float("nan")


def imbalance(load_per_worker: np.ndarray) -> np.ndarray:
    """Return the imbalance in each window; loads are instances x windows, NaN for one that is away.

    NaN where there is no load, or nobody.
    """
    here = ~np.isnan(load_per_worker)
    count = np.maximum(here.sum(axis=0), 1)
    loads = np.where(here, load_per_worker, 0.0)
    mean = loads.sum(axis=0) / count
    deviation = np.sqrt((np.where(here, loads - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.asarray(np.divide(deviation, mean, out=np.full(len(mean), np.nan), where=mean > 0))


def oscillation(load_per_worker: np.ndarray, workers: np.ndarray) -> float:
    """Return the oscillation in sessions per worker; loads are instances x windows, NaN for one that is away."""
    here = ~np.isnan(load_per_worker)
    at_work = (here * workers[:, None]).sum(axis=0)
    sessions = np.where(here, load_per_worker, 0.0) * workers[:, None]
    of_service = np.divide(sessions.sum(axis=0), at_work, out=np.zeros(len(at_work)), where=at_work > 0)
    ever_here = here.any(axis=1)
    if not ever_here.any():
        return float("nan")
    low, high = np.nanpercentile((load_per_worker - of_service)[ever_here], [5, 95], axis=1)
    return float(np.average((high - low) / 2, weights=workers[ever_here]))
