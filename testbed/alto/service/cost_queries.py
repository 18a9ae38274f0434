"""What a request for costs asks for, read against what a resource can do, and the costs that remain.

One cost type or several (RFC 8189, 4.1), constraints or alternatives of them, over PIDs as over endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.alto.costs import constraints
from testbed.alto.costs.constraints import Constraint, Constraints
from testbed.alto.costs.cost_type import Cost, CostMode, CostType
from testbed.alto.directory.entries import Capabilities
from testbed.alto.errors import invalid_value, missing_field

Rows = Mapping[str, Mapping[str, Cost]]


@dataclass(frozen=True, slots=True)
class CostQuery:
    """The cost types that are wanted, those that constraints test, and the constraints."""

    wanted: tuple[CostType, ...]
    is_multi: bool
    tested: tuple[CostType, ...]
    constraints: Constraints

    @property
    def is_plain(self) -> bool:
        """Return whether it asks for one cost type and no constraints."""
        return not self.is_multi and not self.constraints.alternatives

    def meta(self) -> dict[str, Any]:
        """Return what the response says of its costs."""
        if self.is_multi:
            return {"multi-cost-types": [cost_type.document() for cost_type in self.wanted]}
        return {"cost-type": self.wanted[0].document()}


def read_query(body: Mapping[str, Any], capabilities: Capabilities, cost_types: Mapping[str, CostType]) -> CostQuery:
    """Return what a body asks for. Raises AltoError."""
    offered = [cost_types[name] for name in capabilities.cost_type_names]
    is_multi = capabilities.max_cost_types > 0 and "multi-cost-types" in body
    if is_multi and "cost-type" in body:
        raise invalid_value("cost-type", body["cost-type"])
    if is_multi:
        field = "multi-cost-types"
        if len(body[field]) > capabilities.max_cost_types:
            raise invalid_value(field, body[field])
        wanted = tuple(_offered(said, offered, field) for said in body[field])
    elif "cost-type" not in body:
        raise missing_field("cost-type")
    else:
        wanted = (_offered(body["cost-type"], offered, "cost-type"),)
    tested = _tested(body, capabilities, cost_types, wanted)
    testable = {cost_types[name].key for name in capabilities.testable_cost_type_names}
    can_be_tested = [cost_type.key in testable for cost_type in tested]
    return CostQuery(wanted, is_multi, tested, _constraints(body, capabilities, can_be_tested))


def _offered(said: Mapping[str, str], offered: Sequence[CostType], field: str) -> CostType:
    """Return the cost type that is meant, if it is offered (11.3.2.3); a description does not count."""
    wanted = CostType(said["cost-metric"], CostMode(said["cost-mode"]))
    found = next((cost_type for cost_type in offered if cost_type == wanted), None)
    if found is not None:
        return found
    part = "cost-mode" if wanted.metric in (cost_type.metric for cost_type in offered) else "cost-metric"
    raise invalid_value(f"{field}/{part}", said[part])


def _tested(
    body: Mapping[str, Any],
    capabilities: Capabilities,
    cost_types: Mapping[str, CostType],
    wanted: tuple[CostType, ...],
) -> tuple[CostType, ...]:
    if capabilities.max_cost_types == 0 or "testable-cost-types" not in body:
        return wanted
    testable = [cost_types[name] for name in capabilities.testable_cost_type_names]
    return tuple(_offered(said, testable, "testable-cost-types") for said in body["testable-cost-types"])


def _constraints(body: Mapping[str, Any], capabilities: Capabilities, can_be_tested: Sequence[bool]) -> Constraints:
    fields = ["constraints"] if capabilities.max_cost_types == 0 else ["constraints", "or-constraints"]
    said = [field for field in fields if field in body]
    if not said:
        return Constraints()
    if not capabilities.cost_constraints or len(said) > 1:
        raise invalid_value(said[-1], body[said[-1]])
    field = said[0]
    alternatives = body[field] if field == "or-constraints" else [body[field]]
    has_indices = capabilities.max_cost_types > 0
    read = [
        tuple(_constraint(text, field, can_be_tested, has_indices) for text in together) for together in alternatives
    ]
    return Constraints(tuple(together for together in read if together))


def _constraint(text: str, field: str, can_be_tested: Sequence[bool], has_indices: bool) -> Constraint:
    constraint = constraints.parse(text)
    if constraint is None or (constraint.has_index and not has_indices):
        raise invalid_value(field, text)
    if constraint.index >= len(can_be_tested) or not can_be_tested[constraint.index]:
        raise invalid_value(field, text)
    return constraint


def remaining(query: CostQuery, rows_of: Callable[[CostType], Rows]) -> dict[str, dict[str, Any]]:
    """Return the costs that a query leaves of all that were asked for; `rows_of` has them by type."""
    tables = {cost_type.key: rows_of(cost_type) for cost_type in (*query.wanted, *query.tested)}
    wanted = [tables[cost_type.key] for cost_type in query.wanted]
    tested = [tables[cost_type.key] for cost_type in query.tested]
    if query.is_plain:
        return {source: dict(row) for source, row in wanted[0].items() if row}
    result: dict[str, dict[str, Any]] = {}
    for source, destination in _pairs(wanted):
        if query.constraints.hold([_cost(rows, source, destination) for rows in tested]):
            costs = [_cost(rows, source, destination) for rows in wanted]
            result.setdefault(source, {})[destination] = costs if query.is_multi else costs[0]
    return result


def _pairs(tables: Sequence[Rows]) -> Iterator[tuple[str, str]]:
    """Return all pairs that have a cost in one of the tables, each once."""
    seen: dict[str, dict[str, None]] = {}
    for rows in tables:
        for source, row in rows.items():
            seen.setdefault(source, {}).update(dict.fromkeys(row))
    return ((source, destination) for source, destinations in seen.items() for destination in destinations)


def _cost(rows: Rows, source: str, destination: str) -> Cost | None:
    row = rows.get(source)
    return None if row is None else row.get(destination)
