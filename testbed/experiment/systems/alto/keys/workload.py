"""The scenario's `workloads:` of kind `invoke`: users invoke a function, with payloads of real octets.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from testbed.experiment.scenario.workload_keys import WorkloadKeys
from testbed.experiment.schema_parts import Part
from testbed.experiment.systems.alto.keys.arrivals import InvokeArrivalKeys


class PayloadKeys(Part):
    """What an invocation carries as one of the function's parameters, in base64."""

    bytes: int | None = Field(None, ge=1, le=700_000)
    """So many random octets."""
    folder: str | None = None
    """The files of a folder beside the scenario, or at an absolute path, by name and in turn: pictures, for example."""
    parameter: str = Field("payload", min_length=1)
    """The parameter that carries them."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> PayloadKeys:
        if (self.bytes is None) == (self.folder is None):
            raise ValueError("takes either bytes or folder")
        return self


class InvokeKeys(WorkloadKeys):
    """Invocations of one function by users, who wait for each answer."""

    kind: Literal["invoke"]
    """invoke: a function at a cluster."""
    function: str
    """Name of the function."""
    arrivals: InvokeArrivalKeys
    """When users invoke it."""
    parameters: dict[str, Any] = {}
    """Parameters of each invocation."""
    payload: PayloadKeys | None = None
    """Octets that each invocation carries."""
    to: str | None = None
    """Site of the cluster that is asked; default: of each user the nearest one that holds the function from the
    start."""
    timeout_s: float = Field(60.0, gt=0)
    """Users give up after."""

    @model_validator(mode="after")
    def _arrivals_fit(self) -> InvokeKeys:
        if self.arrivals.process == "once":
            raise ValueError("arrivals.process: once is for a command; take poisson, constant, on_off or trace")
        if self.payload is not None and self.payload.parameter in self.parameters:
            raise ValueError(f"parameters.{self.payload.parameter}: the payload is sent as this parameter already")
        carried = self.arrivals.duration_parameter
        if carried in self.parameters or (self.payload is not None and self.payload.parameter == carried):
            raise ValueError(f"arrivals.invocations.duration_parameter: {carried!r} carries something else already")
        return self
