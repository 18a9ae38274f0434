"""A run that seems to go on: writes what its processes would write, as far as one lets it, and reads it live.

The demo's network under a hot spot, with a link that is cut and an instance that crashes.
"""

from __future__ import annotations

import random
from pathlib import Path
from types import TracebackType

from testbed.experiment.live.flow_rates import FLUSH_S
from testbed.experiment.live.state import LiveReader, LiveState
from testbed.experiment.progress import InstanceLoad
from testbed.experiment.scenario import file as scenario_file
from testbed.experiment.systems.dyncast.demo import DEMO
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.writer import RecordWriter
from tests.scenarios import dyncast_plan

START_S = 5000.0
FAULTS = [
    {"kind": "link_down", "link": ["chicago", "Chicago"], "at_s": 6, "until_s": 9},
    {"kind": "instance_crash", "instance": "render-1@washington", "at_s": 7},
    {"kind": "agent_silent", "site": "denver", "at_s": 30},
]
_STEP_S = 0.05


def demo_plan(**changes: object) -> DyncastPlan:
    """Return the plan of the demo, with faults."""
    return dyncast_plan(scenario_file.load(DEMO.scenario, {"faults": FAULTS, **changes}), DEMO.scenario)


class SampleRun:
    """Write into `work` and read from it."""

    def __init__(self, plan: DyncastPlan, work: Path, seed: int = 1) -> None:
        self._plan = plan
        self._rng = random.Random(seed)
        self._now_s = START_S
        self._writers = {client.name: RecordWriter(work, client.name) for client in plan.clients}
        self._decisions = RecordWriter(work, "control@new-york")
        self._faults = RecordWriter(work, "faults")
        self._done = dict.fromkeys((item.name for item in plan.instances), 0)
        self._reader = LiveReader(plan, work, START_S)

    def __enter__(self) -> SampleRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        for writer in (*self._writers.values(), self._decisions, self._faults):
            writer.close()

    def at(self, elapsed_s: float) -> LiveState:
        """Let the run go on, and return what a watcher sees then: all rows up to a moment before have come."""
        while self._now_s < START_S + elapsed_s - FLUSH_S:
            self._now_s += _STEP_S
            for client in self._plan.clients:
                rate_per_s = 17.0 if client.site == "new-york" else 3.0
                if self._rng.random() < rate_per_s * _STEP_S:
                    self._request(client.name, client.site)
            if self._rng.random() < 1.2 * _STEP_S:
                self._call()
            self._break()
        for writer in (*self._writers.values(), self._decisions, self._faults):
            writer.flush()
        return self._reader.read(START_S + elapsed_s, self._loads(START_S + elapsed_s))

    def _request(self, client: str, ingress: str) -> None:
        sites = [item.site for item in self._plan.instances if item.service == "render"]
        near = {"new-york": "chicago"}.get(ingress, ingress)
        site = near if self._rng.random() < 0.6 else self._rng.choice(sites)
        took_s = self._rng.gammavariate(3, 0.03)
        outcome = "refused" if site == "new-york" and self._rng.random() < 0.3 else "ok"
        self._done[f"render-1@{site}"] += outcome == "ok"
        self._writers[client].write(
            "flows",
            {"client": client, "ingress": ingress, "service": "render", "kind": "http", "d_sid": "203.0.113.10",
             "instance": f"render-1@{site}", "due_s": self._now_s - took_s, "started_s": self._now_s - took_s + 0.0004,
             "finished_s": self._now_s, "completion_ms": took_s * 1e3, "outcome": outcome},
        )  # fmt: skip

    def _call(self) -> None:
        item = self._rng.choice([item for item in self._plan.instances if item.service == "conference"])
        source = self._plan.addresses.host("client-1@new-york").ipv4.ip
        self._decisions.write(
            "decisions",
            {"time_s": self._now_s, "d_router": "new-york", "service": "conference", "d_sid": "203.0.113.20",
             "src": source, "d_bid": item.d_bid, "egress": item.site},
        )  # fmt: skip

    def _break(self) -> None:
        for fault in self._plan.faults:
            for event, due_s in (("begin", fault.at_s), ("end", fault.until_s)):
                if due_s is not None and self._now_s - _STEP_S < START_S + due_s <= self._now_s:
                    self._faults.write("faults", {"number": fault.number, "time_s": self._now_s, "event": event})

    def _loads(self, now_s: float) -> list[InstanceLoad]:
        loads = []
        for item in self._plan.instances:
            if item.name == "render-1@washington" and now_s >= START_S + 7:
                continue
            busy = self._rng.randint(0, item.keys.workers)
            queue = self._rng.randint(2, 9) if item.name == "render-1@new-york" else 0
            use = min(1.0, 0.2 + 0.6 * busy / item.keys.workers)
            loads.append(
                InstanceLoad(item.name, busy, item.keys.workers, queue, self._done[item.name], queue * 3, busy + queue,
                             use, now_s)
            )  # fmt: skip
        return loads
