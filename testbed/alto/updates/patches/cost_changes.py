"""From costs that changed to a merge patch, in time of the changes: the map itself is not looked at.

Owns the patch's form for what has sources, destinations and costs: cost maps (RFC 7285, 11.2.3.6), endpoint cost maps
(11.5.1.6), with several costs each (RFC 8189), and property maps (RFC 9240), whose entities and properties are nested
alike. A patch carries the tags that changed, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from testbed.alto.updates.patches.merge_patch import Json, NotExpressible

COST_MAP = "cost-map"
ENDPOINT_COST_MAP = "endpoint-cost-map"


@dataclass(frozen=True)
class CostChange:
    """The cost between two PIDs (or endpoints) is another one now; None: there is none any more."""

    source: str
    destination: str
    cost: float | list[Json] | str | None


def cost_patch(
    changes: Iterable[CostChange],
    member: str = COST_MAP,
    emptied: Collection[str] = (),
    meta: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """Return the patch for changed costs; of several for one pair, the last holds.

    `emptied`: sources that have no cost left, and are no longer in the map. `meta`: the members of `meta` that changed,
    such as `dependent-vtags`. Raises NotExpressible if a cost is an object, which would be merged with the old one.
    """
    rows: dict[str, Json] = {}
    for change in changes:
        if isinstance(change.cost, dict):
            raise NotExpressible(
                f"the cost from {change.source} to {change.destination} is an object: send the whole map"
            )
        rows.setdefault(change.source, {})[change.destination] = change.cost
    rows.update(dict.fromkeys(emptied))
    patch: dict[str, Json] = {member: rows} if rows else {}
    return {"meta": dict(meta), **patch} if meta else patch
