"""What the benchmarks of flow set-up share: ways of steering to flood in alternation, and the minimal app among them.

The rate of a way is how many flows reach an instance while more are offered than it can serve: what it sustains
under overload, its collapse included, if it collapses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median, quantiles

from testbed.benchmarks.harness import Better, Goal, Row, compare
from testbed.benchmarks.instruments.edge import D_SID, Edge
from testbed.benchmarks.instruments.flood import Flood, Outcome
from testbed.emulation.switches import bridges
from testbed.runtime.caller import python_module
from testbed.runtime.polling import wait_until

INSTANCES = 4
_PERCENT = 100

Figure = Callable[[Outcome], float]


def rate_per_s(outcome: Outcome) -> float:
    """Return the rate at which flows were served while they were offered."""
    return outcome.served_per_s


def median_delay_ms(outcome: Outcome) -> float:
    """Return the median delay of first packets."""
    return median(outcome.delays_ms())


def p99_delay_ms(outcome: Outcome) -> float:
    """Return the 99th percentile of the delays of first packets."""
    return quantiles(outcome.delays_ms(), n=_PERCENT)[-1]


def served_percent(outcome: Outcome) -> float:
    """Return the share of flows that reached an instance in the end."""
    return _PERCENT * outcome.served / outcome.offered


@contextmanager
def minimal_app(edge: Edge, ingress: str) -> Iterator[int]:
    """Have the minimal app steer an ingress; yields its process id."""
    listening, bridge = edge.network.controller_socket(ingress), edge.network.bridge(ingress)
    d_bids = [edge.address(instance) for instance in edge.instances]
    arguments = [str(listening), D_SID, str(bridge.uplink_port), *d_bids]
    with edge.controller(ingress, python_module("testbed.benchmarks.ingress.minimal_app", *arguments)) as pid:
        wait_until(lambda: bridges.has_controller(bridge.name), 30, f"the minimal app to have the switch of {ingress}")
        yield pid


def flooded(
    edge: Edge, floods: Mapping[str, Flood], rounds: int, rate_per_s: float, duration_s: float
) -> dict[str, list[Outcome]]:
    """Offer the same load to each ingress in turn, the first of each round changing; forget the flows in between."""
    outcomes: dict[str, list[Outcome]] = {ingress: [] for ingress in floods}
    for number in range(rounds):
        for ingress in list(floods)[:: 1 if number % 2 else -1]:
            outcomes[ingress].append(floods[ingress].offer(rate_per_s, duration_s))
            edge.forget_flows(ingress)
    return outcomes


def compared(
    name: str,
    unit: str,
    figure: Figure,
    ours: Sequence[Outcome],
    baseline: Sequence[Outcome],
    note: str,
    goal: Goal | None = None,
) -> Row:
    """Return the row of a figure of two ways that were flooded in alternation."""
    own, other = map(figure, ours), map(figure, baseline)
    return compare(name, unit, own.__next__, other.__next__, len(ours), note=note, goal=goal)


def at_least(limit: float) -> Goal:
    """Return the goal of a figure that should be high."""
    return Goal(limit, Better.HIGHER)
