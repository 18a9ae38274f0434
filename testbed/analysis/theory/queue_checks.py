"""Service instances against queueing theory: M/M/c where arrivals and work are Poisson and exponential, Little always.

Owns how the events at an instance are put together: a request arrives when the instance has read it
(`affinity.last_s`), and has left when its client has the answer (`flows.finished_s`), less the delay of the way home.
What the machine takes for that way is in no delay. It only ever adds, so intervals are widened towards less: by LATE_S,
and LATE_TIMES as much as clients were late on average to send their requests, which says how busy the machine was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from testbed.analysis.flows.attribution import seen_flows, served_flows
from testbed.analysis.run_data.configured import Configured
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.theory.formulas import batch_means, erlang_c, mean_number, mean_sojourn_s
from testbed.analysis.theory.theory_outcomes import CONFIDENCE, LeftOut, Outcome, TheoryCheck
from testbed.records.manifest import InstanceEntry

LATE_S, LATE_TIMES = 0.001, 3.0
WARM_UP_SHARE = 0.05  # of the run: a queue that begins empty is not in its steady state yet
_LEAST_REQUESTS = 200


@dataclass(frozen=True)
class Events:
    """The requests that an instance served to their end, in order of arrival; times in seconds."""

    arrived_s: np.ndarray
    left_s: np.ndarray
    work_s: np.ndarray  # at the instance's speed; NaN where the instance drew it
    samples_s: np.ndarray  # when the instance said how many were there
    sampled: np.ndarray  # how many: in service and waiting
    busy_share: np.ndarray  # of its workers, over the second before
    late_s: float  # what the machine may have added to each time on average
    since_s: float
    until_s: float

    def present(self, times_s: np.ndarray) -> np.ndarray:
        """Return how many requests were in the system just before each time."""
        arrived = np.searchsorted(self.arrived_s, times_s, side="left")
        return arrived - np.searchsorted(np.sort(self.left_s), times_s, side="left")

    @property
    def counted(self) -> np.ndarray:
        """Which requests arrived after the warm-up and before the end."""
        return (self.arrived_s >= self.since_s) & (self.arrived_s < self.until_s)


@dataclass(frozen=True)
class Queue:
    """What M/M/c takes: arrivals per second, mean service in seconds, servers."""

    arrivals_per_s: float
    service_s: float
    workers: int


class _DoesNotApplyError(Exception):
    """Why there is no theory for an instance."""


def queue_checks(run: RunData, meant: Configured) -> Iterator[Outcome]:
    """Check each instance that served requests."""
    seen = seen_flows(run)
    flows = served_flows(run, seen)
    for instance in run.manifest.instances:
        name, service = instance.name, meant.scenario["services"].get(instance.service, {})
        if service.get("kind") != "http":
            continue
        try:
            events = _events(run, meant, instance, flows, seen)
        except _DoesNotApplyError as reason:
            yield LeftOut(name, str(reason))
            continue
        yield little(name, events)
        try:
            queue = _queue(run, meant, instance)
        except _DoesNotApplyError as reason:
            yield LeftOut(name, f"no M/M/c: {reason}")
            continue
        yield from against_mmc(name, queue, events)


def little(name: str, events: Events) -> TheoryCheck:
    """Compare the number that an instance says it holds with the arrival rate times the time that clients wait there.

    The mean of a few samples is noisy, and nearly all of that noise is known: it is in the number present at those
    moments by the events, whose mean over all time is known, too. So only the difference of the two counts is noise.
    """
    duration_s = events.until_s - events.since_s
    counted = events.counted
    sojourns_s = (events.left_s - events.arrived_s)[counted]
    rate_per_s = counted.sum() / duration_s
    here = (events.samples_s >= events.since_s) & (events.samples_s < events.until_s)
    difference = batch_means((events.sampled[here] - events.present(events.samples_s[here])).astype(float), CONFIDENCE)
    inside_s = np.clip(events.left_s, events.since_s, events.until_s) - np.clip(
        events.arrived_s, events.since_s, events.until_s
    )
    figure = difference.plus(float(inside_s.sum()) / duration_s)
    # At either end of the window there are some who came before it, or left after it; the last digit is rounded.
    edges = 1e-9 + float(inside_s[~counted].sum() + (sojourns_s - inside_s[counted]).sum()) / duration_s
    figure = figure.widened(edges, float(rate_per_s * events.late_s) + edges)
    expected = mean_number(float(rate_per_s), float(sojourns_s.mean()))
    return TheoryCheck("number in the system: Little's law", name, "requests", figure, expected)


def against_mmc(name: str, queue: Queue, events: Events) -> Iterator[TheoryCheck]:
    """Compare with M/M/c: sojourn time, share that waits, utilisation; and service times with the work there was."""
    counted = events.counted
    sojourns_s = (events.left_s - events.arrived_s)[counted]
    met = events.present(events.arrived_s)[counted]
    waits = met >= queue.workers
    offered = queue.arrivals_per_s * queue.service_s
    sojourn_s = batch_means(sojourns_s, CONFIDENCE).widened(events.late_s)
    yield TheoryCheck(
        f"sojourn time: M/M/{queue.workers}", name, "ms", sojourn_s.times(1e3),
        1e3 * mean_sojourn_s(queue.arrivals_per_s, queue.service_s, queue.workers),
    )  # fmt: skip
    # Who meets just as many as there are workers may have met one that was about to be noted as gone.
    doubtful = float((met == queue.workers).mean()) * min(1.0, queue.workers / queue.service_s * events.late_s)
    share = batch_means(waits.astype(float), CONFIDENCE).widened(doubtful)
    yield TheoryCheck("share that waits: Erlang C", name, "%", share.times(100), 100 * erlang_c(queue.workers, offered))
    here = (events.samples_s >= events.since_s) & (events.samples_s < events.until_s)
    busy = batch_means(events.busy_share[here], CONFIDENCE)
    yield TheoryCheck("utilisation: offered load", name, "%", busy.times(100), 100 * offered / queue.workers)
    served_s, work_s = sojourns_s[~waits], events.work_s[counted][~waits]
    if np.isfinite(work_s).all() and len(work_s):
        # The median: a process that the machine halts for a moment says nothing of the work.
        beyond_s = batch_means(served_s - work_s, CONFIDENCE, of=np.median).widened(events.late_s)
        yield TheoryCheck(
            "service time less the work, of who does not wait: none", name, "ms", beyond_s.times(1e3), 0.0
        )
    else:
        figure = batch_means(served_s, CONFIDENCE).widened(events.late_s)
        yield TheoryCheck(
            "service time of who does not wait: the scenario's", name, "ms", figure.times(1e3), 1e3 * queue.service_s
        )


# -- from a run ----------------------------------------------------------------------------------------


def _events(
    run: RunData, meant: Configured, instance: InstanceEntry, flows: pd.DataFrame, seen: pd.DataFrame
) -> Events:
    """Put the requests of an instance together. Raises _DoesNotApplyError."""
    name = instance.name
    if run.manifest.faults:
        raise _DoesNotApplyError("faults hit the run, and a queue that breaks has no steady state")
    of_it = flows[flows["instance"] == name]
    if len(of_it) < _LEAST_REQUESTS:
        raise _DoesNotApplyError(f"it served {len(of_it)} requests, and {_LEAST_REQUESTS} are the least")
    failed = int((of_it["outcome"] != "ok").sum())
    if failed:
        raise _DoesNotApplyError(f"{failed} of its requests were not served to the end")
    rows = seen[(seen["instance"] == name) & (seen["flow"] >= 0)]
    arrived_s = rows.drop_duplicates("flow", keep="last").set_index("flow")["last_s"]
    joined = of_it.assign(arrived_s=arrived_s.reindex(of_it.index).to_numpy()).dropna(subset="arrived_s")
    joined = joined.sort_values("arrived_s", kind="stable")
    home_s = {
        client: 1e-3 * sum(hop.spec.delay_ms for hop in meant.hops(client, instance.host or name))
        for client in joined["client"].astype(str).unique()
    }
    samples = run.instances[run.instances["instance"] == name].sort_values("time_s")
    duration_s = run.end_s - run.start_s
    return Events(
        arrived_s=joined["arrived_s"].to_numpy(),
        left_s=joined["finished_s"].to_numpy() - joined["client"].astype(str).map(home_s).to_numpy(),
        work_s=joined["work_ms"].to_numpy() * 1e-3 / instance.speed,
        samples_s=samples["time_s"].to_numpy(),
        sampled=(samples["busy_workers"] + samples["queue_length"]).to_numpy(),
        busy_share=samples["utilisation"].to_numpy(),
        late_s=LATE_S + LATE_TIMES * float((joined["started_s"] - joined["due_s"]).clip(lower=0).mean()),
        since_s=max(run.counts_from_s, run.start_s + max(1.0, WARM_UP_SHARE * duration_s)),
        until_s=run.end_s,
    )


def _queue(run: RunData, meant: Configured, instance: InstanceEntry) -> Queue:
    """Return the queue that the scenario makes of an instance. Raises _DoesNotApplyError unless it is M/M/c."""
    name, service = instance.name, str(instance.service)
    peers = [item for item in run.manifest.instances if item.service == service]
    shared = len(peers) > 1 and meant.policy_of(service) == "random"
    if len(peers) > 1 and not shared:
        raise _DoesNotApplyError(
            f"{len(peers)} instances share the service by state or turn, so arrivals are not Poisson"
        )
    keys: Mapping[str, Any] = next(
        (
            item
            for item in meant.scenario["instances"]
            if item["service"] == service and instance.site == (item.get("site") or instance.site)
        ),
        {},
    )
    if keys.get("mode", "clock") != "clock":
        raise _DoesNotApplyError("mode burn: its service times are the machine's")
    works = [item for item in meant.scenario["workloads"] if item.get("service") == service]
    if not works:
        raise _DoesNotApplyError("no workload of this scenario went there")
    means_ms = set()
    for workload in works:
        arrivals = workload["arrivals"]
        whole = not arrivals.get("start_s") and arrivals.get("end_s") is None
        if arrivals["process"] != "poisson" or not whole:
            raise _DoesNotApplyError(f"workload {workload['name']} is not Poisson over the whole run")
        work = workload.get("work") or keys.get("service_time") or {}
        if work.get("distribution") != "exponential":
            raise _DoesNotApplyError(f"the work of workload {workload['name']} is not exponential")
        means_ms.add(float(work["mean_ms"]))
    if len(means_ms) > 1:
        raise _DoesNotApplyError("its workloads differ in work: together that is not exponential")
    rate_per_s = sum(float(item["arrivals"]["rate_per_s"]) for item in works) / (len(peers) if shared else 1)
    queue = Queue(rate_per_s, 1e-3 * means_ms.pop() / instance.speed, instance.workers or 1)
    if queue.arrivals_per_s * queue.service_s >= queue.workers:
        raise _DoesNotApplyError(f"{name} was offered more than it can serve")
    return queue
