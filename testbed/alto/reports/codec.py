"""Reports to an ALTO server as octets, sent over UDP. Owns their form; knows no socket. Every report starts with

    magic 0xA1 (8) | version (8) | kind (8) | length of the reporter's name (8)
    epoch (64) | sequence (32) | sent, ns on the reporter's clock (64) | name, UTF-8

A *NetworkReport* goes on with what a D-Router measured, and over which time up to when it was sent:

    paths over, µs (32)
    number of paths (16), each:
    length of the peer's name (8) | name | probes (32) | answered (32) | round trip | one way
    number of links (16), each:
    length of the neighbour's name (8) | name | octets (64) | over, µs (32) | rate, bit/s, 0: not known (64)

where delays, round trip and one way, are

    number of samples (16), and unless it is 0: least, median, mean, most, each in µs (32)

and a *ClusterReport* with what a cluster has:

    processors, thousandths (32) | in use (32) | over, µs (32) | memory, MB (32) | in use (32)
    slots (32) | in use (32) | waiting activations (32) | places to wait (32) | part (16) | parts (16)
    number of things held (16), each: 1 | length of a runtime's name (8) | name | containers that wait for code (16)
        or 2 | digest of a function, SHA-256 (256) | containers that wait for a run (16) | a run, µs, 0: not known (32)
        or 3 | digest of a blob, SHA-256 (256)

Whatever is malformed raises `CodecError`, for the receiver to count and drop; so does what `encode` could not write
again.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import astuple, replace
from enum import IntEnum
from itertools import islice

from testbed.alto.reports.messages import (
    DIGEST_OCTETS,
    MOST_PARTS,
    ClusterReport,
    DelayStatistics,
    Held,
    HeldBlob,
    HeldFunction,
    LinkReport,
    NetworkReport,
    Origin,
    PathReport,
    Report,
    Resources,
    Runtime,
)
from testbed.errors import TestbedError
from testbed.net.octets import LARGEST_NS, LARGEST_U32, Reader, listed, microseconds, named, nanoseconds, parted

MAGIC = 0xA1
VERSION = 1
MOST_OCTETS = 1400  # a report fits one unfragmented packet on an Ethernet path, in IPv6 too
_OCTETS_OF_A_PART = 1050  # with the header it fits a packet, whatever the length of the reporter's name
_LARGEST_U16, _LARGEST_U64 = (1 << 16) - 1, (1 << 64) - 1
_HEADER = struct.Struct("!BBBBQIQ")
_OVER = struct.Struct("!I")
_PROBES = struct.Struct("!II")
_SAMPLES = struct.Struct("!H")
_DELAYS = struct.Struct("!4I")
_LINK = struct.Struct("!QIQ")
_RESOURCES = struct.Struct("!9I")
_PART = struct.Struct("!HH")
_WAITING = struct.Struct("!H")
_FUNCTION = struct.Struct("!HI")


class CodecError(TestbedError, ValueError):
    """Octets that are no report."""


class Kind(IntEnum):
    """The reports."""

    NETWORK = 1
    CLUSTER = 2


class Item(IntEnum):
    """What a cluster may hold."""

    RUNTIME = 1
    FUNCTION = 2
    BLOB = 3


def encode(report: Report) -> bytes:
    """Return the octets of a report; figures too large for their field go as the largest that fits.

    Raises CodecError for a report that does not fit a packet: `network_parts` and `cluster_parts` make several.
    """
    try:
        if isinstance(report, NetworkReport):
            data = _header(Kind.NETWORK, report.origin) + _network(report)
        else:
            data = _header(Kind.CLUSTER, report.origin) + _cluster(report)
    except (struct.error, ValueError) as error:
        raise CodecError(f"cannot be written: {error}") from error
    if len(data) > MOST_OCTETS:
        raise CodecError(f"a report of {len(data)} bytes; at most {MOST_OCTETS}: split it")
    return data


def network_parts(report: NetworkReport) -> list[NetworkReport]:
    """Return a report as several that each fit a packet, numbered from its sequence on."""
    items: list[PathReport | LinkReport] = [*report.paths, *report.links]
    return [
        replace(
            report,
            origin=replace(report.origin, sequence=report.origin.sequence + number),
            paths=tuple(item for item in part if isinstance(item, PathReport)),
            links=tuple(item for item in part if isinstance(item, LinkReport)),
        )
        for number, part in enumerate(parted(items, _item, _OCTETS_OF_A_PART))
    ]


def cluster_parts(origin: Origin, resources: Resources, held: Iterable[Held]) -> list[ClusterReport]:
    """Return a cluster's state as reports that each fit a packet, numbered from the origin's sequence on.

    What `MOST_PARTS` have no room for is left out.
    """
    parts = list(islice(parted(held, _held, _OCTETS_OF_A_PART), MOST_PARTS))
    return [
        ClusterReport(replace(origin, sequence=origin.sequence + number), resources, part, number, len(parts))
        for number, part in enumerate(parts)
    ]


def decode(data: bytes) -> Report:
    """Return the report in octets. Raises CodecError on anything malformed."""
    if len(data) > MOST_OCTETS:
        raise CodecError(f"{len(data)} bytes; at most {MOST_OCTETS}")
    try:
        return _decode(memoryview(data))
    except (struct.error, ValueError, IndexError) as error:
        raise error if isinstance(error, CodecError) else CodecError(str(error)) from error


# -- writing


def _header(kind: Kind, origin: Origin) -> bytes:
    name = named(origin.reporter)
    epoch, sequence = origin.epoch & _LARGEST_U64, origin.sequence & LARGEST_U32
    return _HEADER.pack(MAGIC, VERSION, kind, name[0], epoch, sequence, nanoseconds(origin.sent_s)) + name[1:]


def _network(report: NetworkReport) -> bytes:
    return _OVER.pack(microseconds(report.paths_over_s)) + listed(report.paths, _item) + listed(report.links, _item)


def _item(item: PathReport | LinkReport) -> bytes:
    if isinstance(item, LinkReport):
        rate_bps = 0 if item.rate_bps is None else max(1, _figure(item.rate_bps, _LARGEST_U64))
        over_us = max(1, microseconds(item.over_s))
        return named(item.neighbour) + _LINK.pack(_figure(item.octets, _LARGEST_U64), over_us, rate_bps)
    probes = _PROBES.pack(_figure(item.probes), _figure(item.answered))
    return named(item.peer) + probes + _delays(item.round_trip) + _delays(item.one_way)


def _delays(delays: DelayStatistics | None) -> bytes:
    if delays is None:
        return _SAMPLES.pack(0)
    samples, *times_s = astuple(delays)
    return _SAMPLES.pack(_figure(samples, _LARGEST_U16)) + _DELAYS.pack(*map(microseconds, times_s))


def _cluster(report: ClusterReport) -> bytes:
    of = report.resources
    figures = (
        _figure(of.cpus * 1e3),
        _figure(of.cpus_used * 1e3),
        microseconds(of.over_s),
        *map(_figure, (of.memory_mb, of.memory_used_mb, of.slots, of.slots_used, of.waiting, of.queue)),
    )
    part = _PART.pack(report.part, report.parts)
    return _RESOURCES.pack(*figures) + part + listed(report.held, _held)


def _held(held: Held) -> bytes:
    if isinstance(held, Runtime):
        return bytes([Item.RUNTIME]) + named(held.kind) + _WAITING.pack(_figure(held.prewarmed, _LARGEST_U16))
    if isinstance(held, HeldBlob):
        return bytes([Item.BLOB]) + held.digest
    run_us = 0 if held.run_s is None else max(1, microseconds(held.run_s))
    return bytes([Item.FUNCTION]) + held.digest + _FUNCTION.pack(_figure(held.warm, _LARGEST_U16), run_us)


def _figure(value: float, most: int = LARGEST_U32) -> int:
    return most if value >= most else max(0, round(value)) if math.isfinite(value) else 0


# -- reading


def _decode(data: memoryview) -> Report:
    magic, version, kind, name_octets, epoch, sequence, sent_ns = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise CodecError("not a report to an ALTO server")
    if version != VERSION:
        raise CodecError(f"version {version}, not {VERSION}")
    if sent_ns > LARGEST_NS:
        raise CodecError(f"sent at {sent_ns} ns, later than any clock goes")
    reader = Reader(data, _HEADER.size)
    origin = Origin(reader.octets(name_octets).decode(), epoch, sequence, sent_ns / 1e9)
    report: Report
    if kind == Kind.NETWORK:
        report = _read_network(reader, origin)
    elif kind == Kind.CLUSTER:
        report = _read_cluster(reader, origin)
    else:
        raise CodecError(f"kind {kind} is unknown")
    if reader.position != len(data):
        raise CodecError(f"{len(data) - reader.position} bytes too many")
    return report


def _read_network(reader: Reader, origin: Origin) -> NetworkReport:
    (paths_over_us,) = reader.take(_OVER)

    def path() -> PathReport:
        peer = reader.name()
        probes, answered = reader.take(_PROBES)
        return PathReport(peer, probes, answered, _read_delays(reader), _read_delays(reader))

    def link() -> LinkReport:
        neighbour = reader.name()
        octets, over_us, rate_bps = reader.take(_LINK)
        return LinkReport(neighbour, octets, over_us / 1e6, float(rate_bps) if rate_bps else None)

    return NetworkReport(origin, paths_over_us / 1e6, reader.several(path), reader.several(link))


def _read_delays(reader: Reader) -> DelayStatistics | None:
    (samples,) = reader.take(_SAMPLES)
    if samples == 0:
        return None
    return DelayStatistics(samples, *(time_us / 1e6 for time_us in reader.take(_DELAYS)))


def _read_cluster(reader: Reader, origin: Origin) -> ClusterReport:
    milli_cpus, milli_used, over_us, *counts = reader.take(_RESOURCES)
    resources = Resources(milli_cpus / 1e3, milli_used / 1e3, over_us / 1e6, *counts)
    part, parts = reader.take(_PART)
    return ClusterReport(origin, resources, reader.several(lambda: _read_held(reader)), part, parts)


def _read_held(reader: Reader) -> Held:
    item = Item(reader.octets(1)[0])
    if item is Item.RUNTIME:
        return Runtime(reader.name(), *reader.take(_WAITING))
    digest = reader.octets(DIGEST_OCTETS)
    if item is Item.BLOB:
        return HeldBlob(digest)
    warm, run_us = reader.take(_FUNCTION)
    return HeldFunction(digest, warm, run_us / 1e6 if run_us else None)
