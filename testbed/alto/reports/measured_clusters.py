"""What clusters have, as their reports say: properties of entities (RFC 9240) and of endpoints (RFC 7285). Pure.

A cluster is an abstract network element, `.ane:NAME`, with its addresses; what it did not report for `lifetime_s` is
left out. A report may come in parts: what a cluster holds is what the last report says of which all parts came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from testbed.alto.maps.entities import Entity
from testbed.alto.names import PropertyName
from testbed.alto.reports.expiry import Expiry
from testbed.alto.reports.messages import ClusterReport, Held, HeldBlob, HeldFunction, Resources, Runtime
from testbed.net.addresses import Address

DOMAIN = ".ane"
ADDRESSES, RUNTIMES, FUNCTIONS, BLOBS = ".priv:addresses", ".priv:runtimes", ".priv:functions", ".priv:blobs"
CLUSTER = "priv:cluster"
_FREE = ("priv:cpus-free", "priv:memory-free-mb", "priv:slots-free", "priv:waiting")
ENDPOINT_PROPERTIES = (CLUSTER, *_FREE)
ENTITY_PROPERTIES = (
    ADDRESSES,
    *(f".priv:{name}" for name in ("cpus", "memory-mb", "slots", "queue")),
    *(f".{name}" for name in _FREE),
    RUNTIMES,
    FUNCTIONS,
    BLOBS,
)
_PLAIN = "@:_~"  # in the names of entities; others are written as in URLs
_DIGITS = 2  # of processors and milliseconds


@dataclass
class _Cluster:
    """What is known of a cluster; no resources: it is silent. `parts` are those that came of its last report."""

    resources: Resources | None = None
    held: tuple[Held, ...] = ()
    report: tuple[int, int, int] = (0, 0, 0)  # epoch, sequence of its first part, parts
    parts: dict[int, tuple[Held, ...]] = field(default_factory=dict)


class MeasuredClusters:
    """The clusters at their addresses."""

    def __init__(self, clusters: Mapping[str, tuple[Address, ...]], lifetime_s: float, least_change: float) -> None:
        self._addresses = clusters
        self._lifetime_s = lifetime_s
        self._least_change = least_change
        self._clusters = {name: _Cluster() for name in clusters}
        self._expiry: Expiry[str] = Expiry()

    def take(self, report: ClusterReport, now_s: float) -> bool:
        """Take in a report; return whether something is another thing now."""
        cluster = self._clusters[report.origin.reporter]
        self._expiry.hold(report.origin.reporter, min(report.origin.sent_s, now_s) + self._lifetime_s)
        changed = cluster.resources is None or self._differ(cluster.resources, report.resources)
        if changed:
            cluster.resources = report.resources
        return self._take_held(cluster, report) or changed

    def forget(self, now_s: float) -> bool:
        """Leave out what was not reported for too long; return whether there was any."""
        expired = self._expiry.take_expired(now_s)
        for name in expired:
            self._clusters[name] = _Cluster()
        return bool(expired)

    def next_timer_s(self) -> float | None:
        """Return when a cluster will have been silent for too long; None: all are."""
        return self._expiry.next_s()

    def entities(self) -> dict[str, dict[PropertyName, Any]]:
        """Return the properties of each cluster, by entity."""
        return {
            entity_of(name): {ADDRESSES: [str(address) for address in self._addresses[name]], **_properties(cluster)}
            for name, cluster in self._clusters.items()
        }

    def endpoints(self) -> dict[PropertyName, dict[str, str]]:
        """Return the properties of the clusters' addresses, by property."""
        found: dict[PropertyName, dict[str, str]] = {name: {} for name in ENDPOINT_PROPERTIES}
        for name, cluster in self._clusters.items():
            said = {CLUSTER: name, **_figures(cluster)}
            for address in self._addresses[name]:
                for of_endpoint, value in said.items():
                    found[of_endpoint][f"ipv{address.version}:{address}"] = str(value)
        return found

    def _take_held(self, cluster: _Cluster, report: ClusterReport) -> bool:
        whole = report.origin.epoch, report.origin.sequence - report.part, report.parts
        if whole != cluster.report:
            cluster.report, cluster.parts = whole, {}
        cluster.parts[report.part] = report.held
        if len(cluster.parts) < report.parts:
            return False
        held = tuple(item for part in sorted(cluster.parts) for item in cluster.parts[part])
        changed = _holdings(held) != _holdings(cluster.held)
        cluster.held = held
        return changed

    def _differ(self, before: Resources, after: Resources) -> bool:
        is_as_busy = abs(before.cpus_used - after.cpus_used) <= self._least_change * after.cpus
        return _counted(before) != _counted(after) or not is_as_busy


def entity_of(cluster: str) -> str:
    """Return the entity that a cluster is."""
    return str(Entity(DOMAIN, quote(cluster, safe=_PLAIN)))


def _properties(cluster: _Cluster) -> dict[PropertyName, Any]:
    if cluster.resources is None:
        return {}
    of = cluster.resources
    there_are = {"cpus": of.cpus, "memory-mb": of.memory_mb, "slots": of.slots, "queue": of.queue}
    figures = {**{f"priv:{name}": value for name, value in there_are.items()}, **_figures(cluster)}
    return {**{f".{name}": value for name, value in figures.items()}, **_holdings(cluster.held)}


def _holdings(held: tuple[Held, ...]) -> dict[PropertyName, Any]:
    functions = {_text(item.digest): _function(item) for item in held if isinstance(item, HeldFunction)}
    return {
        RUNTIMES: {item.kind: item.prewarmed for item in held if isinstance(item, Runtime)},
        FUNCTIONS: functions,
        BLOBS: sorted(_text(item.digest) for item in held if isinstance(item, HeldBlob)),
    }


def _function(held: HeldFunction) -> dict[str, float | int]:
    """Return what is known of a function: runs that take about as long as before are no news."""
    run_ms = {} if held.run_s is None else {"run-ms": float(f"{held.run_s * 1e3:.{_DIGITS}g}")}
    return {"warm": held.warm, **run_ms}


def _text(digest: bytes) -> str:
    return f"sha256:{digest.hex()}"


def _figures(cluster: _Cluster) -> dict[PropertyName, float | int]:
    """Return what is free of a cluster's resources; nothing is known of a silent one."""
    if cluster.resources is None:
        return {}
    of = cluster.resources
    return {
        "priv:cpus-free": round(max(0.0, of.cpus - of.cpus_used), _DIGITS),
        "priv:memory-free-mb": max(0, of.memory_mb - of.memory_used_mb),
        "priv:slots-free": max(0, of.slots - of.slots_used),
        "priv:waiting": of.waiting,
    }


def _counted(of: Resources) -> tuple[float, ...]:
    return (of.cpus, of.memory_mb, of.memory_used_mb, of.slots, of.slots_used, of.waiting, of.queue)
