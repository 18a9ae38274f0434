"""Round trips between D-Routers over time: as they had measured them when they decided, else as the routing says."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pandas as pd

from testbed.analysis.run_data.loading import RunData, RunDataError

_LOOK_INTERVAL_S = 0.5  # what probes measure does not change faster


class RoundTrips:
    """The round trips of a run. Raises RunDataError for candidates of a decision that cannot be read."""

    def __init__(self, run: RunData) -> None:
        self._stated = run.manifest.round_trip_ms
        self._measured = {
            way: np.array(sorted(readings.items())).T for way, readings in _readings(run).items()
        }  # each: times, ms

    def at(self, times_s: np.ndarray, d_router: str, site: str) -> np.ndarray:
        """Return the round trip from a D-Router to a site in ms, what the first link adds included; NaN: unknown."""
        if (d_router, site) not in self._measured:
            return np.full(len(times_s), self._stated.get(d_router, {}).get(site, np.nan))
        read_s, round_trip_ms = self._measured[d_router, site]
        last = np.maximum(np.searchsorted(read_s, times_s, "right") - 1, 0)
        return np.asarray(round_trip_ms[last])


def _readings(run: RunData) -> dict[tuple[str, str], dict[float, float]]:
    """Return the round trip in ms by time, for each D-Router and site of which its decisions say anything."""
    rows = run.decisions.dropna(subset="candidates")
    slot = (rows["time_s"] // _LOOK_INTERVAL_S).rename("slot")
    rows = rows.loc[~pd.concat([rows[["d_router", "service"]], slot], axis=1).duplicated()]
    readings: defaultdict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for time_s, d_router, text in zip(rows["time_s"], rows["d_router"], rows["candidates"], strict=True):
        try:
            for item in json.loads(text):
                way = str(d_router), str(item["site"])
                readings[way][float(time_s)] = float(item["rtt_ms"]) + float(item.get("port_ms", 0.0))
        except (ValueError, KeyError, TypeError) as error:
            raise RunDataError(
                f"{run.run_dir / 'decisions.csv'} is corrupt: candidates {text[:60]!r} cannot be read ({error!r}); "
                "run the scenario again"
            ) from None
    return dict(readings)
