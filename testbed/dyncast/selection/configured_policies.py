"""The policies of one node, with the parameters that it is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from testbed.dyncast import policies
from testbed.dyncast.policies import Policy
from testbed.dyncast.selection.selection import REFRESH_INTERVAL_S, Selection
from testbed.dyncast.selection.view import InstanceView


@dataclass(frozen=True)
class ConfiguredPolicies:
    """Makes policies, and selections by them that all draw from `rng`. `parameters`: by the name of a policy."""

    parameters: Mapping[str, Mapping[str, float | str]]
    rng: Random

    def create(self, name: str) -> Policy:
        """Return a new policy. Raises ValueError for one that there is not, or a bad parameter."""
        return policies.create(name, **self.parameters.get(name, {}))

    def selection(
        self, view: InstanceView, policy: Policy, refresh_interval_s: float = REFRESH_INTERVAL_S
    ) -> Selection:
        """Return what chooses by a policy among the instances of a view."""
        return Selection(view, policy, self.rng, refresh_interval_s)
