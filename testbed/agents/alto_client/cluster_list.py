"""The list of clusters with their resources and the paths to them (step 3), out of copies of ALTO's resources. Pure.

Units are those of the testbed: ms, Mbit/s, per cent; ALTO's are microseconds, bytes per second, per cent (RFC 9439).
Of the two directions of a path the worse one counts. Within a PID ALTO has no costs: there it takes no time, and
nothing is a bottleneck. What the server does not say is left out of the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import unquote

from testbed.agents.alto_client.resources import ADDRESSES
from testbed.alto.maps.network_map import NetworkMap
from testbed.net.addresses import Address

WITHIN_PID_MBPS = 100_000.0
_LARGEST = 1e15  # no resource has more of anything
Rows = Mapping[str, Mapping[str, Any]]


class _Figure(NamedTuple):
    """A figure of a path: the metrics that it may be taken from, the factor to its unit, which direction is worse."""

    metrics: tuple[str, ...]
    factor: float
    worse: Callable[[list[float]], float]
    within_pid: float


_OF_PATHS = {
    "delay_ow_ms": _Figure(("delay-ow",), 1e-3, max, 0.0),
    "delay_rt_ms": _Figure(("delay-rt",), 1e-3, max, 0.0),
    "bandwidth_mbps": _Figure(("bw-available", "bw-residual"), 8e-6, min, WITHIN_PID_MBPS),
    "loss_percent": _Figure(("lossrate",), 1.0, max, 0.0),
    "hops": _Figure(("hopcount",), 1, max, 0.0),
    "distance": _Figure(("routingcost",), 1.0, max, 0.0),
}
_OF_CLUSTERS = {
    "cpus": ".priv:cpus",
    "cpus_free": ".priv:cpus-free",
    "memory_mb": ".priv:memory-mb",
    "memory_free_mb": ".priv:memory-free-mb",
    "slots": ".priv:slots",
    "slots_free": ".priv:slots-free",
    "queue": ".priv:queue",
    "waiting": ".priv:waiting",
}
_RUNTIMES, _FUNCTIONS, _BLOBS = ".priv:runtimes", ".priv:functions", ".priv:blobs"


@dataclass
class Known:
    """What an ALTO client knows. `contact_s`: when the server said something last; None: nothing yet.

    `costs`: rows by metric; `entities`: what is said of each cluster; both as the server has them, believed figure by
    figure. `seen_s`: until when there were resources of a cluster, by entity.
    """

    network: NetworkMap | None = None
    costs: dict[str, Rows] = field(default_factory=dict)
    entities: Rows = field(default_factory=dict)
    contact_s: float | None = None
    seen_s: dict[str, float] = field(default_factory=dict)

    def confirm(self, now_s: float) -> None:
        """Note that the server said something: what it did not change holds."""
        self.contact_s = now_s
        for entity, values in self.entities.items():
            if _has_resources(values):
                self.seen_s[entity] = now_s

    def age_s(self, now_s: float) -> float | None:
        """Return how long the server has said nothing."""
        return None if self.contact_s is None else max(0.0, now_s - self.contact_s)


def document(
    known: Known, user: Address, repository: Address | None, functions: Collection[str], now_s: float
) -> dict[str, Any]:
    """Return the list for users at an address. `functions`: digests; none: all that clusters hold are listed."""
    user_pid = _pid(known, user)
    repository_pid = None if repository is None else _pid(known, repository)
    return {
        "address": str(user),
        "pid": user_pid,
        "repository_pid": repository_pid,
        "age_s": known.age_s(now_s),
        "clusters": list(_clusters(known, user_pid, repository_pid, functions, now_s)),
    }


def _clusters(
    known: Known, user_pid: str | None, repository_pid: str | None, functions: Collection[str], now_s: float
) -> Iterator[dict[str, Any]]:
    for entity, values in sorted(known.entities.items()):
        addresses = _addresses(_object(values).get(ADDRESSES))
        if not addresses:
            continue  # nobody could get there
        pid = _pid(known, addresses[0])
        seen_s = known.seen_s.get(entity)
        yield {
            "cluster": unquote(entity.partition(":")[2]),
            "addresses": [str(address) for address in addresses],
            "pid": pid,
            "age_s": None if seen_s is None else max(0.0, now_s - seen_s),
            **_resources(_object(values), functions),
            "from_user": _path(known, user_pid, pid),
            "from_repository": _path(known, repository_pid, pid),
        }


def _resources(values: Mapping[str, Any], functions: Collection[str]) -> dict[str, Any]:
    figures = {name: _number(values.get(key)) for name, key in _OF_CLUSTERS.items()}
    found: dict[str, Any] = {name: value for name, value in figures.items() if value is not None}
    runtimes = values.get(_RUNTIMES)
    if isinstance(runtimes, Mapping):
        counts = {kind: _number(count) for kind, count in runtimes.items()}
        found["runtimes"] = {kind: int(count) for kind, count in counts.items() if count is not None}
    held = values.get(_FUNCTIONS)
    if isinstance(held, Mapping):
        chosen = {digest: one for digest, one in held.items() if not functions or digest in functions}
        found["functions"] = {digest: _function(one) for digest, one in chosen.items()}
    blobs = values.get(_BLOBS)
    if isinstance(blobs, list):
        found["blobs"] = [digest for digest in blobs if isinstance(digest, str)]
    return found


def _function(said: object) -> dict[str, float]:
    of = _object(said)
    run_ms = _number(of.get("run-ms"))
    return {"warm": int(_number(of.get("warm")) or 0), **({} if run_ms is None else {"run_ms": run_ms})}


def _path(known: Known, there: str | None, here: str | None) -> dict[str, float]:
    if there is None or here is None:
        return {}
    found = {name: _figure(known, figure, there, here) for name, figure in _OF_PATHS.items()}
    return {name: value for name, value in found.items() if value is not None}


def _figure(known: Known, figure: _Figure, there: str, here: str) -> float | None:
    for metric in figure.metrics:
        rows = known.costs.get(metric, {})
        both = (_number(_object(rows.get(source)).get(target)) for source, target in ((there, here), (here, there)))
        costs = [cost for cost in both if cost is not None]
        if costs:
            return figure.worse(costs) * figure.factor
    return figure.within_pid if there == here else None


def _pid(known: Known, address: Address) -> str | None:
    return None if known.network is None else known.network.pid_of(f"ipv{address.version}:{address}")


def _addresses(said: object) -> list[Address]:
    found = []
    for text in said if isinstance(said, list) else []:
        with suppress(ValueError):
            found.append(ip_address(str(text)))
    return found


def _has_resources(values: object) -> bool:
    return any(_number(_object(values).get(key)) is not None for key in _OF_CLUSTERS.values())


def _object(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _number(said: object) -> float | int | None:
    """Return a figure that a resource can have."""
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not math.isfinite(said):
        return None
    return said if 0 <= said <= _LARGEST else None
