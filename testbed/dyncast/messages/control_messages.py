"""Messages between ingresses and the controller, and from metric agents to the controller, as octets.

Owns the bodies of four messages of `codec`, which has their headers; knows no socket and no role. Section 3 of the
Dyncast architecture (centralized mode), "Centralized Model", "Hybrid Model" of the CATS framework.

An *IngressStatus* has what an ingress measured of its paths, and what it did:

    number of paths (16), each:
    length of the site name (8) | site name | routing's cost, µs (32) | measured, µs (32) | first link adds, µs (32)
    number of instances (16), each: binding | flows assigned since it began (32)

The highest measured time stands for a site that does not answer. A *Shares* message has the decision for one ingress,
all instances of all services, in as many parts as it takes, numbered in sequence:

    part (8) | parts (8) | number of instances (16), each:
    binding | state (8) | share of new flows (16) | age of the metrics, µs (32) | length of the egress's name (8) | name

The shares of a D-SID sum up to `WHOLE`, or are all 0. *LoadReport* (agent to controller) and *Loads* (controller to
ingress) have the volatile metrics of instances:

    number of instances (16), each: binding | age of the metrics, µs (32) | number of metrics (8) | metrics

A binding is address family 4|6 (8) | D-SID | D-BID. Ages count back from the time of the header. Whatever is malformed
raises ValueError, IndexError or struct.error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from testbed.dyncast.metrics import wire_fields
from testbed.dyncast.metrics.levels import UNSCORED, RawMetrics, State
from testbed.net import octets
from testbed.net.addresses import Address
from testbed.net.octets import LARGEST_U32, listed, microseconds, named

WHOLE = 10_000  # what the shares of the instances of a D-SID sum up to
_BYTES_OF_A_PART = 1050  # with header and trailer it fits a packet, whatever the length of the site's name
_PATH = struct.Struct("!III")
_ASSIGNED = struct.Struct("!I")
_PART = struct.Struct("!BBH")
_SHARE = struct.Struct("!BHI")
_AGE = struct.Struct("!I")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Path:
    """The path from an ingress to a site, as it measured it."""

    site: str
    path_cost_ms: float
    cost_s: float
    port_cost_s: float = 0.0
    is_reachable: bool = True


@dataclass(frozen=True)
class AssignedFlows:
    """How many flows an ingress has assigned to an instance since it began."""

    d_sid: Address
    d_bid: Address
    flows: int


@dataclass(frozen=True)
class IngressStatus:
    """An ingress's report to the controller."""

    site: str
    sequence: int
    sent_s: float
    paths: tuple[Path, ...]
    assigned: tuple[AssignedFlows, ...]


@dataclass(frozen=True)
class Share:
    """What is decided of one instance: `share` of `WHOLE` new flows; `measured_s`: by metrics of then.

    DOWN: it has failed for certain, and its flows end. An instance reported as DRAINING keeps its bound flows.
    """

    d_sid: Address
    d_bid: Address
    egress: str
    state: State
    share: int
    measured_s: float


@dataclass(frozen=True)
class Shares:
    """The controller's decision for one ingress, or a part of it; parts are numbered from 0, in sequence."""

    site: str
    sequence: int
    sent_s: float
    shares: tuple[Share, ...]
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Load:
    """The volatile metrics of an instance."""

    d_sid: Address
    d_bid: Address
    measured_s: float
    raw: RawMetrics


@dataclass(frozen=True)
class Loads:
    """Volatile metrics: of a site, from its agent to the controller, or of all, from there to an ingress."""

    site: str
    sequence: int
    sent_s: float
    loads: tuple[Load, ...]
    by_agent: bool = False


ControlMessage = IngressStatus | Shares | Loads


def status_parts(
    site: str, sequence: int, sent_s: float, paths: Iterable[Path], assigned: Iterable[AssignedFlows]
) -> list[IngressStatus]:
    """Return a status as messages that each fit a packet, numbered from `sequence`."""
    items: list[Path | AssignedFlows] = [*paths, *assigned]
    return [
        IngressStatus(
            site,
            sequence + number,
            sent_s,
            tuple(item for item in part if isinstance(item, Path)),
            tuple(item for item in part if isinstance(item, AssignedFlows)),
        )
        for number, part in enumerate(
            _parted(items, lambda item: _path(item) if isinstance(item, Path) else _assigned(item))
        )
    ]


def shares_parts(site: str, sequence: int, sent_s: float, shares: Sequence[Share]) -> list[Shares]:
    """Return a decision as messages that each fit a packet, numbered from `sequence`."""
    parts = list(_parted(shares, lambda share: _share(share, sent_s)))
    return [Shares(site, sequence + number, sent_s, part, number, len(parts)) for number, part in enumerate(parts)]


def loads_parts(site: str, sequence: int, sent_s: float, loads: Sequence[Load], by_agent: bool = False) -> list[Loads]:
    """Return volatile metrics as messages that each fit a packet, numbered from `sequence`."""
    parts = _parted(loads, lambda load: _load(load, sent_s))
    return [Loads(site, sequence + number, sent_s, part, by_agent) for number, part in enumerate(parts)]


def encode(message: ControlMessage) -> bytes:
    """Return what follows the header. Raises ValueError for what does not fit."""
    if isinstance(message, IngressStatus):
        return listed(message.paths, _path) + listed(message.assigned, _assigned)
    if isinstance(message, Shares):
        body = b"".join(_share(share, message.sent_s) for share in message.shares)
        return _PART.pack(message.part, message.parts, len(message.shares)) + body
    return listed(message.loads, lambda load: _load(load, message.sent_s))


class Reader(octets.Reader):
    """Take one thing after another from octets, bindings among them."""

    def binding(self) -> tuple[Address, Address]:
        """Return D-SID and D-BID."""
        family = self.octets(1)[0]
        if family == 4:
            return IPv4Address(self.octets(4)), IPv4Address(self.octets(4))
        if family == 6:
            return IPv6Address(self.octets(16)), IPv6Address(self.octets(16))
        raise ValueError(f"address family {family} is neither 4 nor 6")


def decode_status(reader: Reader, site: str, sequence: int, sent_s: float) -> IngressStatus:
    """Return the status at the reader."""

    def path() -> Path:
        name = reader.name()
        static_us, measured_us, port_us = reader.take(_PATH)
        return Path(name, static_us / 1e3, measured_us / 1e6, port_us / 1e6, measured_us != LARGEST_U32)

    def assigned() -> AssignedFlows:
        return AssignedFlows(*reader.binding(), *reader.take(_ASSIGNED))

    return IngressStatus(site, sequence, sent_s, reader.several(path), reader.several(assigned))


def decode_shares(reader: Reader, site: str, sequence: int, sent_s: float) -> Shares:
    """Return the shares at the reader."""
    part, parts, count = reader.take(_PART)
    if part >= parts:
        raise ValueError(f"part {part} of {parts}")

    def share() -> Share:
        d_sid, d_bid = reader.binding()
        state, of_flows, age_us = reader.take(_SHARE)
        if of_flows > WHOLE:
            raise ValueError(f"share {of_flows} is above {WHOLE}")
        return Share(d_sid, d_bid, reader.name(), State(state), of_flows, sent_s - age_us / 1e6)

    return Shares(site, sequence, sent_s, tuple(share() for _ in range(count)), part, parts)


def decode_loads(reader: Reader, site: str, sequence: int, sent_s: float, by_agent: bool) -> Loads:
    """Return the loads at the reader."""

    def load() -> Load:
        d_sid, d_bid = reader.binding()
        (age_us,) = reader.take(_AGE)
        raw, _, reader.position = wire_fields.decode(reader.data, reader.position)
        if raw is None:
            raise ValueError("a load without metrics")
        return Load(d_sid, d_bid, sent_s - age_us / 1e6, raw)

    return Loads(site, sequence, sent_s, reader.several(load), by_agent)


def _parted(items: Iterable[Item], written: Callable[[Item], bytes]) -> Iterable[tuple[Item, ...]]:
    return octets.parted(items, written, _BYTES_OF_A_PART)


def _path(path: Path) -> bytes:
    measured_us = microseconds(path.cost_s, LARGEST_U32 - 1) if path.is_reachable else LARGEST_U32
    return named(path.site) + _PATH.pack(
        microseconds(path.path_cost_ms / 1e3), measured_us, microseconds(path.port_cost_s)
    )


def _assigned(assigned: AssignedFlows) -> bytes:
    return _binding(assigned.d_sid, assigned.d_bid) + _ASSIGNED.pack(assigned.flows & LARGEST_U32)


def _share(share: Share, sent_s: float) -> bytes:
    age_us = microseconds(sent_s - share.measured_s)
    return (
        _binding(share.d_sid, share.d_bid) + _SHARE.pack(share.state, share.share, age_us) + named(share.egress)
    )  # fmt: skip


def _load(load: Load, sent_s: float) -> bytes:
    metrics = wire_fields.encode(load.raw, UNSCORED, wire_fields.VOLATILE)
    return _binding(load.d_sid, load.d_bid) + _AGE.pack(microseconds(sent_s - load.measured_s)) + metrics


def _binding(d_sid: Address, d_bid: Address) -> bytes:
    if d_sid.version != d_bid.version:
        raise ValueError(f"{d_sid} and {d_bid} are of different address families")
    return bytes([d_sid.version]) + d_sid.packed + d_bid.packed
