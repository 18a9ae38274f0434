"""At which clusters a function should be for the users of a site: one file per policy, one registration each.

A policy ranks the clusters that may be chosen (`candidates`), the best first. Those that go by time (`TimedPolicy`)
say which parts of a predicted answer they look at; what they save is weighed against what a move costs.
"""

from collections.abc import Callable

from testbed.faas.placement.policies import (
    alto,
    alto_network,
    cloud,
    everywhere,
    load_only,
    nearest,
    oracle,
    random_choice,
)
from testbed.faas.placement.policies.base import Margin, Policy, Predicted, Ranked, TimedPolicy
from testbed.faas.placement.policies.oracle import ORACLE
from testbed.parameters import create_with

POLICIES: dict[str, Callable[..., Policy]] = {
    "alto": alto.Alto,
    "alto_network": alto_network.AltoNetwork,
    "load_only": load_only.LoadOnly,
    "nearest": nearest.Nearest,
    "random": random_choice.RandomChoice,
    "everywhere": everywhere.Everywhere,
    "cloud": cloud.Cloud,
    oracle.ORACLE: oracle.Oracle,
}


def create(name: str, **parameters: float | str) -> Policy:
    """Return a new policy. Raises ValueError naming the policies there are, or the bad parameter."""
    if name not in POLICIES:
        raise ValueError(f"unknown policy {name!r}; there are: {', '.join(sorted(POLICIES))}")
    return create_with(name, POLICIES[name], parameters)


__all__ = ["ORACLE", "POLICIES", "Margin", "Policy", "Predicted", "Ranked", "TimedPolicy", "create"]
