"""The rules of a scenario: what its sections need of each other, in one list that runs after parsing.

Each rule is a function that raises ValueError beginning with the key. A system adds its own (`System.rules`). What
needs the network is said by `plan`.
"""

from __future__ import annotations

from collections.abc import Callable

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.system import systems

Rule = Callable[[Scenario], None]


def check(scenario: Scenario) -> None:
    """Apply all rules, in order. Raises ValueError for the first that is broken."""
    for rule in (*RULES, *(rule for system in systems() for rule in system.rules)):
        rule(scenario)


def a_system_has_work(scenario: Scenario) -> None:
    """A run without work would measure nothing."""
    keys = [key for system in systems() for key in system.work]
    if keys and not any(getattr(scenario, key) for key in keys):
        raise ValueError(f"{keys[0]}: there is nothing to do; a scenario needs {' or '.join(keys)}")


def something_counts(scenario: Scenario) -> None:
    """What counts comes after the warm-up."""
    if scenario.warm_up_s >= scenario.duration_s:
        raise ValueError(f"warm_up_s: nothing would count; it has to be below duration_s ({scenario.duration_s:g})")


def workloads_fit(scenario: Scenario) -> None:
    """Workloads have names of their own, and windows within the run."""
    used = set()
    for number, workload in enumerate(scenario.workloads):
        if workload.name in used:
            raise ValueError(f"workloads[{number}].name: {workload.name!r} is used twice")
        used.add(workload.name)
        end_s = min(workload.arrivals.end_s or scenario.duration_s, scenario.duration_s)
        if workload.arrivals.start_s >= end_s:
            raise ValueError(f"workloads[{number}].arrivals: the window is empty (duration_s is {scenario.duration_s})")


def captures_have_names(scenario: Scenario) -> None:
    """Each capture is a file."""
    names = [capture.name for capture in scenario.captures]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"captures[{number}].name: {name!r} is used twice")


RULES: tuple[Rule, ...] = (a_system_has_work, something_counts, workloads_fit, captures_have_names)
