"""The scenario's `workloads:`: what clients do, and when.

The descriptions are the documentation.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from testbed.experiment.scenario_parts import DistributionKeys, Name, Part


class ArrivalKeys(Part):
    """When flows begin: open loop, whatever became of earlier ones."""

    process: Literal["poisson", "constant", "on_off", "trace"] = "poisson"
    """Arrival process."""
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
        wanted = {"on_off": {"rate_per_s", "on_s", "off_s"}, "trace": {"path"}}.get(self.process, {"rate_per_s"})
        given = {key for key in ("rate_per_s", "on_s", "off_s", "path") if getattr(self, key) is not None}
        if given != wanted:
            raise ValueError(f"{self.process} takes {', '.join(sorted(wanted))}; given: {', '.join(sorted(given))}")
        return self

    def process_config(self) -> dict[str, Any]:
        """Return the keys that are set, as the arrival processes take them."""
        return self.model_dump(exclude_none=True)


class WorkloadKeys(Part):
    """Flows from clients to one service."""

    name: Name
    """Name in the results."""
    service: str
    """Name of the service."""
    clients: tuple[str, ...] = Field(min_length=1)
    """Sites whose clients take part."""
    arrivals: ArrivalKeys
    """When flows begin."""
    work: DistributionKeys | None = None
    """http: work a request carries; default: the instance draws it."""
    response_bytes: int = Field(1000, ge=0, le=100_000_000)
    """http: size of the answer."""
    request_bytes: int = Field(200, ge=0, le=1_000_000)
    """http: least size of the request."""
    timeout_s: float = Field(10.0, gt=0)
    """http: give up after; rtp: wait for the last echoes."""
    media: Literal["audio", "video", "call"] = "audio"
    """rtp: G.711 audio (50 packets/s), video (30 frames/s, fragmented), or calls of both, each with RTCP: four flows of
    a client, from the service's port and from a source port that is a multiple of the port block."""
    video_kbps: float = Field(1000.0, gt=0)
    """rtp video and call: mean bit rate of the video."""
    call_duration: DistributionKeys = DistributionKeys(mean_ms=20_000.0)
    """rtp: how long a call lasts."""
