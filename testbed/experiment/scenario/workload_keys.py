"""The scenario's `workloads:`, as far as all kinds of load are alike: who takes part, and when.

What clients do is said by systems, whose kinds of workload add keys. The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from testbed.experiment.schema_parts import Name, Part


class ArrivalKeys(Part):
    """When flows begin: open loop, whatever became of earlier ones."""

    process: Literal["poisson", "constant", "on_off", "trace", "once"] = "poisson"
    """Arrival process; once: a command at each client, at the begin of the window."""
    rate_per_s: float | None = Field(None, gt=0)
    """Flows per second over all clients of the workload (on_off: while on)."""
    on_s: float | None = Field(None, gt=0)
    """on_off: mean length of an on period."""
    off_s: float | None = Field(None, gt=0)
    """on_off: mean length of an off period."""
    path: str | None = None
    """trace: CSV file with a column offset_s."""
    start_s: float = Field(0.0, ge=0)
    """Begin of the window, from the start of the run."""
    end_s: float | None = Field(None, gt=0)
    """End of the window; default: the end of the run."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> ArrivalKeys:
        special = {"on_off": {"rate_per_s", "on_s", "off_s"}, "trace": {"path"}, "once": set()}
        wanted = special.get(self.process, {"rate_per_s"})
        stated = {key for key in ("rate_per_s", "on_s", "off_s", "path") if getattr(self, key) is not None}
        if stated != wanted:
            takes = ", ".join(sorted(wanted)) or "start_s and end_s"
            raise ValueError(f"{self.process} takes {takes}; it has: {', '.join(sorted(stated))}")
        return self

    def process_config(self) -> dict[str, Any]:
        """Return the keys that are set, as the arrival processes take them."""
        return self.model_dump(exclude_none=True)


class WorkloadKeys(Part):
    """What clients do."""

    name: Name
    """Name in the results."""
    clients: tuple[str, ...] = Field(min_length=1)
    """Sites whose clients take part."""
    arrivals: ArrivalKeys
    """When flows begin."""
