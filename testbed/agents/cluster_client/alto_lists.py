"""The ALTO client's list of clusters as views (step 3), read with distrust. Pure.

A figure that is wrong in itself is not known; a cluster that is unknown here is left out, for nothing can be asked of
it. What a cluster holds is known by digests: here functions have their names again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from testbed import json_documents
from testbed.errors import TestbedError
from testbed.faas.placement.views import ClusterView, PathView


class ListError(TestbedError, ValueError):
    """A document that is no list of clusters; one line says why."""


def views(
    body: bytes, clusters: Collection[str], names: Mapping[str, str], received_s: float
) -> tuple[ClusterView, ...]:
    """Return what a list says of the clusters that are known; `names`: of functions by digest. Raises ListError."""
    try:
        document = json_documents.parse(body)
    except ValueError as error:
        raise ListError(f"the list is no JSON: {str(error)[:200]}") from error
    return listed_views(document, clusters, names, received_s)


def listed_views(
    document: object, clusters: Collection[str], names: Mapping[str, str], received_s: float
) -> tuple[ClusterView, ...]:
    """Return the same of a document. Raises ListError."""
    listed = _object(document).get("clusters")
    if not isinstance(listed, list):
        raise ListError("the list has no array 'clusters'")
    found = [_object(entry) for entry in listed]
    by_name = {entry["cluster"]: entry for entry in found if entry.get("cluster") in clusters}
    return tuple(_view(name, entry, names, received_s) for name, entry in by_name.items())


def _view(name: str, entry: Mapping[str, Any], names: Mapping[str, str], received_s: float) -> ClusterView:
    age_s, cpus, cpus_free = (_number(entry, key) for key in ("age_s", "cpus", "cpus_free"))
    slots, slots_free = _whole(entry, "slots"), _whole(entry, "slots_free")
    runtimes, functions = entry.get("runtimes"), entry.get("functions")
    held = {names[digest]: _object(said) for digest, said in _object(functions).items() if digest in names}
    run_ms = {function: _number(said, "run_ms") for function, said in held.items()}
    return ClusterView(
        name,
        site=str(entry.get("pid") or ""),
        kinds=frozenset(_object(runtimes)) if isinstance(runtimes, Mapping) else None,
        memory_mb=_whole(entry, "memory_mb"),
        free_memory_mb=_whole(entry, "memory_free_mb"),
        slots=slots,
        queue=_whole(entry, "queue"),
        running=None if slots is None or slots_free is None else max(0, slots - slots_free),
        waiting=_whole(entry, "waiting"),
        processors=cpus,
        cpu_used=None if not cpus or cpus_free is None else min(1.0, max(0.0, 1 - cpus_free / cpus)),
        functions=frozenset(held) if isinstance(functions, Mapping) else None,
        blobs=frozenset(digest for digest in _list(entry, "blobs") if isinstance(digest, str)),
        warm={function: _whole(said, "warm") or 0 for function, said in held.items()},
        prewarmed={kind: _whole(_object(runtimes), kind) or 0 for kind in _object(runtimes)},
        run_ms={function: mean_ms for function, mean_ms in run_ms.items() if mean_ms is not None},
        from_user=_path(entry, "from_user"),
        from_repository=_path(entry, "from_repository"),
        known_s=None if age_s is None else received_s - age_s,
    )


def _path(entry: Mapping[str, Any], key: str) -> PathView:
    said = _object(entry.get(key))
    return PathView(
        delay_ow_ms=_number(said, "delay_ow_ms"),
        delay_rt_ms=_number(said, "delay_rt_ms"),
        bandwidth_mbps=_number(said, "bandwidth_mbps"),
        loss_percent=_number(said, "loss_percent"),
        hops=_whole(said, "hops"),
        distance=_number(said, "distance"),
    )


def _object(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _list(entry: Mapping[str, Any], key: str) -> list[Any]:
    said = entry.get(key)
    return said if isinstance(said, list) else []


def _number(entry: Mapping[str, Any], key: str) -> float | None:
    said = entry.get(key)
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not 0 <= said <= 1e15 or not math.isfinite(said):
        return None
    return float(said)


def _whole(entry: Mapping[str, Any], key: str) -> int | None:
    said = _number(entry, key)
    return None if said is None else round(said)
