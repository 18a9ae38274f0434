"""What the parts of a scenario's schema are made of: the base of all keys, names, links, random times, hints.

The descriptions are the documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from topologies.spec import LinkSpec

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=40)]
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"


class Part(BaseModel):
    """Keys that belong together. Unknown ones are refused; numbers are finite; docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class LinkKeys(Part):
    """Impairment of a link, the same both ways."""

    delay_ms: float = Field(0.0, ge=0, le=10_000)
    """One-way delay."""
    jitter_ms: float = Field(0.0, ge=0)
    """Spread of the delay."""
    loss_percent: float = Field(0.0, ge=0, le=100)
    """Random loss."""
    rate_mbps: float | None = Field(None, gt=0)
    """Rate limit; none: as fast as the machine."""
    queue_packets: int = Field(1000, ge=1)
    """Packets that wait for the rate limit before more are dropped."""

    def spec(self) -> LinkSpec:
        """Return it in the topology's own terms."""
        return LinkSpec(**self.model_dump())


class DistributionKeys(Part):
    """A random time, by its mean."""

    distribution: Literal["constant", "exponential", "lognormal", "bounded_pareto"] = "exponential"
    """Family."""
    mean_ms: float = Field(gt=0)
    """Mean."""
    sigma: float | None = Field(None, gt=0)
    """Lognormal: standard deviation of the logarithm."""
    alpha: float | None = Field(None, gt=0)
    """Bounded Pareto: tail index."""
    max_ms: float | None = Field(None, gt=0)
    """Bounded Pareto: upper bound."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> DistributionKeys:
        wanted = {"lognormal": {"sigma"}, "bounded_pareto": {"alpha", "max_ms"}}.get(self.distribution, set())
        stated = {key for key in ("sigma", "alpha", "max_ms") if getattr(self, key) is not None}
        if stated != wanted:
            needs = f"needs {', '.join(sorted(wanted))}" if wanted else "takes mean_ms only"
            raise ValueError(f"{self.distribution} {needs}")
        return self


def check_known(key: str, name: str, known: Collection[str]) -> None:
    """Raise ValueError, naming the key and a near name, for a name that does not exist."""
    if name not in known:
        near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known))}"
        raise ValueError(f"{key}: {name!r} does not exist; {hint}")
