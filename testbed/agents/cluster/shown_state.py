"""What a cluster is like at this moment, for the policy `oracle`: shown out of band, where others send reports.

In the words of the ALTO client's list of clusters, so that one reader serves both. Use of the processors is not in it:
that is a mean over time, and has no value of a moment.
"""

from __future__ import annotations

from typing import Any

from testbed.agents.host.resource_use import cores_available
from testbed.faas.cluster import Cluster


def state_of(core: Cluster, cpus_of_one: float) -> dict[str, Any]:
    """Return what a cluster has, what of it is free, and what it holds. `cpus_of_one`: of one container."""
    usage, pool, deliveries = core.usage(), core.settings.pool, core.deliveries
    return {
        "cpus": min(cpus_of_one * pool.slots, cores_available()),
        "memory_mb": pool.memory_mb,
        "memory_free_mb": max(0, pool.memory_mb - usage.busy_memory_mb),
        "slots": pool.slots,
        "slots_free": max(0, pool.slots - usage.busy),
        "queue": pool.queue,
        "waiting": core.waiting,
        "runtimes": {kind: usage.prewarmed.get(kind, 0) for kind in core.settings.kinds},
        "functions": {
            digest: {"warm": usage.warm.get(name, 0), **_run_ms(usage.run_s.get(name))}
            for name, digest in deliveries.functions.items()
        },
        "blobs": sorted({blob.digest for blob in deliveries.blobs}),
    }


def _run_ms(run_s: float | None) -> dict[str, float]:
    return {} if run_s is None else {"run_ms": 1e3 * run_s}
