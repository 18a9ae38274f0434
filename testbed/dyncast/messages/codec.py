"""What Dyncast nodes say to each other in band, as bytes.

Owns the wire format; knows no socket. Every message starts with

    magic 0xDC (8) | version (8) | type (8) | length of the sender's site name (8)
    sequence (32) | sent, ns on the sender's clock (64) | site name, UTF-8

A *Report* goes on with the number of bindings (16) and for each

    address family 4|6 (8) | D-SID | D-BID | state (8) | number of metrics (8) | metrics

Metrics are written in the fields of the CATS metric definition (`metrics.wire_fields`). What the service is, if that is
reported, stands first among them (`service_offer`).

*Probe* and *ProbeReply* measure the path: a reply carries the probe's sequence and sending time back, and goes on with

    sequence (32) | sent, ns on its sender's clock (64): its own if it is a probe as well, else 0 and all ones
    for how long the probe was held before it was answered, ns (64)

What ingresses, the controller and agents say to each other beyond that is written by `control_messages`, what a CFN
node sends its CFN Dispatchers by `dispatch_messages`.
The highest bit of the type says that a trailer follows the message, which `testbed.dyncast.messages.authentication`
owns. Whatever is malformed raises `CodecError`, for the receiver to count and drop; so does whatever `encode` could not
write again: more octets than fit a packet, a time that its field has no room for.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from testbed.dyncast.messages import control_messages, dispatch_messages, service_offer
from testbed.dyncast.messages.control_messages import ControlMessage, IngressStatus, Reader, Shares
from testbed.dyncast.messages.dispatch_messages import Assignment, Withdrawal
from testbed.dyncast.messages.reports import BindingReport, Probe, Report
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.levels import State
from testbed.dyncast.metrics.wire_fields import METRICS, Metric
from testbed.errors import TestbedError
from testbed.net import addresses
from testbed.net.octets import LARGEST_NS, nanoseconds

MAGIC = 0xDC
VERSION = 1
AUTHENTICATED = 0x80  # this bit of the type: a trailer follows the message
_HEADER = struct.Struct("!BBBBIQ")
_KIND_AT = 2  # in the header
_REPLY = struct.Struct("!IQQ")
_NO_PROBE = 2**64 - 1
MOST_OCTETS = 1400  # a message and its trailer fit one unfragmented packet on an Ethernet path, in IPv6 too


class CodecError(TestbedError, ValueError):
    """A message that is no message of ours."""


class UnknownKind(CodecError):
    """A message of a kind that is not known here."""


class MessageType(IntEnum):
    """The messages."""

    REPORT = 1
    PROBE = 2
    PROBE_REPLY = 3
    INGRESS_STATUS = 4
    SHARES = 5
    LOAD_REPORT = 6
    LOADS = 7
    ASSIGNMENT = 8
    WITHDRAWAL = 9


FROM_AGENTS = {MessageType.REPORT, MessageType.LOAD_REPORT}  # and for every D-Router; the others are for one
TO_DISPATCHERS = {MessageType.ASSIGNMENT, MessageType.WITHDRAWAL}
_NAMES = {kind.value: kind.name.lower() for kind in MessageType}
_CONTROL = {MessageType.INGRESS_STATUS, MessageType.SHARES, MessageType.LOAD_REPORT, MessageType.LOADS}


Message = Report | Probe | ControlMessage | Assignment | Withdrawal


class Header(NamedTuple):
    """What every message starts with. `kind` is not checked; `octets` is the header's length."""

    kind: int
    site: str
    sequence: int
    sent_s: float
    octets: int


def encode(message: Message, metrics: tuple[Metric, ...] = METRICS) -> bytes:
    """Return the bytes of a message; figures too large for their field go as the largest that fits.

    A report has those of `metrics` that there are. Raises CodecError for a message that does not fit a packet, or a
    binding of two address families.
    """
    data = _encode(message, metrics)
    if len(data) > MOST_OCTETS:
        what = f"report of {len(message.bindings)} bindings" if isinstance(message, Report) else type(message).__name__
        raise CodecError(f"a {what} takes {len(data)} bytes; split it")
    return data


def _encode(message: Message, metrics: tuple[Metric, ...]) -> bytes:
    if isinstance(message, Probe):
        if not message.is_reply:
            return _header(MessageType.PROBE, message)
        asked_ns = _NO_PROBE if message.asked_s is None else nanoseconds(message.asked_s)
        asks = message.asked_sequence & 0xFFFFFFFF, asked_ns
        return _header(MessageType.PROBE_REPLY, message) + _REPLY.pack(*asks, nanoseconds(message.held_s))
    if isinstance(message, (Assignment, Withdrawal)):
        return _encode_dispatch(message)
    if not isinstance(message, Report):
        return _encode_control(message)
    parts = [_header(MessageType.REPORT, message), struct.pack("!H", len(message.bindings))]
    parts.extend(_encode_binding(binding, metrics) for binding in message.bindings)
    return b"".join(parts)


def split(report: Report, first_sequence: int) -> list[Report]:
    """Return the report as several that each fit a packet, numbered from `first_sequence`."""
    parts: list[list[BindingReport]] = [[]]
    size = empty = _HEADER.size + len(report.site.encode()) + 2
    for binding in report.bindings:
        length = len(_encode_binding(binding))
        if size + length > MOST_OCTETS:
            parts.append([])
            size = empty
        parts[-1].append(binding)
        size += length
    return [
        Report(report.site, first_sequence + number, report.sent_s, tuple(part)) for number, part in enumerate(parts)
    ]


def decode(data: bytes) -> Message:
    """Return the message in `data`. Raises CodecError on anything malformed."""
    if len(data) > MOST_OCTETS:
        raise CodecError(f"{len(data)} bytes; at most {MOST_OCTETS}")
    try:
        return _decode(memoryview(data))
    except (struct.error, UnicodeDecodeError, ValueError, IndexError) as error:
        raise error if isinstance(error, CodecError) else CodecError(str(error)) from error


def kind_of(data: bytes) -> str:
    """Return what kind of message octets claim to be, to count them by; `unknown` if it is none that is known here."""
    if len(data) <= _KIND_AT or data[0] != MAGIC:
        return "unknown"
    return _NAMES.get(data[_KIND_AT] & ~AUTHENTICATED, "unknown")


def read_header(data: bytes | memoryview) -> Header:
    """Return what a message starts with. Raises CodecError if it is no message of ours."""
    try:
        magic, version, kind, name_length, sequence, sent_ns = _HEADER.unpack_from(data)
        if magic != MAGIC:
            raise CodecError("not a Dyncast message")
        if version != VERSION:
            raise CodecError(f"version {version}, not {VERSION}")
        octets = _HEADER.size + name_length
        if len(data) < octets:
            raise CodecError("cut short in the site name")
        if sent_ns > LARGEST_NS:
            raise CodecError(f"sent at {sent_ns} ns, later than any clock goes")
        site = bytes(data[_HEADER.size : octets]).decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise CodecError(str(error)) from error
    return Header(kind, site, sequence, sent_ns / 1e9, octets)


def _header(kind: MessageType, message: Message) -> bytes:
    site = message.site.encode()
    if len(site) > 255:
        raise CodecError(f"site name of {len(site)} bytes; at most 255")
    sent_ns = nanoseconds(message.sent_s)
    return _HEADER.pack(MAGIC, VERSION, kind, len(site), message.sequence & 0xFFFFFFFF, sent_ns) + site


def _encode_control(message: ControlMessage) -> bytes:
    if isinstance(message, IngressStatus):
        kind = MessageType.INGRESS_STATUS
    elif isinstance(message, Shares):
        kind = MessageType.SHARES
    else:
        kind = MessageType.LOAD_REPORT if message.by_agent else MessageType.LOADS
    try:
        return _header(kind, message) + control_messages.encode(message)
    except (struct.error, ValueError) as error:
        raise CodecError(f"cannot be written: {error}") from error


def _encode_dispatch(message: Assignment | Withdrawal) -> bytes:
    try:
        if isinstance(message, Assignment):
            return _header(MessageType.ASSIGNMENT, message) + dispatch_messages.encode_assignment(message)
        return _header(MessageType.WITHDRAWAL, message) + dispatch_messages.encode_withdrawal(message)
    except (struct.error, ValueError) as error:
        raise CodecError(f"cannot be written: {error}") from error


def _encode_binding(binding: BindingReport, metrics: tuple[Metric, ...] = METRICS) -> bytes:
    if binding.d_sid.version != binding.d_bid.version:
        raise CodecError(f"{binding.d_sid} and {binding.d_bid} are of different address families")
    return b"".join(
        (
            bytes([binding.d_sid.version]),
            binding.d_sid.packed,
            binding.d_bid.packed,
            bytes([binding.state]),
            _with_offer(binding.offer, wire_fields.encode(binding.raw, binding.scores, metrics)),
        )
    )


def _with_offer(offer: ServiceOffer | None, metrics: bytes) -> bytes:
    if offer is None or not metrics[0]:
        return metrics
    try:
        return bytes((metrics[0] + 1,)) + service_offer.encode(offer) + metrics[1:]
    except (struct.error, ValueError) as error:
        raise CodecError(f"cannot be offered: {error}") from error


def _decode(data: memoryview) -> Message:
    header = read_header(data)
    kind, site, sequence, sent_s, position = header.kind, header.site, header.sequence, header.sent_s, header.octets
    if kind == MessageType.PROBE:
        _check_end(data, position)
        return Probe(site, sequence, sent_s)
    if kind == MessageType.PROBE_REPLY:
        return _decode_reply(data, header)
    if kind in _CONTROL:
        return _decode_control(data, header)
    if kind == MessageType.ASSIGNMENT:
        return dispatch_messages.decode_assignment(site, sequence, sent_s, data[position:])
    if kind == MessageType.WITHDRAWAL:
        return dispatch_messages.decode_withdrawal(site, sequence, sent_s, data[position:])
    if kind != MessageType.REPORT:
        raise UnknownKind(f"message type {kind} is unknown")
    (count,) = struct.unpack_from("!H", data, position)
    position += 2
    bindings = []
    for _ in range(count):
        binding, position = _decode_binding(data, position)
        bindings.append(binding)
    _check_end(data, position)
    return Report(site, sequence, sent_s, tuple(bindings))


def _decode_reply(data: memoryview, header: Header) -> Probe:
    sequence, asked_ns, held_ns = _REPLY.unpack_from(data, header.octets)
    _check_end(data, header.octets + _REPLY.size)
    asked_s = None if asked_ns == _NO_PROBE else asked_ns / 1e9
    if held_ns > LARGEST_NS or (asked_s is not None and asked_ns > LARGEST_NS):
        raise CodecError(f"held for {held_ns} ns, sent at {asked_ns} ns: longer than any clock goes")
    if asked_s is None and sequence:
        raise CodecError(f"the number {sequence} of a probe that it is not")
    return Probe(header.site, header.sequence, header.sent_s, True, held_ns / 1e9, asked_s, sequence)


def _decode_control(data: memoryview, header: Header) -> ControlMessage:
    reader = Reader(data, header.octets)
    origin = (header.site, header.sequence, header.sent_s)
    message: ControlMessage
    if header.kind == MessageType.INGRESS_STATUS:
        message = control_messages.decode_status(reader, *origin)
    elif header.kind == MessageType.SHARES:
        message = control_messages.decode_shares(reader, *origin)
    else:
        message = control_messages.decode_loads(reader, *origin, header.kind == MessageType.LOAD_REPORT)
    _check_end(data, reader.position)
    return message


def _check_end(data: memoryview, position: int) -> None:
    if position != len(data):
        raise CodecError(f"{len(data) - position} bytes too many")


def _decode_binding(data: memoryview, position: int) -> tuple[BindingReport, int]:
    family = data[position]
    if family not in (4, 6):
        raise CodecError(f"address family {family} is neither 4 nor 6")
    size = 4 if family == 4 else 16
    position += 1
    if len(data) < position + 2 * size + 2:
        raise CodecError("cut short in a binding")
    d_sid = addresses.of_octets(bytes(data[position : position + size]))
    d_bid = addresses.of_octets(bytes(data[position + size : position + 2 * size]))
    position += 2 * size
    state = State(data[position])
    offer = service_offer.decode(data[position + 1 :])
    raw, scores, position = wire_fields.decode(data, position + 1)
    return BindingReport(d_sid, d_bid, state, raw, scores, offer), position
