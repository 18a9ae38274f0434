"""Cost maps: costs from PID to PID (RFC 7285, sections 6 and 11.2.3).

A map does not change; `with_costs` returns the next one, which shares all rows but those that changed. Its tag and its
octets follow from what changed, not from all there is: a map of a million costs takes a change in about a millisecond.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from testbed.alto import json_octets
from testbed.alto.costs import metrics, ordinal
from testbed.alto.costs.cost_type import Cost, CostMode, CostType
from testbed.alto.costs.cost_values import CostValues
from testbed.alto.maps.cost_row import CostRow
from testbed.alto.names import PIDName
from testbed.alto.version_tags import DIGEST_OCTETS, VersionTag, tag_of

Costs = Mapping[PIDName, Mapping[PIDName, Cost]]
Changes = Mapping[tuple[PIDName, PIDName], Cost | None]

_MODULUS = 1 << (8 * DIGEST_OCTETS)


class CostMap:
    """Costs of one type between the PIDs of one version of a network map."""

    def __init__(self, cost_type: CostType, costs: Costs, dependent_vtags: Sequence[VersionTag] = ()) -> None:
        """Take costs; raises AltoDataError for one that the type cannot have."""
        values = CostValues(cost_type)
        rows = {source: CostRow(source, values.checked_row(row)) for source, row in costs.items() if row}
        self._fill(cost_type, rows, tuple(dependent_vtags))

    def _fill(self, cost_type: CostType, rows: dict[PIDName, CostRow], vtags: tuple[VersionTag, ...]) -> None:
        self.cost_type = cost_type
        self.dependent_vtags = vtags
        self.rows: Mapping[PIDName, CostRow] = rows

    def _with(self, rows: dict[PIDName, CostRow], digest: int | None, vtags: tuple[VersionTag, ...]) -> CostMap:
        """Return a map of the same type; `digest` is that of all rows, where it is known."""
        made = CostMap.__new__(CostMap)
        made._fill(self.cost_type, rows, vtags)
        if digest is not None:
            made.__dict__["_digest"] = digest
        return made

    def cost(self, source: PIDName, destination: PIDName) -> Cost | None:
        """Return the cost from a PID to a PID, if it is defined."""
        row = self.rows.get(source)
        return None if row is None else row.costs.get(destination)

    def with_costs(self, changes: Changes) -> CostMap:
        """Return the map with costs set, or not defined any more where there is None. Raises AltoDataError."""
        by_source: dict[PIDName, dict[PIDName, Cost | None]] = {}
        values = CostValues(self.cost_type)
        for (source, destination), cost in changes.items():
            by_source.setdefault(source, {})[destination] = None if cost is None else values.checked(cost)
        rows, digest = dict(self.rows), self._digest
        for source, row_changes in by_source.items():
            old = rows.get(source)
            new = (old or CostRow(source, {})).changed(row_changes)
            if new is old or (old is None and not new.costs):
                continue
            digest -= 0 if old is None else old.digest
            if new.costs:
                rows[source] = new
                digest += new.digest
            else:
                del rows[source]
        return self._with(rows, digest % _MODULUS, self.dependent_vtags)

    def depending_on(self, vtags: Sequence[VersionTag], pids: Collection[PIDName] | None = None) -> CostMap:
        """Return the map for another version of its network map, without costs of PIDs that are gone."""
        if pids is None or self.pids <= set(pids):
            return self._with(dict(self.rows), self.__dict__.get("_digest"), tuple(vtags))
        kept = set(pids)
        left = {
            source: {destination: cost for destination, cost in row.costs.items() if destination in kept}
            for source, row in self.rows.items()
            if source in kept
        }
        return self._with({source: CostRow(source, row) for source, row in left.items() if row}, None, tuple(vtags))

    @cached_property
    def pids(self) -> frozenset[PIDName]:
        """Return all PIDs that a cost is from or to."""
        return frozenset(self.rows).union(*(row.costs for row in self.rows.values()))

    @cached_property
    def _digest(self) -> int:
        return sum(row.digest for row in self.rows.values()) % _MODULUS

    @cached_property
    def tag(self) -> str:
        """Return the tag, derived from the costs, their type, and the network map."""
        vtags = [vtag.document() for vtag in self.dependent_vtags]
        head = json_octets.canonical([self.cost_type.document(), vtags])
        return tag_of(head, self._digest.to_bytes(DIGEST_OCTETS, "big"))

    @cached_property
    def as_ordinal(self) -> CostMap:
        """Return the map as ranks of all its costs (6.1.2.2); it is made whole."""
        if self.cost_type.mode is CostMode.ORDINAL:
            return self
        better = metrics.higher_is_better(self.cost_type.metric)
        costs = ordinal.ranked({source: row.costs for source, row in self.rows.items()}, better)
        return CostMap(self.cost_type.in_mode(CostMode.ORDINAL), costs, self.dependent_vtags)

    def select(
        self, sources: Collection[PIDName], destinations: Collection[PIDName]
    ) -> dict[PIDName, Mapping[PIDName, Cost]]:
        """Return the part that a filter asks for; nothing asked for is everything, unknown names are passed over."""
        rows = self.rows if not sources else {pid: self.rows[pid] for pid in dict.fromkeys(sources) if pid in self.rows}
        if not destinations:
            return {source: row.costs for source, row in rows.items()}
        wanted = dict.fromkeys(destinations)
        return {source: {pid: row.costs[pid] for pid in wanted if pid in row.costs} for source, row in rows.items()}

    def changes_since(self, older: CostMap) -> dict[tuple[PIDName, PIDName], Cost | None]:
        """Return what makes an older map this one; rows that both share are not looked into."""
        changes: dict[tuple[PIDName, PIDName], Cost | None] = {}
        for source in older.rows.keys() | self.rows.keys():
            before, after = older.rows.get(source), self.rows.get(source)
            if before is not after:
                changes.update(_row_changes(source, before.costs if before else {}, after.costs if after else {}))
        return changes

    @property
    def meta(self) -> dict[str, Any]:
        """Return the `meta` of the response (11.2.3.6)."""
        return {
            "dependent-vtags": [vtag.document() for vtag in self.dependent_vtags],
            "cost-type": self.cost_type.document(),
        }

    def parts(self) -> Iterator[bytes]:
        """Return the octets of the response in parts; all rows that did not change are the ones made before."""
        yield b'{"meta":' + json_octets.encode(self.meta) + b',"cost-map":{'
        separator = b""
        for source in sorted(self.rows):
            yield separator
            yield self.rows[source].octets
            separator = b","
        yield b"}}"

    @cached_property
    def octets(self) -> bytes:
        """Return the octets of the response."""
        return b"".join(self.parts())

    def document(self) -> dict[str, Any]:
        """Return the response as JSON values."""
        return {"meta": self.meta, "cost-map": {source: dict(row.costs) for source, row in self.rows.items()}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CostMap) and self.tag == other.tag

    def __hash__(self) -> int:
        return hash(self.tag)


def _row_changes(
    source: PIDName, before: Mapping[PIDName, Cost], after: Mapping[PIDName, Cost]
) -> dict[tuple[PIDName, PIDName], Cost | None]:
    changed: dict[tuple[PIDName, PIDName], Cost | None] = {
        (source, pid): cost for pid, cost in after.items() if before.get(pid) != cost
    }
    changed.update({(source, pid): None for pid in before.keys() - after.keys()})
    return changed
