"""The configuration of a generator (docs/processes.md, "Generator"). Pure; light, for generators run inside namespaces.

Of the files that it names, `traffic.workloads` makes what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from testbed.net.addresses import Address
from testbed.runtime.config import ConfigError, Keys
from testbed.runtime.document import Document, ProcessConfig, Tagged
from testbed.runtime.forms import Count, Destination, Integer, Length, Port, Positive, Size
from traffic.content.http_exchange import MAX_REQUEST_BYTES

DNS_PORT = 53
CALL_MEDIA = ("audio", "video")  # in the order of their ports
PORTS_PER_CALL = 2 * len(CALL_MEDIA)  # RTP and RTCP of each
_PORTS = 65536


@dataclass(frozen=True, kw_only=True)
class WorkloadConfig(Document):
    """What every workload has: where its flows go, and when they begin."""

    name: str
    """Its name, its own."""
    service: str
    """The service that it asks."""
    d_sid: Address
    """Its address."""
    port: Port
    """The flows go there."""
    arrivals_file: Path
    """When flows begin, and how much each is: CSV with `offset_s` and `work_ms` (empty: invoke) or `duration_s`."""
    host_name: str | None = None
    """Flows go to the address that it stands for when they begin, of the IP version of `d_sid`."""


@dataclass(frozen=True, kw_only=True)
class HttpWorkloadConfig(WorkloadConfig):
    """Requests over TCP, each on a connection of its own."""

    timeout_s: Positive = 10.0
    """An answer is waited for so long."""
    request_bytes: Annotated[int, Integer(0, MAX_REQUEST_BYTES)] = 0
    """Length of a request's body."""
    response_bytes: Size | None = None
    """Length asked for of an answer's body; null: as the service has it."""


@dataclass(frozen=True, kw_only=True)
class RtpWorkloadConfig(WorkloadConfig):
    """Calls of one medium over UDP."""

    media: Literal["audio", "video"]
    """What is sent."""
    stream_file: Path
    """Its packets."""
    timeout_s: Positive = 2.0
    """Echoes are waited for so long after the last packet."""


@dataclass(frozen=True, kw_only=True)
class CallWorkloadConfig(WorkloadConfig):
    """Calls of audio and video over UDP, to `port` and the three above it."""

    audio_file: Path
    """The packets of the audio."""
    video_file: Path
    """The packets of the video."""
    timeout_s: Positive = 2.0
    """Echoes are waited for so long after the last packet."""
    port_block: Annotated[int, Integer(PORTS_PER_CALL)] = PORTS_PER_CALL
    """A call takes its four source ports from a multiple of it."""

    def __post_init__(self) -> None:
        if self.port > _PORTS - PORTS_PER_CALL:
            raise ConfigError(f"port must leave room for {PORTS_PER_CALL} ports from it, not {self.port}")


@dataclass(frozen=True, kw_only=True)
class InvokeWorkloadConfig(WorkloadConfig):
    """Invocations of a function, each on a connection of its own; `d_sid` is the address that is asked first."""

    auth: str
    """What clusters are shown, as `uuid:key`."""
    body_files: Annotated[tuple[Path, ...], Length(1, "a list of paths, at least one")]
    """Parameters of the function as JSON, which invocations take in turn."""
    timeout_s: Positive = 60.0
    """An answer is waited for so long."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What those who answer are called, by their addresses."""
    amount_parameter: str | None = None
    """The parameter in which an invocation carries the amount of its arrival, if that has one."""
    first_answer: Literal["activation", "redirect"] = "activation"
    """redirect: who is asked first says where to go, and is sent parameters if it wants them (RFC 9110, 10.1.1)."""
    asked_first: Destination | None = None
    """Who is asked first in place of `d_sid`: it says to go there, and for how long that may be kept (RFC 9111)."""
    most_redirects: Size = 5
    """An invocation is sent elsewhere so often at most."""

    def __post_init__(self) -> None:
        if not all(self.auth.partition(":")):
            raise ConfigError("auth must be uuid:key")


@dataclass(frozen=True)
class NameServer(Document):
    """Where names are looked up."""

    address: Address
    """Its address."""
    port: Port = DNS_PORT
    """Its port."""


class Sources:
    """The addresses of a client by IP version, at least one."""

    words = 'object with an IP address at "4", "6" or both'

    def take(self, keys: Keys, key: str) -> dict[int, Address]:
        """Return the value that a document has at a key. Raises ConfigError."""
        return keys.section(key, self._read)

    @staticmethod
    def _read(keys: Keys) -> dict[int, Address]:
        found = {
            version: keys.optional(str(version), partial(keys.address, version=version), None) for version in (4, 6)
        }
        source = {version: address for version, address in found.items() if address is not None}
        if not source:
            raise keys.error("4", 'is missing, and so is source.6: give at least one address, as in {"4": "10.1.0.20"}')
        return source

    def put(self, value: Mapping[int, Address]) -> dict[str, str]:
        """Return a value as JSON has it."""
        return {str(version): str(address) for version, address in value.items()}


_WORKLOAD = Tagged(
    "kind",
    {
        "http": HttpWorkloadConfig,
        "rtp": RtpWorkloadConfig,
        "call": CallWorkloadConfig,
        "invoke": InvokeWorkloadConfig,
    },
)


@dataclass(frozen=True)
class GeneratorConfig(ProcessConfig):
    """The configuration of a generator."""

    client: str
    """The client it plays."""
    site: str
    """The site of that client."""
    source: Annotated[Mapping[int, Address], Sources()]
    """The client's addresses."""
    start_s: float
    """When the run starts, on CLOCK_MONOTONIC."""
    workloads: tuple[Annotated[WorkloadConfig, _WORKLOAD], ...]
    """What it sends."""
    name_server: NameServer | None = None
    """Where it looks names up."""
    max_sockets: Count | None = None
    """How many flows it has open at a time; null: as many as the process may open."""

    def __post_init__(self) -> None:
        names = [workload.name for workload in self.workloads]
        for index, workload in enumerate(self.workloads):
            path = f"workloads[{index}]"
            if workload.name in names[:index]:
                raise ConfigError(f"{path}.name must be its own: another workload is called {workload.name!r}")
            version = workload.d_sid.version
            if version not in self.source:
                raise ConfigError(f"{path}.d_sid {workload.d_sid} needs an IPv{version} address in source")
            if workload.host_name is not None and self.name_server is None:
                raise ConfigError(f"{path}.host_name cannot be looked up: there is no name_server")
        if self.name_server is not None and self.name_server.address.version not in self.source:
            raise ConfigError("name_server.address is of an IP version that source has no address of")
