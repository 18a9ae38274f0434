"""The true paths of function delivery, for the policy `oracle`: as links are configured, or as faults make them. Pure.

A path leads from the edge router of a site, or from the repository, to the host of a cluster, as routing leads it; what
a fault does to a link on it counts from that moment on, and a link that is cut loses everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from testbed.experiment.systems.alto.plan.plan import AltoPlan
from topologies import routing
from topologies.spec import LinkSpec

Present = Callable[[str, str], LinkSpec | None]  # what a link between two nodes does now; None: it loses all


def true_paths(plan: AltoPlan, present: Present) -> dict[str, Any]:
    """Return the paths to each cluster, by where they begin, in the words of the ALTO client's list."""
    sites = sorted({client.site for client in plan.clients})
    return {
        "from_user": {
            site: {item.name: _path(plan, site, item.site, present, ends=(item.name,)) for item in plan.clusters}
            for site in sites
        },
        "from_repository": {}
        if plan.repository is None
        else {
            item.name: _path(plan, plan.repository.site, item.site, present, ends=(plan.repository.name, item.name))
            for item in plan.clusters
        },
    }


def _path(plan: AltoPlan, site: str, other: str, present: Present, *, ends: tuple[str, ...]) -> dict[str, float]:
    """Return a path between two sites, and on to hosts there. It leads back as it leads there."""
    routers = routing.path(plan.topology, site, other)
    links = [present(*hop) for hop in pairwise(routers)]
    links += [present(host, plan.topology.site_of(host)) for host in ends]
    delay_ms = sum(link.delay_ms for link in links if link is not None)
    rates_mbps = [link.rate_mbps for link in links if link is not None and link.rate_mbps is not None]
    return {
        "delay_ow_ms": delay_ms,
        "delay_rt_ms": 2 * delay_ms,
        "loss_percent": _loss_percent(links),
        **({"bandwidth_mbps": min(rates_mbps)} if rates_mbps else {}),
    }


def _loss_percent(way: Iterable[LinkSpec | None]) -> float:
    arrives = 1.0
    for link in way:
        arrives *= 0.0 if link is None else 1 - link.loss_percent / 100
    return 100 * (1 - arrives)
