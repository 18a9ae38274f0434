"""What delivery over the network needs: functions that it can carry."""

from __future__ import annotations

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.systems.alto.scenario import AltoScenario
from testbed.faas.delivery.manifest import is_layer_name


def deliveries_carry_all_of_a_function(scenario: Scenario) -> None:
    """A manifest has no parameters, and layers of plain names."""
    keys = AltoScenario.of(scenario)
    if keys.delivery is None:
        return
    if not keys.functions:
        raise ValueError("delivery: there are no functions that could be delivered")
    if keys.is_placed and keys.alto is None:
        raise ValueError("alto: the cluster client of delivery.site goes by an ALTO server; say at which site one is")
    for name, function in keys.functions.items():
        if function.parameters:
            raise ValueError(
                f"functions.{name}.parameters: a function that is delivered brings none; say them in parameters of its "
                "workloads"
            )
        for layer in function.layers:
            if not is_layer_name(layer):
                raise ValueError(f"functions.{name}.layers.{layer}: a layer has a name of letters, digits, _ . and -")
