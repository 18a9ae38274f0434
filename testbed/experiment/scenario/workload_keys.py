"""The scenario's `workloads:`: what clients do, and when.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from testbed.experiment.scenario.command_keys import CLIENT_PLACEHOLDERS, VARIABLE, CommandLine, check_placeholders
from testbed.experiment.schema_parts import DistributionKeys, Name, Part


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
        given = {key for key in ("rate_per_s", "on_s", "off_s", "path") if getattr(self, key) is not None}
        if given != wanted:
            takes = ", ".join(sorted(wanted)) or "start_s and end_s"
            raise ValueError(f"{self.process} takes {takes}; given: {', '.join(sorted(given))}")
        return self

    def process_config(self) -> dict[str, Any]:
        """Return the keys that are set, as the arrival processes take them."""
        return self.model_dump(exclude_none=True)


def _arrivals_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"].remove("arrivals")


class WorkloadKeys(Part):
    """Flows from clients to one service."""

    model_config = ConfigDict(json_schema_extra=_arrivals_may_be_left_out)

    name: Name
    """Name in the results."""
    service: str
    """Name of the service."""
    clients: tuple[str, ...] = Field(min_length=1)
    """Sites whose clients take part."""
    command: CommandLine | None = None
    """A program that makes the load, in place of a generator: started at each client at the begin of the window.
    {d_sid}, {port}, {url}, {duration_s} (length of the window), {seed} (each client has its own), {client}, {site},
    {host} (the client's address), {folder} (where it runs, kept with the results) and {scenario_folder} are filled in.
    One that is told {duration_s} may go on for timeout_s after that; any other is ended with the window."""
    environment: dict[Annotated[str, Field(pattern=VARIABLE)], str] = {}
    """command: variables besides those of the testbed's own environment; placeholders as in command."""
    arrivals: ArrivalKeys
    """When flows begin; command: start_s and end_s, by default the whole run."""
    work: DistributionKeys | None = None
    """http: work a request carries; default: the instance draws it."""
    response_bytes: int = Field(1000, ge=0, le=100_000_000)
    """http: size of the answer."""
    request_bytes: int = Field(200, ge=0, le=1_000_000)
    """http: least size of the request."""
    timeout_s: float = Field(10.0, gt=0)
    """http: give up after; rtp: wait for the last echoes; command: wait for its end, if it was told {duration_s}."""
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
    def _command_fits(self) -> WorkloadKeys:
        if self.command is None:
            if self.arrivals.process == "once":
                raise ValueError("arrivals.process: once is for a command; take poisson, constant, on_off or trace")
            if self.environment:
                raise ValueError("environment: goes with command")
            return self
        if self.arrivals.process != "once":
            raise ValueError("arrivals: a command is started once at each client; say start_s and end_s only")
        for number, word in enumerate(self.command):
            check_placeholders(f"command[{number}]", word, CLIENT_PLACEHOLDERS)
        for name, text in self.environment.items():
            check_placeholders(f"environment.{name}", text, CLIENT_PLACEHOLDERS)
        return self
