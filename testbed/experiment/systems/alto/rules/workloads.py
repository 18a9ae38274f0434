"""What invocations need: a function that is there, at a cluster that holds it."""

from __future__ import annotations

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.schema_parts import check_known
from testbed.experiment.systems.alto.scenario import AltoScenario


def invocations_find_a_cluster(scenario: Scenario) -> None:
    """An invocation is of a function that some cluster holds: the one that is asked, if one is named."""
    keys = AltoScenario.of(scenario)
    for number, workload in keys.invocations:
        check_known(f"workloads[{number}].function", workload.function, keys.functions)
        holders = keys.functions[workload.function].delivered_to
        if not holders and not keys.is_placed:
            raise ValueError(
                f"workloads[{number}].function: no cluster holds {workload.function!r}; say which do, in "
                f"functions.{workload.function}.delivered_to"
            )
        if workload.to is not None and workload.to not in holders:
            raise ValueError(
                f"workloads[{number}].to: {workload.function!r} is not delivered to {workload.to!r}; it is to "
                f"{', '.join(holders)}"
            )
