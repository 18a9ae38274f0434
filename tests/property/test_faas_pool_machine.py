"""The container pool in any order of requests, reports and time: memory, one run at a time, nothing lost."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from testbed.faas.activations.outcome import Failure
from testbed.faas.orders import Initialize, Run, StartContainer, StopContainer
from testbed.faas.pool.container import Shape
from tests.faas_samples import ACTIONS, ACTIVATIONS, PlayedCluster

MEMORY_MB, SLOTS, QUEUE = 1024, 4, 5
NAMES = ("small", "large", "other")
MEMORY_OF = {"small": 128, "large": 512, "other": 256}


class PoolMachine(RuleBasedStateMachine):
    """Containers are played by Hypothesis: they answer, fail, end, or are late, in any order."""

    @initialize(prewarmed=st.integers(0, 2))
    def begin(self, prewarmed: int) -> None:
        self.cluster = PlayedCluster(
            memory_mb=MEMORY_MB, slots=SLOTS, queue=QUEUE, keep_alive_s=20.0, queue_wait_s=30.0,
            prewarmed={Shape("python:3", (), 128): prewarmed},
        )  # fmt: skip
        self.memory_mb: dict[int, int] = {}  # of containers that have not ended
        self.stopping: set[int] = set()
        self.owed: dict[int, str] = {}  # what a container was asked for, and has not answered
        self.accepted: set[str] = set()
        self.waiting: set[int] = set()
        for name in NAMES:
            self.cluster.create(name, limits={"memory": MEMORY_OF[name], "timeout": 5000})
        self.cluster.core.begin(0.0)
        self._look()

    def _look(self) -> None:
        self.cluster.collect()
        for order in self.cluster.take_all():
            self._on_order(order)

    def _on_order(self, order: Any) -> None:
        match order:
            case StartContainer(number, _, _, memory_mb):
                assert number not in self.memory_mb
                self.memory_mb[number] = memory_mb
                assert sum(self.memory_mb.values()) <= MEMORY_MB
                assert len(self.memory_mb) <= SLOTS
                self.owed[number] = "start"
            case Initialize(number):
                assert number not in self.owed and number not in self.stopping
                self.owed[number] = "init"
            case Run(number):
                assert number not in self.owed and number not in self.stopping, "one run at a time"
                self.owed[number] = "run"
            case StopContainer(number):
                assert number not in self.stopping, "a container is stopped once"
                self.stopping.add(number)

    @rule(name=st.sampled_from(NAMES), blocking=st.booleans())
    def invoke(self, name: str, blocking: bool) -> None:
        number = self.cluster.ask("POST", f"{ACTIONS}/{name}", {}, blocking=str(blocking).lower())
        answer = self.cluster.answers.get(number)
        if answer is None:
            self.waiting.add(number)
        elif answer.status == 202:
            self.accepted.add(answer.document["activationId"])
        else:
            assert answer.status in (503, 500)
        self._look()

    @precondition(lambda self: self.owed)
    @rule(data=st.data(), well=st.booleans())
    def answer(self, data: st.DataObject, well: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.owed)))
        what = self.owed.pop(number)
        if what == "start":
            self.cluster.started(number)
        elif what == "init":
            self.cluster.initialized(number, 200 if well else 502)
        else:
            self.cluster.ran(number, {"done": True}, status=200 if well else 502)
        self._look()

    @precondition(lambda self: self.memory_mb)
    @rule(data=st.data(), failure=st.sampled_from([*Failure]))
    def end(self, data: st.DataObject, failure: Failure) -> None:
        number = data.draw(st.sampled_from(sorted(self.memory_mb)))
        self._end(number, failure)

    def _end(self, number: int, failure: Failure) -> None:
        del self.memory_mb[number]
        self.owed.pop(number, None)
        self.stopping.discard(number)
        self.cluster.ended(number, failure)
        self._look()

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def answer_what_was_not_asked(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.stopping) or [999]))
        self.cluster.ran(number, {"late": True})
        self.cluster.started(number)
        self._look()

    @rule(name=st.sampled_from(NAMES))
    def change(self, name: str) -> None:
        self.cluster.create(name, limits={"memory": MEMORY_OF[name], "timeout": 5000})
        self._look()

    @rule(seconds=st.floats(0.01, 40.0))
    def pass_time(self, seconds: float) -> None:
        self.cluster.pass_s(seconds)
        self._look()

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "cluster"):
            return
        state = self.cluster.state
        assert state["memory_used_mb"] == sum(self.memory_mb.values()) <= MEMORY_MB
        assert sum(state["containers"].values()) == len(self.memory_mb) <= SLOTS
        assert state["waiting"] <= QUEUE

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        self.cluster.core.close(self.cluster.now_s)
        self._look()
        for number in list(self.memory_mb):
            self._end(number, Failure.EXITED)
        self.cluster.pass_s(100.0)
        assert self.cluster.state["in_flight"] == 0
        assert self.waiting <= self.cluster.answers.keys(), "every request is answered"
        for activation_id in self.accepted:
            assert self.cluster.answer("GET", f"{ACTIVATIONS}/{activation_id}").status == 200, "every activation ends"


TestPool = PoolMachine.TestCase
TestPool.settings = settings(stateful_step_count=40, deadline=None)
