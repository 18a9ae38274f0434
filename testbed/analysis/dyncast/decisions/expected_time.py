"""How long a new flow is expected to take at an instance, by how many sessions it has: the cost of the policy `oracle`.

Owns the figures of instances that the cost is worked out from: the mean service time of each, its workers and waiting
room, and how many workers one session keeps busy, all as they were over the whole run. The formula is the core's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

import numpy as np
import pandas as pd

from testbed.analysis.flows.attribution import directory
from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.known_demand import speeds_where_known
from testbed.analysis.run_data.loading import RunData
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast.policies import Candidate
from testbed.dyncast.policies.oracle import Oracle

_NOBODY = IPv4Address(0)  # the cost does not go by who it is
_NO_LIMIT = 10**9


@dataclass(frozen=True)
class ExpectedTime:
    """One instance as it is to any flow. Times in ms; `load_per_session` in workers."""

    service: str
    site: str
    workers: int
    queue_limit: int
    service_time_s: float
    load_per_session: float

    @property
    def round_trips(self) -> float:
        """How many round trips a flow takes: one to ask, and a request one more before it, to connect."""
        return 1 + min(1.0, self.load_per_session)

    @property
    def refusal_ms(self) -> float:
        """What it costs to be refused, without the way there."""
        return Oracle().refusal_penalty_ms

    def at_instance_ms(self, sessions: np.ndarray) -> np.ndarray:
        """Return wait, service and chance of refusal in ms of a flow that finds so many sessions."""
        least, most = (int(sessions.min()), int(sessions.max())) if len(sessions) else (0, 0)
        table_ms = np.array([self._of_sessions(count) for count in range(least, most + 1)])
        return np.asarray(table_ms[sessions - least])

    def _of_sessions(self, sessions: int) -> float:
        figures = RawMetrics(self.workers, queue_limit=self.queue_limit, service_time_s=self.service_time_s)
        item = Candidate(_NOBODY, self.site, 0.0, 0.0, figures, 0.0, sessions, self.load_per_session)
        return Oracle().cost(item)


def expected_times(run: RunData, flows: pd.DataFrame) -> dict[str, ExpectedTime]:
    """Return what is to be expected of each instance whose service, site and workers are known, by its name."""
    known = directory(run).dropna()
    reported = _reported(run)
    service_times_s = _service_times_s(run, flows, known["service"], reported)
    loads = {service: _load_per_session(run, flows, service) for service in known["service"].unique()}
    limits = {item.name: item.queue_limit for item in run.manifest.instances}
    return {
        str(name): ExpectedTime(
            service=row.service,
            site=row.site,
            workers=max(1, int(row.workers)),
            queue_limit=_first(limits.get(name), reported["queue_limit"].get(name), _NO_LIMIT),
            service_time_s=service_times_s[str(name)],
            load_per_session=loads[row.service],
        )
        for name, row in zip(known.index, known.itertuples(), strict=True)
    }


def _first(*values: float | None) -> int:
    return int(next(value for value in values if value is not None and not pd.isna(value)))


def _reported(run: RunData) -> pd.DataFrame:
    """Return by instance what its reports said of it: `queue_limit`, and the mean of its `service_time_ms`."""
    names = {item.d_bid: item.name for item in run.manifest.instances if item.d_bid}
    reports = run.metrics[run.metrics["service_time_ms"] > 0]
    by_instance = reports.groupby(reports["d_bid"].astype(object).map(names))
    return by_instance.agg(queue_limit=("queue_limit", "max"), service_time_ms=("service_time_ms", "mean"))


def _service_times_s(
    run: RunData, flows: pd.DataFrame, service_of: pd.Series, reported: pd.DataFrame
) -> Mapping[str, float]:
    """Return the mean service time of each instance.

    Where clients say how much work they bring it is the mean work over the speed, else the mean of what the instance
    reported; 0 if it never did.
    """
    speeds = speeds_where_known(run, flows)
    requests = flows[is_request(flows)]
    work_ms = requests["work_ms"].groupby(requests["service"].astype(object)).mean()
    times_ms = {name: work_ms[service] / speeds[name] for name, service in service_of.items() if name in speeds}
    return {
        name: float(times_ms.get(name, reported["service_time_ms"].get(name, 0.0))) / 1e3 for name in service_of.index
    }


def _load_per_session(run: RunData, flows: pd.DataFrame, service: str) -> float:
    """Return how many workers one session of a service keeps busy: one for a request, for a stream as measured."""
    of_it = flows[flows["service"] == service]
    if is_request(of_it).all():
        return 1.0
    samples = run.instances[(run.instances["service"] == service) & (run.instances["sessions"] > 0)]
    busy = samples["utilisation"] * samples["workers"] + samples["queue_length"]
    return min(1.0, float(busy.sum() / samples["sessions"].sum())) if len(samples) else 1.0
