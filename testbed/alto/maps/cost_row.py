"""A row of a cost map: costs from one source, with their octets and digest, which are made once.

Rows do not change, so those of one map serve the next: what one changed cost takes is one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from testbed.alto import json_octets
from testbed.alto.costs.cost_type import Cost
from testbed.alto.names import PIDName
from testbed.alto.version_tags import digest_of


class CostRow:
    """Costs from one source to each destination."""

    def __init__(self, source: PIDName, costs: Mapping[PIDName, Cost]) -> None:
        self.source = source
        self.costs = costs

    @cached_property
    def octets(self) -> bytes:
        """Return the row as a member of the JSON object of all rows, destinations sorted."""
        return json_octets.encode(self.source) + b":" + json_octets.canonical(self.costs)

    @cached_property
    def digest(self) -> int:
        """Return what the row adds to the digest of its map."""
        return digest_of(self.octets)

    def changed(self, changes: Mapping[PIDName, Cost | None]) -> CostRow:
        """Return the row with costs set, or taken out where there is none."""
        costs = dict(self.costs)
        for destination, cost in changes.items():
            if cost is None:
                costs.pop(destination, None)
            else:
                costs[destination] = cost
        return self if costs == self.costs else CostRow(self.source, costs)
