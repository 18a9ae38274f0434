"""The `arrivals:` of invocations: those of the stage, and how traces of invocations are replayed.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from testbed.experiment.scenario.workload_keys import ArrivalKeys
from testbed.experiment.schema_parts import Part
from traffic.traces.replay import Replay, Spread

_Rank = Annotated[int, Field(ge=1)]
_Hash = Annotated[str, Field(min_length=4, max_length=200)]


class InvocationsKeys(Part):
    """What of a trace of invocations is replayed, and how."""

    functions: Annotated[tuple[_Rank | _Hash, ...], Field(min_length=1)] | None = None
    """Functions of the trace whose invocations are taken together: ranks (1 is invoked most in the file), hashes or how
    they begin, APP/FUNCTION; default: all."""
    first_minute: int = Field(1, ge=1)
    """Minute of the trace, from 1, at which the window of the workload begins."""
    minutes: int | None = Field(None, ge=1)
    """How many minutes of the trace; default: until the window of the workload ends."""
    speed: float = Field(1.0, gt=0, le=100_000)
    """Seconds of the trace in one second of the run; durations are shortened alike."""
    load: float = Field(1.0, gt=0, le=1000)
    """Invocations of the run for one of the trace: 0.1 takes each tenth, at random; 2 doubles them."""
    spread: Spread = Spread.POISSON
    """When in its minute an invocation is, where the trace only counts them. poisson: at any time; uniform: at equal
    gaps."""
    duration_parameter: str | None = Field(None, min_length=1)
    """The parameter in which an invocation carries how long it took in the trace, in ms."""
    durations: str | None = None
    """Trace of 2019: the file of the same day that has durations, of which one is drawn for each invocation."""

    @model_validator(mode="after")
    def _durations_are_wanted(self) -> InvocationsKeys:
        if self.durations is not None and self.duration_parameter is None:
            raise ValueError("durations: say as what invocations carry them, by duration_parameter")
        return self

    def replay(self) -> Replay:
        """Return them as the trace takes them."""
        return Replay(self.first_minute, self.minutes, self.speed, self.load, self.spread)


class InvokeArrivalKeys(ArrivalKeys):
    """When functions are invoked: open loop, whatever became of earlier invocations."""

    path: str | None = None
    """trace: CSV file with a column offset_s, or in a format of the Azure Functions data sets of 2019 (counts per
    minute) and 2021 (single invocations)."""
    invocations: InvocationsKeys | None = None
    """trace in such a format: what of it, and how."""

    @model_validator(mode="after")
    def _is_of_a_trace(self) -> InvokeArrivalKeys:
        if self.invocations is not None and self.process != "trace":
            raise ValueError(f"invocations: of a trace, and the process is {self.process}")
        return self

    @property
    def duration_parameter(self) -> str | None:
        """The parameter that carries durations, if one does."""
        return self.invocations.duration_parameter if self.invocations else None

    def process_config(self) -> dict[str, Any]:
        """Return the keys that are set, as the arrival processes take them."""
        return self.model_dump(exclude_none=True, exclude={"invocations"})
