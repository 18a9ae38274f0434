"""Which instance gets the next flow: one file per policy, one registration each.

A policy gives weights over the candidates. Reactive mode draws one instance from them; datapath mode has the switch
spread flows by them. "Pick the best" is a weight of one. A policy that goes by a cost or a weight of each candidate
alone (`LeastCost`, `BestOfTwo`, `Proportional`) says that instead: its selector (`selectors`) chooses without looking
at all candidates.
"""

from testbed.dyncast.policies import (
    closest,
    dyncast,
    least_loaded,
    oracle,
    power_of_two,
    random_choice,
    round_robin,
    static,
    weighted,
)
from testbed.dyncast.policies.base import BestOfTwo, LeastCost, Policy, PolicyFactory, Proportional
from testbed.dyncast.policies.candidate import Candidate
from testbed.dyncast.policies.oracle import ORACLE
from testbed.parameters import create_with

POLICIES: dict[str, PolicyFactory] = {
    "static": static.Static,
    "closest": closest.Closest,
    "random": random_choice.RandomChoice,
    "round_robin": round_robin.RoundRobin,
    "weighted": weighted.Weighted,
    "power_of_two": power_of_two.PowerOfTwo,
    "least_loaded": least_loaded.LeastLoaded,
    "dyncast": dyncast.DyncastPolicy,
    oracle.ORACLE: oracle.Oracle,
}


def create(name: str, **parameters: float | str) -> Policy:
    """Return a new policy. Raises ValueError naming the policies there are, or the bad parameter."""
    if name not in POLICIES:
        raise ValueError(f"unknown policy {name!r}; there are: {', '.join(sorted(POLICIES))}")
    return create_with(name, POLICIES[name], parameters)


__all__ = [
    "ORACLE",
    "POLICIES",
    "BestOfTwo",
    "Candidate",
    "LeastCost",
    "Policy",
    "PolicyFactory",
    "Proportional",
    "create",
]
