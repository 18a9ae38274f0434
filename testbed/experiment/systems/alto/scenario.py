"""Function delivery's keys of a scenario: functions, and the clusters that they are delivered to.

Owns the schema; each module of `keys` has a part. What sections need of each other is checked by `rules`. The
descriptions are the documentation.
"""

from __future__ import annotations

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.schema_parts import Name
from testbed.experiment.systems.alto.keys.alto import AltoKeys
from testbed.experiment.systems.alto.keys.cluster import ClusterKeys
from testbed.experiment.systems.alto.keys.delivery import DeliveryKeys
from testbed.experiment.systems.alto.keys.function import FunctionKeys
from testbed.experiment.systems.alto.keys.workload import InvokeKeys


class AltoScenario(Scenario):
    """A scenario with the keys of function delivery."""

    functions: dict[Name, FunctionKeys] = {}
    """Functions, by name."""
    clusters: tuple[ClusterKeys, ...] = ()
    """Edge computing clusters, one at a site."""
    alto: AltoKeys | None = None
    """An ALTO server in the network."""
    delivery: DeliveryKeys | None = None
    """How functions come to clusters over the network; default: what a cluster is to hold is there from the start."""

    @property
    def is_placed(self) -> bool:
        """Whether a cluster client places functions while the load goes on."""
        return self.delivery is not None and self.delivery.site is not None

    @property
    def invocations(self) -> tuple[tuple[int, InvokeKeys], ...]:
        """The workloads that invoke functions, with their numbers."""
        return tuple((number, item) for number, item in enumerate(self.workloads) if isinstance(item, InvokeKeys))
