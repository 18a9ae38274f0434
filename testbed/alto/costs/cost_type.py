"""Cost types: a metric, a mode, and where the values come from (RFC 7285, sections 6.1 and 10.7; RFC 9439, 3.1).

The source of the values (`cost-context`) tells no two cost types apart: it is said, and no part of the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from testbed.alto.costs import metrics
from testbed.alto.errors import AltoDataError
from testbed.alto.names import is_cost_metric

Cost: TypeAlias = int | float

_SOURCE = re.compile(r"[0-9A-Za-z]+")


class CostMode(str, Enum):
    """How a cost is to be read (10.5)."""

    NUMERICAL = "numerical"
    ORDINAL = "ordinal"


@dataclass(frozen=True, slots=True)
class CostContext:
    """Where values come from: `nominal`, `sla` or `estimation`, and more about it."""

    source: str
    parameters: Any = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        parameters = {} if self.parameters is None else {"parameters": self.parameters}
        return {"cost-source": self.source, **parameters}


@dataclass(frozen=True, slots=True)
class CostType:
    """A metric in a mode; equal to another one if both are."""

    metric: str
    mode: CostMode = CostMode.NUMERICAL
    context: CostContext | None = field(default=None, compare=False)
    description: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not is_cost_metric(self.metric):
            raise AltoDataError(f"{self.metric!r} is no cost metric (RFC 7285, section 10.6)")

    @property
    def key(self) -> tuple[str, CostMode]:
        """Return what tells cost types apart."""
        return self.metric, self.mode

    @property
    def source(self) -> str:
        """Return where the values come from; what says nothing is estimated (RFC 9439, section 3.1)."""
        return "estimation" if self.context is None else self.context.source

    def in_mode(self, mode: CostMode) -> CostType:
        """Return the same metric in a mode."""
        return CostType(self.metric, mode, self.context)

    def document(self, with_description: bool = False) -> dict[str, Any]:
        """Return it as JSON; a directory describes it, a response does not."""
        said: dict[str, Any] = {"cost-mode": self.mode.value, "cost-metric": self.metric}
        if self.context is not None:
            said["cost-context"] = self.context.document()
        if with_description and self.description is not None:
            said["description"] = self.description
        return said

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> CostType:
        """Return what a document says, which has the two fields that it must have. Raises AltoDataError."""
        try:
            mode = CostMode(document["cost-mode"])
        except ValueError:
            raise AltoDataError(f"{document['cost-mode']!r} is no cost mode") from None
        context = document.get("cost-context")
        description = document.get("description")
        return cls(
            str(document["cost-metric"]),
            mode,
            None if context is None else _context(context),
            description if isinstance(description, str) else None,
        )


def announced(cost_type: CostType) -> CostType:
    """Return a cost type that a server may announce. Raises AltoDataError (RFC 9439, sections 3.1, 3.2 and 6.3)."""
    metrics.check(cost_type.metric)
    if cost_type.source not in metrics.SOURCES:
        raise AltoDataError(f"{cost_type.source!r} is no cost source; there are {', '.join(metrics.SOURCES)}")
    if cost_type.metric == "routingcost" and cost_type.source != "estimation":
        raise AltoDataError("the cost source of routingcost is `estimation` and nothing else (RFC 9439, section 6.3)")
    metric = metrics.registered(cost_type.metric)
    if metric is not None and metric.name == "tput" and cost_type.source != "estimation":
        raise AltoDataError(f"throughput is measured: its cost source is not `{cost_type.source}` (RFC 9439, 5.1)")
    return cost_type


def _context(document: object) -> CostContext:
    source = document.get("cost-source") if isinstance(document, Mapping) else None
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        raise AltoDataError(f"{document!r} is no cost context: it has no good `cost-source`")
    assert isinstance(document, Mapping)
    return CostContext(source, document.get("parameters"))
