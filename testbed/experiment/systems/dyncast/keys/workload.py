"""The scenario's `workloads:` of flows to a service: what clients send, and how.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from testbed.experiment.scenario.workload_keys import ArrivalKeys, WorkloadKeys
from testbed.experiment.schema_parts import DistributionKeys
from testbed.experiment.systems.dyncast.keys.command import (
    CLIENT_PLACEHOLDERS,
    VARIABLE,
    CommandLine,
    check_placeholders,
)


def _arrivals_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"].remove("arrivals")


class FlowKeys(WorkloadKeys):
    """Flows from clients to one service."""

    model_config = ConfigDict(json_schema_extra=_arrivals_may_be_left_out)

    service: str
    """Name of the service."""
    command: CommandLine | None = None
    """A program that makes the load, in place of a generator: started at each client at the begin of the window.
    {d_sid}, {port}, {url}, {duration_s} (length of the window), {seed} (each client has its own), {client}, {site},
    {host} (the client's address), {folder} (where it runs, kept with the results) and {scenario_folder} are filled in.
    One that gets {duration_s} may go on for timeout_s after that; any other is ended with the window."""
    environment: dict[Annotated[str, Field(pattern=VARIABLE)], str] = {}
    """command: variables besides those of whoever called dyncast; placeholders as in command."""
    as_root: bool = False
    """command: root runs it, and not whoever called sudo. Ports below 1024 take no root."""
    arrivals: ArrivalKeys
    """When flows begin; command: start_s and end_s, by default the whole run."""
    work: DistributionKeys | None = None
    """http: work a request carries; default: the instance draws it."""
    response_bytes: int = Field(1000, ge=0, le=100_000_000)
    """http: size of the answer."""
    request_bytes: int = Field(200, ge=0, le=1_000_000)
    """http: least size of the request."""
    timeout_s: float = Field(10.0, gt=0)
    """http: give up after; rtp: wait for the last echoes; command: wait for its end, if it got {duration_s}."""
    media: Literal["audio", "video", "call"] = "audio"
    """rtp: G.711 audio (50 packets/s), video (30 frames/s, fragmented), or calls of both, each with RTCP: four flows of
    a client, from the service's port and from a source port that is a multiple of the port block."""
    video_kbps: float = Field(1000.0, gt=0)
    """rtp video and call: mean bit rate of the video."""
    call_duration: DistributionKeys = DistributionKeys(mean_ms=20_000.0)
    """rtp: how long a call lasts."""

    @model_validator(mode="before")
    @classmethod
    def _a_command_starts_once(cls, document: Any) -> Any:
        if isinstance(document, dict) and document.get("command") is not None:
            arrivals = document.get("arrivals")
            if arrivals is None or isinstance(arrivals, dict):
                return {**document, "arrivals": {"process": "once", **(arrivals or {})}}
        return document

    @model_validator(mode="after")
    def _command_fits(self) -> FlowKeys:
        if self.command is None:
            if self.arrivals.process == "once":
                raise ValueError("arrivals.process: once is for a command; take poisson, constant, on_off or trace")
            if self.environment or self.as_root:
                raise ValueError(f"{'environment' if self.environment else 'as_root'}: goes with command")
            return self
        if self.arrivals.process != "once":
            raise ValueError("arrivals: a command is started once at each client; say start_s and end_s only")
        for number, word in enumerate(self.command):
            check_placeholders(f"command[{number}]", word, CLIENT_PLACEHOLDERS)
        for name, text in self.environment.items():
            check_placeholders(f"environment.{name}", text, CLIENT_PLACEHOLDERS)
        return self
