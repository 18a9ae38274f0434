"""What a generator sends: its workloads, with the arrivals and the streams that its configuration names files of.

Reads files; opens no sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival
from traffic.config import (
    CALL_MEDIA,
    PORTS_PER_CALL,
    CallWorkloadConfig,
    GeneratorConfig,
    HttpWorkloadConfig,
    InvokeWorkloadConfig,
    RtpWorkloadConfig,
    WorkloadConfig,
)
from traffic.content import stream_file
from traffic.content.stream_file import Stream


@dataclass(frozen=True)
class Workload:
    """What every workload has: where its flows go, when they begin, how long an answer is waited for.

    With a `host_name`, they go to the address that it stands for when they begin, of the IP version of `d_sid`.
    """

    name: str
    service: str
    d_sid: Address
    port: int
    timeout_s: float
    arrivals: tuple[Arrival, ...]
    host_name: str | None

    @property
    def flows_per_arrival(self) -> int:
        """How many flows begin at each arrival."""
        return 1


@dataclass(frozen=True)
class HttpWorkload(Workload):
    """Requests over TCP, each on a connection of its own; the amount of an arrival is its `work_ms`."""

    request_bytes: int
    response_bytes: int | None

    @property
    def kind(self) -> str:
        """The `kind` column of `flows`."""
        return "http"


@dataclass(frozen=True)
class InvokeWorkload(Workload):
    """Invocations of the function `service`; each takes one of the `bodies`, in turn. `names`: by address.

    `asked_first`: who is asked in place of `d_sid`, if somebody is.
    With an `amount_parameter`, an invocation carries the amount of its arrival as that parameter.
    """

    auth: str
    bodies: tuple[bytes, ...]
    names: Mapping[str, str]
    most_redirects: int
    is_redirected: bool
    asked_first: tuple[Address, int] | None
    amount_parameter: str | None = None

    @property
    def kind(self) -> str:
        """The `kind` column of `flows`."""
        return "invoke"


@dataclass(frozen=True)
class RtpWorkload(Workload):
    """Calls over UDP; the amount of an arrival is its `duration_s`."""

    media: str
    stream: Stream

    @property
    def kind(self) -> str:
        """The `kind` column of `flows`."""
        return f"rtp_{self.media}"


@dataclass(frozen=True)
class CallWorkload(Workload):
    """Calls of audio and video over UDP, from `port` upwards; the amount of an arrival is its `duration_s`.

    A call takes source ports from a multiple of `port_block`.
    """

    port_block: int
    streams: Mapping[str, Stream]

    @property
    def kind(self) -> str:
        """What it is called in summaries; its flows have a kind each."""
        return "call"

    @property
    def flows_per_arrival(self) -> int:
        """RTP and RTCP of each medium."""
        return PORTS_PER_CALL

    def medium(self, medium: str) -> RtpWorkload:
        """Return what one medium of the calls is like by itself."""
        shared = {field.name: getattr(self, field.name) for field in fields(Workload)}
        shared["port"] = self.port + 2 * CALL_MEDIA.index(medium)
        return RtpWorkload(**shared, media=medium, stream=self.streams[medium])


AnyWorkload = HttpWorkload | InvokeWorkload | RtpWorkload | CallWorkload


def read(config: GeneratorConfig) -> tuple[AnyWorkload, ...]:
    """Return the workloads with what their files say. Raises ConfigError naming the key of a file that is no good."""
    return tuple(_read(workload, f"workloads[{index}]") for index, workload in enumerate(config.workloads))


def _read(config: WorkloadConfig, path: str) -> AnyWorkload:
    if isinstance(config, HttpWorkloadConfig):
        arrivals = _arrivals(config.arrivals_file, arrivals_file.WORK_COLUMN, path)
        shared = _shared(config, config.timeout_s, arrivals)
        return HttpWorkload(**shared, request_bytes=config.request_bytes, response_bytes=config.response_bytes)
    if isinstance(config, InvokeWorkloadConfig):
        arrivals = _arrivals(config.arrivals_file, arrivals_file.WORK_COLUMN, path)
        bodies = tuple(_body(file, f"{path}.body_files[{index}]") for index, file in enumerate(config.body_files))
        shared = _shared(config, config.timeout_s, arrivals)
        return InvokeWorkload(
            **shared,
            auth=config.auth,
            bodies=bodies,
            names=config.names,
            most_redirects=config.most_redirects,
            is_redirected=config.first_answer == "redirect",
            asked_first=config.asked_first,
            amount_parameter=config.amount_parameter,
        )
    assert isinstance(config, RtpWorkloadConfig | CallWorkloadConfig)
    arrivals = _arrivals(config.arrivals_file, arrivals_file.DURATION_COLUMN, path)
    if not all(arrival.amount for arrival in arrivals):
        raise ConfigError(f"{path}.arrivals_file must give every call a duration_s > 0")
    shared = _shared(config, config.timeout_s, arrivals)
    if isinstance(config, RtpWorkloadConfig):
        return RtpWorkload(**shared, media=config.media, stream=_stream(config.stream_file, f"{path}.stream_file"))
    streams = {"audio": config.audio_file, "video": config.video_file}
    return CallWorkload(
        **shared,
        port_block=config.port_block,
        streams={medium: _stream(file, f"{path}.{medium}_file") for medium, file in streams.items()},
    )


def _shared(config: WorkloadConfig, timeout_s: float, arrivals: tuple[Arrival, ...]) -> dict[str, Any]:
    return {
        "name": config.name,
        "service": config.service,
        "d_sid": config.d_sid,
        "port": config.port,
        "host_name": config.host_name,
        "timeout_s": timeout_s,
        "arrivals": arrivals,
    }


def _arrivals(file: Path, column: str, path: str) -> tuple[Arrival, ...]:
    try:
        return tuple(arrivals_file.read(file, column))
    except OSError as error:
        raise ConfigError(f"{path}.arrivals_file cannot be read: {file}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}.arrivals_file is no arrivals file: {error}") from None


def _body(file: Path, path: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {file}: {error.strerror}") from None


def _stream(file: Path, path: str) -> Stream:
    try:
        return stream_file.decode(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {file}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is no stream file: {file}: {error}") from None
