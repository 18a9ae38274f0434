"""The scenario's `faults:`: what breaks, when, and when it is repaired.

Owns the keys, the kinds of fault of links, and the check that a fault has the keys of its kind. Systems add kinds and
keys. Whether the names exist is `plan`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, model_validator
from typing_extensions import Self

from testbed.experiment.schema_parts import Part

_DEGRADED = ("delay_ms", "loss_percent")
_OF_ALL = {"kind", "at_s", "until_s"}


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault: what it does, the keys that it needs, and those that it may have."""

    meaning: str
    needs: frozenset[str]
    takes: frozenset[str] = frozenset()


class FaultKeys(Part):
    """Something that breaks while the load goes on. Routes stay as they are: nothing finds a way around a dead link."""

    kinds: ClassVar[Mapping[str, FaultKind]] = {
        "link_down": FaultKind("the link loses everything, both ways", frozenset({"link"})),
        "link_degraded": FaultKind(
            "the link has another delay, loss or both, both ways", frozenset({"link"}), frozenset(_DEGRADED)
        ),
        "partition": FaultKind("so do all links between `nodes` and the rest", frozenset({"nodes"})),
        "egress_unreachable": FaultKind("so do all links of a site but those to its own hosts", frozenset({"site"})),
    }

    kind: str
    """What happens."""
    at_s: float = Field(ge=0)
    """When, in seconds from the start of the load."""
    until_s: float | None = Field(None, gt=0)
    """When it is undone; none: never."""
    link: tuple[str, str] | None = None
    """link_down, link_degraded: the two nodes that it connects."""
    delay_ms: float | None = Field(None, gt=0)
    """link_degraded: its delay meanwhile; alto_wrong_cost: the delay one way that is said."""
    loss_percent: float | None = Field(None, gt=0, le=100)
    """link_degraded: what it loses meanwhile."""
    nodes: tuple[str, ...] | None = Field(None, min_length=1)
    """partition: sites and routers of one side; hosts are where their site is."""
    site: str | None = None
    """Site, which is the name of its D-Router; control_killed: or a CFN Dispatcher."""

    @classmethod
    def of(cls, keys: FaultKeys) -> Self:
        """Return a fault with the keys of a system, typed."""
        assert isinstance(keys, cls)
        return keys

    @model_validator(mode="after")
    def _keys_fit(self) -> FaultKeys:
        kind = self.kinds[self.kind]
        stated = {key for key in type(self).model_fields if key not in _OF_ALL and getattr(self, key) is not None}
        optional = {key for other in self.kinds.values() for key in other.takes}
        if stated - optional != kind.needs:
            listed = ", ".join(sorted(stated - optional)) or "nothing"
            wanted = " and ".join(sorted(kind.needs)) or "nothing more"
            raise ValueError(f"{self.kind} takes {wanted}; it has: {listed}")
        for key in sorted(stated & optional - kind.takes):
            takers = " and ".join(name for name, other in self.kinds.items() if key in other.takes)
            raise ValueError(f"{self.kind} takes no {key}; {takers} does")
        if self.kind == "link_degraded" and not stated & set(_DEGRADED):
            raise ValueError(f"link_degraded takes {' or '.join(_DEGRADED)}; it has neither")
        if self.until_s is not None and self.until_s <= self.at_s:
            raise ValueError(f"until_s ({self.until_s:g}) must be after at_s ({self.at_s:g})")
        return self
