"""The generator's configuration file (docs/processes.md, "Generator"): its keys, checked before anything is sent.

Stdlib only, for generators run inside namespaces. Reads the files that the configuration names; opens no sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from testbed.net.addresses import Address
from testbed.runtime.config import Keys
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival
from traffic.content import stream_file
from traffic.content.http_exchange import MAX_REQUEST_BYTES
from traffic.content.stream_file import Stream

DNS_PORT = 53
HTTP_TIMEOUT_S = 10.0
RTP_TIMEOUT_S = 2.0
MEDIA = ("audio", "video", "call")
CALL_MEDIA = ("audio", "video")  # in the order of their ports
PORTS_PER_CALL = 2 * len(CALL_MEDIA)  # RTP and RTCP of each


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


AnyWorkload = HttpWorkload | RtpWorkload | CallWorkload


@dataclass(frozen=True)
class NameServer:
    """Where names are looked up."""

    address: Address
    port: int


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
    name_server: NameServer | None
    workloads: tuple[AnyWorkload, ...]


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
        name_server=keys.optional("name_server", partial(keys.section, check=_name_server), None),
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
        if workload.host_name is not None and config.name_server is None:
            raise keys.error(f"{path}.host_name", "cannot be looked up: there is no name_server")
    if config.name_server is not None and config.name_server.address.version not in config.source:
        raise keys.error("name_server.address", "is of an IP version that source has no address of")
    return config


def _name_server(keys: Keys) -> NameServer:
    return NameServer(keys.address("address"), keys.optional("port", keys.port, DNS_PORT))


def _source(keys: Keys) -> dict[int, Address]:
    given = {version: keys.optional(str(version), partial(keys.address, version=version), None) for version in (4, 6)}
    source = {version: address for version, address in given.items() if address is not None}
    if not source:
        raise keys.error("4", 'is missing, and so is source.6: give at least one address, as in {"4": "10.1.0.20"}')
    return source


def _workload(keys: Keys) -> AnyWorkload:
    kind = keys.one_of("kind", ("http", "rtp"))
    is_http = kind == "http"
    shared = Workload(
        name=keys.text("name"),
        service=keys.text("service"),
        d_sid=keys.address("d_sid"),
        port=keys.port("port"),
        timeout_s=keys.optional("timeout_s", keys.positive, HTTP_TIMEOUT_S if is_http else RTP_TIMEOUT_S),
        arrivals=_arrivals(keys, arrivals_file.WORK_COLUMN if is_http else arrivals_file.DURATION_COLUMN),
        host_name=keys.optional("host_name", keys.text, None),
    )
    if is_http:
        return HttpWorkload(
            **vars(shared),
            request_bytes=keys.optional("request_bytes", partial(keys.integer, least=0, most=MAX_REQUEST_BYTES), 0),
            response_bytes=keys.optional("response_bytes", partial(keys.integer, least=0), None),
        )
    if not all(arrival.amount for arrival in shared.arrivals):
        raise keys.error("arrivals_file", "must give every call a duration_s > 0")
    media = keys.one_of("media", MEDIA)
    if media != "call":
        return RtpWorkload(**vars(shared), media=media, stream=_stream(keys, "stream_file"))
    if shared.port > 65536 - PORTS_PER_CALL:
        raise keys.error("port", f"must leave room for {PORTS_PER_CALL} ports from it")
    return CallWorkload(
        **vars(shared),
        port_block=keys.optional("port_block", partial(keys.integer, least=PORTS_PER_CALL), PORTS_PER_CALL),
        streams={medium: _stream(keys, f"{medium}_file") for medium in CALL_MEDIA},
    )


def _arrivals(keys: Keys, column: str) -> tuple[Arrival, ...]:
    path = keys.text("arrivals_file")
    try:
        return tuple(arrivals_file.read(path, column))
    except OSError as error:
        raise keys.error("arrivals_file", f"cannot be read: {path}: {error.strerror}") from None
    except ValueError as error:
        raise keys.error("arrivals_file", f"is no arrivals file: {error}") from None


def _stream(keys: Keys, key: str) -> Stream:
    path = keys.text(key)
    try:
        return stream_file.decode(Path(path).read_bytes())
    except OSError as error:
        raise keys.error(key, f"cannot be read: {path}: {error.strerror}") from None
    except ValueError as error:
        raise keys.error(key, f"is no stream file: {path}: {error}") from None
