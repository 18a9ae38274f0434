"""What Dyncast nodes say to each other in band, as bytes.

Owns the wire format; knows no socket. Every message starts with

    magic 0xDC (8) | version (8) | type (8) | length of the sender's site name (8)
    sequence (32) | sent, ns on the sender's clock (64) | site name, UTF-8

A *Report* goes on with the number of bindings (16) and for each

    address family 4|6 (8) | D-SID | D-BID | state (8) | number of metrics (8) | metrics

A metric is written in the fields of the CATS metric definition: type (8), level (2), format (1: 0
unsigned integer, 1 IEEE 754 float), length as a power of two octets (3), two spare bits, source (3) with
five spare bits, value. Unknown metric types are skipped by their length, never fatal.

*Probe* and *ProbeReply* measure the path: a reply carries the probe's sequence and sending time back.
Whatever is malformed raises `CodecError`, for the receiver to count and drop.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from testbed.dyncast.metrics import BEST_SCORE, RawMetrics, State, compute_score, overall_score, service_score

Address = IPv4Address | IPv6Address

MAGIC = 0xDC
VERSION = 1
_HEADER = struct.Struct("!BBBBIQ")
_MAX_BINDINGS_BYTES = 1400  # a report fits one unfragmented packet on an Ethernet path


class CodecError(ValueError):
    """A message that is no message of ours."""


class MessageType(IntEnum):
    """The messages."""

    REPORT = 1
    PROBE = 2
    PROBE_REPLY = 3


class _Source(IntEnum):
    DIRECT = 0
    NORMALIZATION = 3


@dataclass(frozen=True)
class _Metric:
    kind: int
    attribute: str
    level: int
    is_float: bool
    octets: int
    source: _Source


_METRICS = (
    _Metric(1, "workers", 0, False, 4, _Source.DIRECT),
    _Metric(2, "busy_workers", 0, False, 4, _Source.DIRECT),
    _Metric(3, "queue_length", 0, False, 4, _Source.DIRECT),
    _Metric(4, "queue_limit", 0, False, 4, _Source.DIRECT),
    _Metric(5, "sessions", 0, False, 4, _Source.DIRECT),
    _Metric(8, "sessions_started", 0, False, 4, _Source.DIRECT),
    _Metric(6, "utilisation", 0, True, 4, _Source.DIRECT),
    _Metric(7, "service_time_s", 0, True, 4, _Source.DIRECT),
    _Metric(16, "compute_norm", 1, False, 1, _Source.NORMALIZATION),
    _Metric(17, "service_norm", 1, False, 1, _Source.NORMALIZATION),
    _Metric(32, "norm", 2, False, 1, _Source.NORMALIZATION),
)
_BY_KIND = {metric.kind: metric for metric in _METRICS}
_INTEGER = {1: "!B", 2: "!H", 4: "!I", 8: "!Q"}
_FLOAT = {4: "!f", 8: "!d"}
_LARGEST_FLOAT = {4: 3.4028234663852886e38, 8: 1.7976931348623157e308}


@dataclass(frozen=True)
class BindingReport:
    """One D-SID ↔ D-BID binding with its metrics; `raw` is None when the instance is down."""

    d_sid: Address
    d_bid: Address
    state: State
    raw: RawMetrics | None
    score: int = 0


@dataclass(frozen=True)
class Report:
    """Metrics of all instances of one site. `sent_s` is on the agent's clock."""

    site: str
    sequence: int
    sent_s: float
    bindings: tuple[BindingReport, ...]


@dataclass(frozen=True)
class Probe:
    """A path probe, or the reply to one (`is_reply`); `sent_s` is the prober's clock in both."""

    site: str
    sequence: int
    sent_s: float
    is_reply: bool = False


Message = Report | Probe


def report_of(d_sid: Address, d_bid: Address, state: State, raw: RawMetrics | None) -> BindingReport:
    """Return the binding report with the L2 score filled in."""
    return BindingReport(d_sid, d_bid, state, raw, overall_score(raw) if raw and state is not State.DOWN else 0)


def encode(message: Message) -> bytes:
    """Return the bytes of a message; figures too large for their field go as the largest that fits.

    Raises CodecError for a message that does not fit a packet, or a binding of two address families.
    """
    if isinstance(message, Probe):
        kind = MessageType.PROBE_REPLY if message.is_reply else MessageType.PROBE
        return _header(kind, message)
    parts = [_header(MessageType.REPORT, message), struct.pack("!H", len(message.bindings))]
    parts.extend(_encode_binding(binding) for binding in message.bindings)
    data = b"".join(parts)
    if len(data) > _MAX_BINDINGS_BYTES:
        raise CodecError(f"a report of {len(message.bindings)} bindings takes {len(data)} bytes; split it")
    return data


def split(report: Report, first_sequence: int) -> list[Report]:
    """Return the report as several that each fit a packet, numbered from `first_sequence`."""
    parts: list[list[BindingReport]] = [[]]
    size = empty = _HEADER.size + len(report.site.encode()) + 2
    for binding in report.bindings:
        length = len(_encode_binding(binding))
        if size + length > _MAX_BINDINGS_BYTES:
            parts.append([])
            size = empty
        parts[-1].append(binding)
        size += length
    return [
        Report(report.site, first_sequence + number, report.sent_s, tuple(part)) for number, part in enumerate(parts)
    ]


def decode(data: bytes) -> Message:
    """Return the message in `data`. Raises CodecError on anything malformed."""
    try:
        return _decode(memoryview(data))
    except (struct.error, UnicodeDecodeError, ValueError, IndexError) as error:
        raise error if isinstance(error, CodecError) else CodecError(f"malformed: {error}") from error


def _header(kind: MessageType, message: Message) -> bytes:
    site = message.site.encode()
    if len(site) > 255:
        raise CodecError(f"site name of {len(site)} bytes; at most 255")
    sent_ns = max(0, round(message.sent_s * 1e9))
    return _HEADER.pack(MAGIC, VERSION, kind, len(site), message.sequence & 0xFFFFFFFF, sent_ns) + site


def _encode_binding(binding: BindingReport) -> bytes:
    if binding.d_sid.version != binding.d_bid.version:
        raise CodecError(f"{binding.d_sid} and {binding.d_bid} are of different address families")
    values: dict[str, float] = {}
    if binding.raw is not None:
        values = {**vars(binding.raw), "compute_norm": compute_score(binding.raw)}
        values |= {"service_norm": service_score(binding.raw), "norm": binding.score}
    parts = [
        bytes([binding.d_sid.version]),
        binding.d_sid.packed,
        binding.d_bid.packed,
        bytes([binding.state, len(values)]),
    ]
    for metric in _METRICS:
        if metric.attribute in values:
            value = values[metric.attribute]
            shape = metric.level << 6 | metric.is_float << 5 | (metric.octets.bit_length() - 1) << 2
            parts.append(bytes([metric.kind, shape, metric.source << 5]))
            parts.append(
                struct.pack(_FLOAT[metric.octets], min(value, _LARGEST_FLOAT[metric.octets]))
                if metric.is_float
                else min(int(value), 256**metric.octets - 1).to_bytes(metric.octets, "big")
            )
    return b"".join(parts)


def _decode(data: memoryview) -> Message:
    magic, version, kind, name_length, sequence, sent_ns = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise CodecError("not a Dyncast message")
    if version != VERSION:
        raise CodecError(f"version {version}, not {VERSION}")
    position = _HEADER.size + name_length
    if len(data) < position:
        raise CodecError("cut short in the site name")
    site = bytes(data[_HEADER.size : position]).decode()
    sent_s = sent_ns / 1e9
    if kind in (MessageType.PROBE, MessageType.PROBE_REPLY):
        _check_end(data, position)
        return Probe(site, sequence, sent_s, kind == MessageType.PROBE_REPLY)
    if kind != MessageType.REPORT:
        raise CodecError(f"message type {kind} is unknown")
    (count,) = struct.unpack_from("!H", data, position)
    position += 2
    bindings = []
    for _ in range(count):
        binding, position = _decode_binding(data, position)
        bindings.append(binding)
    _check_end(data, position)
    return Report(site, sequence, sent_s, tuple(bindings))


def _check_end(data: memoryview, position: int) -> None:
    if position != len(data):
        raise CodecError(f"{len(data) - position} bytes too many")


def _decode_binding(data: memoryview, position: int) -> tuple[BindingReport, int]:
    family = data[position]
    if family not in (4, 6):
        raise CodecError(f"address family {family} is neither 4 nor 6")
    kind, size = (IPv4Address, 4) if family == 4 else (IPv6Address, 16)
    position += 1
    if len(data) < position + 2 * size + 2:
        raise CodecError("cut short in a binding")
    d_sid = kind(bytes(data[position : position + size]))
    d_bid = kind(bytes(data[position + size : position + 2 * size]))
    position += 2 * size
    state, count = State(data[position]), data[position + 1]
    position += 2
    values: dict[str, float] = {}
    for _ in range(count):
        kind_code, shape = data[position], data[position + 1]
        octets = 1 << (shape >> 2 & 0b111)
        position += 3
        value = data[position : position + octets]
        if len(value) < octets:
            raise CodecError("cut short in a metric")
        position += octets
        known = _BY_KIND.get(kind_code)
        if known is None:
            continue
        is_float = bool(shape >> 5 & 1)
        formats = _FLOAT if is_float else _INTEGER
        if is_float is not known.is_float or octets not in formats:
            raise CodecError(f"metric {known.attribute} in an unusable format")
        values[known.attribute] = struct.unpack(formats[octets], value)[0]
    score = int(values.pop("norm", 0))
    if score > BEST_SCORE:
        raise CodecError(f"score {score} is above {BEST_SCORE}")
    values.pop("compute_norm", None)
    values.pop("service_norm", None)
    if values and "workers" not in values:
        raise CodecError("metrics without the number of workers")
    raw = RawMetrics(**values) if values else None  # type: ignore[arg-type]
    return BindingReport(d_sid, d_bid, state, raw, score), position
