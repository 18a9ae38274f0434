"""Functions with a D-SID, as services that another system steers users to: which clusters may serve each. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.agents.cluster.function_metrics import path_of
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.system import OfferedInstance, OfferedService
from testbed.experiment.systems.alto.keys.function import FunctionKeys
from testbed.experiment.systems.alto.plan.plan import CLUSTER_ADMIN_PORT, CLUSTER_PORT, cluster_name
from testbed.experiment.systems.alto.scenario import AltoScenario


def services(scenario: Scenario) -> Iterator[OfferedService]:
    """Yield the functions that are steered by their D-SIDs."""
    keys = AltoScenario.of(scenario)
    for name, function in keys.functions.items():
        of = function.steered
        if of is not None:
            instances = tuple(_instances(name, function, keys))
            key = f"functions.{name}.steering"
            yield OfferedService(key, name, of.d_sid, CLUSTER_PORT, of.policy, of.idle_s, instances)


def _instances(name: str, function: FunctionKeys, keys: AltoScenario) -> Iterator[OfferedInstance]:
    """Yield the clusters that hold a function, or may come to: those that have the memory for it."""
    for cluster in keys.clusters:
        holds = cluster.site in function.delivered_to
        if holds or (keys.is_placed and function.memory_mb <= cluster.memory_mb):
            host = cluster_name(cluster.site)
            yield OfferedInstance(host, host, cluster.site, CLUSTER_ADMIN_PORT, path_of(name), is_first=holds)
