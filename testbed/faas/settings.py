"""What distinguishes one cluster from another."""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.faas.api.admission import Key
from testbed.faas.delivery.settings import DeliverySettings
from testbed.faas.limits import ClusterLimits
from testbed.faas.pool.pool import PoolSettings


@dataclass(frozen=True)
class ClusterSettings:
    """The settings of a cluster. `kinds`: the runtimes that it has; `blocking_s`: how long a blocking request waits."""

    key: Key
    api_host: str
    kinds: tuple[str, ...]
    namespace: str = "guest"
    layers: frozenset[str] = frozenset()
    pool: PoolSettings = field(default_factory=PoolSettings)
    limits: ClusterLimits = field(default_factory=ClusterLimits)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    blocking_s: float = 60.0
