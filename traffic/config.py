"""The generator's configuration file (docs/processes.md, "Generator"): its keys, checked before anything is sent.

Stdlib only, for generators run inside namespaces. Reads the file and those it names; opens no sockets.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from traffic import arrivals_file, stream_file
from traffic.arrivals_file import Arrival
from traffic.http_exchange import MAX_REQUEST_BYTES
from traffic.sockets import Address
from traffic.stream_file import Stream

HTTP_TIMEOUT_S = 10.0
RTP_TIMEOUT_S = 2.0
MEDIA = ("audio", "video")


class ConfigError(ValueError):
    """A configuration that cannot be run; one line naming file and key."""


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


def load(path: Path | str) -> GeneratorConfig:
    """Read and check a configuration file and the files it names; raise ConfigError."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    top = _Section(content, f"{path}: ")
    config = GeneratorConfig(
        name=top.file_name("name"),
        client=top.text("client"),
        site=top.text("site"),
        source=_source(top),
        start_s=top.number("start_s"),
        out_dir=Path(top.text("out_dir")),
        max_sockets=top.optional_whole("max_sockets", 1),
        workloads=tuple(_workload(section) for section in top.sections("workloads")),
    )
    top.reject_others()
    names = [workload.name for workload in config.workloads]
    for index, workload in enumerate(config.workloads):
        prefix = f"{path}: workloads[{index}]."
        if workload.name in names[:index]:
            raise ConfigError(f"{prefix}name: another workload is called {workload.name!r}")
        if workload.d_sid.version not in config.source:
            raise ConfigError(f"{prefix}d_sid: {workload.d_sid} needs an IPv{workload.d_sid.version} address in source")
    if not config.out_dir.is_dir():
        raise ConfigError(f"{path}: out_dir: no such folder: {config.out_dir}")
    return config


def _source(top: _Section) -> dict[int, Address]:
    section = top.section("source")
    source = {version: section.address(str(version), version) for version in (4, 6) if str(version) in section}
    section.reject_others(("4", "6"))
    if not source:
        raise ConfigError(f'{section.prefix}4: give at least one address, as in {{"4": "10.1.0.20"}}')
    return source


def _workload(section: _Section) -> HttpWorkload | RtpWorkload:
    kind = section.choice("kind", ("http", "rtp"))
    name, service, port = section.text("name"), section.text("service"), section.whole("port", 1, 65_535)
    d_sid = section.address("d_sid")
    if kind == "http":
        http = HttpWorkload(
            name=name,
            service=service,
            d_sid=d_sid,
            port=port,
            timeout_s=section.positive("timeout_s", HTTP_TIMEOUT_S),
            arrivals=_arrivals(section, arrivals_file.WORK_COLUMN),
            request_bytes=section.whole("request_bytes", 0, MAX_REQUEST_BYTES, default=0),
            response_bytes=section.optional_whole("response_bytes", 0),
        )
        section.reject_others()
        return http
    rtp = RtpWorkload(
        name=name,
        service=service,
        d_sid=d_sid,
        port=port,
        timeout_s=section.positive("timeout_s", RTP_TIMEOUT_S),
        arrivals=_arrivals(section, arrivals_file.DURATION_COLUMN),
        media=section.choice("media", MEDIA),
        stream=_stream(section),
    )
    section.reject_others()
    if not all(arrival.amount for arrival in rtp.arrivals):
        raise ConfigError(f"{section.prefix}arrivals_file: every call needs a duration_s > 0")
    return rtp


def _arrivals(section: _Section, column: str) -> tuple[Arrival, ...]:
    path = section.text("arrivals_file")
    try:
        return tuple(arrivals_file.read(path, column))
    except OSError as error:
        raise ConfigError(f"{section.prefix}arrivals_file: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{section.prefix}arrivals_file: {error}") from None


def _stream(section: _Section) -> Stream:
    path = section.text("stream_file")
    try:
        return stream_file.decode(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"{section.prefix}stream_file: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{section.prefix}stream_file: {path}: {error}") from None


class _Section:
    """One JSON object: its keys are taken one by one, each checked, and what is left over is an error."""

    def __init__(self, content: object, prefix: str) -> None:
        if not isinstance(content, dict):
            raise ConfigError(f"{prefix.rstrip('. :')}: must be a JSON object")
        self._content = content
        self._taken: set[str] = set()
        self.prefix = prefix

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def _take(self, key: str) -> object:
        self._taken.add(key)
        if key not in self._content:
            raise ConfigError(f"{self.prefix}{key}: missing")
        return self._content[key]

    def _wrong(self, key: str, wanted: str) -> ConfigError:
        return ConfigError(f"{self.prefix}{key}: must be {wanted}, not {self._content[key]!r}")

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "text")
        return value

    def file_name(self, key: str) -> str:
        value = self.text(key)
        if "/" in value or value.startswith("."):
            raise self._wrong(key, "fit for a file name (no '/', no leading '.')")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self._take(key)
        if not isinstance(value, str) or value not in choices:
            raise self._wrong(key, f"one of {', '.join(choices)}")
        return value

    def number(self, key: str) -> float:
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._wrong(key, "a number")
        return float(value)

    def positive(self, key: str, default: float) -> float:
        if key not in self._content:
            return default
        value = self.number(key)
        if value <= 0:
            raise self._wrong(key, "> 0")
        return value

    def whole(self, key: str, least: int, most: int | None = None, default: int | None = None) -> int:
        if default is not None and key not in self._content:
            return default
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least or (most and value > most):
            raise self._wrong(key, f"a whole number {least}..{most}" if most else f"a whole number >= {least}")
        return value

    def optional_whole(self, key: str, least: int) -> int | None:
        if self._content.get(key) is None:
            self._taken.add(key)
            return None
        return self.whole(key, least)

    def address(self, key: str, version: int | None = None) -> Address:
        value = self._take(key)
        family = f"IPv{version}" if version else "IP"
        try:
            parsed = ipaddress.ip_address(value) if isinstance(value, str) else None
        except ValueError:
            parsed = None
        if parsed is None or (version and parsed.version != version):
            raise self._wrong(key, f"an {family} address")
        return parsed

    def section(self, key: str) -> _Section:
        return _Section(self._take(key), f"{self.prefix}{key}.")

    def sections(self, key: str) -> list[_Section]:
        value = self._take(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        return [_Section(item, f"{self.prefix}{key}[{index}].") for index, item in enumerate(value)]

    def reject_others(self, known: tuple[str, ...] = ()) -> None:
        """Raise ConfigError for the first key that nobody took."""
        known = (*known, *self._taken)
        for key in self._content:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(known))}"
                raise ConfigError(f"{self.prefix}{key}: unknown key{hint}")
