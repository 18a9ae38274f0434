"""The generator's configuration file (docs/processes.md, "Generator"): its keys, checked before anything is sent.

Stdlib only, for generators run inside namespaces. Reads the files that the configuration names; opens no sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from testbed.process_config import Address, Keys
from traffic import arrivals_file, stream_file
from traffic.arrivals_file import Arrival
from traffic.http_exchange import MAX_REQUEST_BYTES
from traffic.stream_file import Stream

HTTP_TIMEOUT_S = 10.0
RTP_TIMEOUT_S = 2.0
MEDIA = ("audio", "video")


@dataclass(frozen=True)
class Workload:
    """What every workload has: where its flows go, when they begin, how long an answer is waited for."""

    name: str
    service: str
    d_sid: Address
    port: int
    timeout_s: float
    arrivals: tuple[Arrival, ...]


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
class RtpWorkload(Workload):
    """Calls over UDP; the amount of an arrival is its `duration_s`."""

    media: str
    stream: Stream

    @property
    def kind(self) -> str:
        """The `kind` column of `flows`."""
        return f"rtp_{self.media}"


@dataclass(frozen=True)
class GeneratorConfig:
    """One generator: the client it plays, when the run starts, what it sends. `max_sockets` None: all there are."""

    name: str
    client: str
    site: str
    source: Mapping[int, Address]
    start_s: float
    out_dir: Path
    max_sockets: int | None
    workloads: tuple[HttpWorkload | RtpWorkload, ...]


def generator_config(keys: Keys) -> GeneratorConfig:
    """Check a generator's configuration, and read the files it names; raise ConfigError."""
    config = GeneratorConfig(
        name=keys.file_name("name"),
        client=keys.text("client"),
        site=keys.text("site"),
        source=keys.section("source", _source),
        start_s=keys.number("start_s"),
        out_dir=Path(keys.text("out_dir")),
        max_sockets=keys.optional("max_sockets", partial(keys.integer, least=1), None),
        workloads=keys.sections("workloads", _workload),
    )
    names = [workload.name for workload in config.workloads]
    for index, workload in enumerate(config.workloads):
        path = f"workloads[{index}]"
        if workload.name in names[:index]:
            raise keys.error(f"{path}.name", f"must be its own: another workload is called {workload.name!r}")
        version = workload.d_sid.version
        if version not in config.source:
            raise keys.error(f"{path}.d_sid", f"{workload.d_sid} needs an IPv{version} address in source")
    return config


def _source(keys: Keys) -> dict[int, Address]:
    given = {version: keys.optional(str(version), partial(keys.address, version=version), None) for version in (4, 6)}
    source = {version: address for version, address in given.items() if address is not None}
    if not source:
        raise keys.error("4", 'is missing, and so is source.6: give at least one address, as in {"4": "10.1.0.20"}')
    return source


def _workload(keys: Keys) -> HttpWorkload | RtpWorkload:
    kind = keys.one_of("kind", ("http", "rtp"))
    is_http = kind == "http"
    shared = Workload(
        name=keys.text("name"),
        service=keys.text("service"),
        d_sid=keys.address("d_sid"),
        port=keys.port("port"),
        timeout_s=keys.optional("timeout_s", keys.positive, HTTP_TIMEOUT_S if is_http else RTP_TIMEOUT_S),
        arrivals=_arrivals(keys, arrivals_file.WORK_COLUMN if is_http else arrivals_file.DURATION_COLUMN),
    )
    if is_http:
        return HttpWorkload(
            **vars(shared),
            request_bytes=keys.optional("request_bytes", partial(keys.integer, least=0, most=MAX_REQUEST_BYTES), 0),
            response_bytes=keys.optional("response_bytes", partial(keys.integer, least=0), None),
        )
    if not all(arrival.amount for arrival in shared.arrivals):
        raise keys.error("arrivals_file", "must give every call a duration_s > 0")
    return RtpWorkload(**vars(shared), media=keys.one_of("media", MEDIA), stream=_stream(keys))


def _arrivals(keys: Keys, column: str) -> tuple[Arrival, ...]:
    path = keys.text("arrivals_file")
    try:
        return tuple(arrivals_file.read(path, column))
    except OSError as error:
        raise keys.error("arrivals_file", f"cannot be read: {path}: {error.strerror}") from None
    except ValueError as error:
        raise keys.error("arrivals_file", f"is no arrivals file: {error}") from None


def _stream(keys: Keys) -> Stream:
    path = keys.text("stream_file")
    try:
        return stream_file.decode(Path(path).read_bytes())
    except OSError as error:
        raise keys.error("stream_file", f"cannot be read: {path}: {error.strerror}") from None
    except ValueError as error:
        raise keys.error("stream_file", f"is no stream file: {path}: {error}") from None
