"""What a policy has to say: what it costs to choose each cluster. And those that go by parts of an answer's time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import ClassVar, NamedTuple

from testbed.faas.placement.function import Demand, Function
from testbed.faas.placement.prediction import AnswerTime, answer_time
from testbed.faas.placement.views import ClusterView, completed


class Predicted(NamedTuple):
    """A cluster that may be chosen, and the time of an answer from it. The view is completed."""

    view: ClusterView
    time: AnswerTime


class Ranked(NamedTuple):
    """A cluster in a ranking. `cost`: in the policy's unit; `time` is predicted whatever the policy, for the record."""

    cluster: str
    cost: float
    time: AnswerTime
    known_s: float | None


class Margin(NamedTuple):
    """By how much another cluster must be better for a function to move: so that it does not move to and fro.

    What it saves within the horizon must be more than `move_factor` times what the move costs, and more than
    `least_saving` of an answer's present time.
    """

    move_factor: float = 2.0
    least_saving: float = 0.1


class Policy(ABC):
    """Rank clusters by a cost; ties fall by lot. One whose cost is infinite is not chosen.

    `is_everywhere`: a function is to be at all clusters of the ranking, however many replicas it has. `goes_by_time`:
    a user goes to whichever cluster that holds the function ranks best now; else to where it was placed for the site.
    """

    goes_by_time: ClassVar[bool] = False
    is_everywhere: ClassVar[bool] = False

    @abstractmethod
    def costs(self, predicted: Sequence[Predicted], demand: Demand, rng: Random) -> list[float]:
        """Return what it costs to choose each cluster, in any unit, never NaN. They come by their names."""

    def ranking(
        self, function: Function, candidates: Sequence[ClusterView], demand: Demand, rng: Random
    ) -> tuple[Ranked, ...]:
        """Return the clusters that may be chosen (`candidates.candidates`), the best first."""
        views = completed(sorted(candidates, key=lambda view: view.name))
        predicted = [Predicted(view, answer_time(function, view, demand)) for view in views]
        costs = self.costs(predicted, demand, rng)
        lots = [rng.random() for _ in views]
        order = sorted(range(len(views)), key=lambda i: (costs[i], *self.tie(predicted[i]), lots[i]))
        return tuple(
            Ranked(views[i].name, costs[i], predicted[i].time, views[i].known_s) for i in order if costs[i] < math.inf
        )

    def tie(self, predicted: Predicted) -> tuple[float, ...]:  # noqa: ARG002
        """Return what decides between clusters of the same cost, before the lot does."""
        return ()

    def is_worth_moving(self, present: Ranked, other: Ranked, demand: Demand, margin: Margin) -> bool:  # noqa: ARG002
        """Return whether a function that is at one cluster is to move to another; unless a policy says so, not."""
        return False


class TimedPolicy(Policy):
    """Go by parts of the predicted time: of each answer, and of the first one, shared by all within the horizon.

    `refusal_penalty_ms` is what an answer is taken to cost that a full queue refuses, if waiting counts at all.
    """

    goes_by_time = True
    each: ClassVar[tuple[str, ...]]
    once: ClassVar[tuple[str, ...]]

    def __init__(self, refusal_penalty_ms: float = 5000.0) -> None:
        if not 0 <= refusal_penalty_ms < math.inf:
            raise ValueError(f"refusal_penalty_ms must be >= 0 and finite, not {refusal_penalty_ms}")
        self.refusal_penalty_ms = refusal_penalty_ms

    def costs(self, predicted: Sequence[Predicted], demand: Demand, rng: Random) -> list[float]:  # noqa: ARG002
        """The mean time of an answer within the horizon, in ms."""
        return [self._each_ms(item.time) + self._once_ms(item.time) / demand.requests for item in predicted]

    def tie(self, predicted: Predicted) -> tuple[float, ...]:
        """The parts, one by one: a sum of large and small ones may hide the small."""
        return tuple(getattr(predicted.time, part) for part in (*self.each, *self.once))

    def is_worth_moving(self, present: Ranked, other: Ranked, demand: Demand, margin: Margin) -> bool:
        """Weigh what all requests of the horizon save against what the first one at the other cluster waits for."""
        present_ms = self._each_ms(present.time)
        saving_ms = present_ms - self._each_ms(other.time)
        pays = saving_ms * demand.requests > margin.move_factor * self._once_ms(other.time)
        return pays and saving_ms > margin.least_saving * present_ms

    def _each_ms(self, time: AnswerTime) -> float:
        is_refused = time.is_refused and "wait_ms" in self.each
        return _sum(time, self.each) + (self.refusal_penalty_ms if is_refused else 0.0)

    def _once_ms(self, time: AnswerTime) -> float:
        return _sum(time, self.once)


def _sum(time: AnswerTime, parts: tuple[str, ...]) -> float:
    return float(sum(getattr(time, part) for part in parts))
