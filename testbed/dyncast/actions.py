"""What a node asks its adapter to do. Pure data; the adapter turns it into OpenFlow and datagrams.

A node returns its `Output` in order: actions, and among them the `events` that it notes for the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from testbed.dyncast.affinity.table import AffinityEntry
from testbed.dyncast.events import Event
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey


@dataclass(frozen=True)
class InterceptService:
    """Have first packets to this D-SID brought to the D-Router."""

    d_sid: Address


@dataclass(frozen=True)
class ReleaseService:
    """Undo `InterceptService`: no instance serves this D-SID any more. Bound flows stay bound."""

    d_sid: Address


@dataclass(frozen=True)
class InterceptRange:
    """Bring packets to any address of a range of D-SIDs here, but for those that `InterceptService` is of."""

    d_sids: IPv4Network | IPv6Network


@dataclass(frozen=True)
class TrackReverseFlows:
    """Have packets from an instance to clients of this site looked at flow by flow, also those of no bound flow.

    Otherwise a switch may know them all by one rule for ordinary traffic, and go by it for the moment that it takes to
    notice a new entry: the first answer of a flow just bound would come from the D-BID.
    """

    d_bid: Address


@dataclass(frozen=True)
class TrackDirectFlows:
    """Have what hosts of this site send to an instance without a D-SID known as a conversation of its own.

    Nothing else tells its packets from what is left of a flow that has ended, which is not for the client.
    """

    d_bid: Address


@dataclass(frozen=True)
class InstallAffinity:
    """Put the two entries of a bound flow into the switch: D-SID → D-BID, and back on the reverse path."""

    entry: AffinityEntry


@dataclass(frozen=True)
class ForwardPacket:
    """Send the packet at hand the way its entry says. Nothing is lost while the entry is on its way."""

    entry: AffinityEntry


@dataclass(frozen=True)
class ReversePacket:
    """Send the fragment or ICMP error at hand to the client of a flow, as from its D-SID."""

    entry: AffinityEntry


@dataclass(frozen=True)
class PassPacket:
    """Have the switch treat the fragment or ICMP error at hand as any packet that is of no bound flow."""


@dataclass(frozen=True)
class SetWeights:
    """Have the switch share out new flows to a D-SID by `shares`, and keep flows bound to `members` where they are.

    Without shares there is no instance to take new flows: they are refused.
    """

    d_sid: Address
    shares: Mapping[Address, int]
    members: frozenset[Address]


@dataclass(frozen=True)
class TerminateFlows:
    """End all flows to a D-SID that the switch bound to an instance that died, and count them."""

    d_sid: Address
    d_bid: Address


@dataclass(frozen=True)
class ResetFlows:
    """End all flows to the D-SIDs of a service that the switch bound, so that each is bound again, and count them."""

    d_sids: tuple[Address, ...]


@dataclass(frozen=True)
class RefusePacket:
    """Have the packet at hand refused, as the service says (ICMP unreachable, RST); `reason` is counted."""

    reason: str


@dataclass(frozen=True)
class ReturnPacket:
    """Send the packet at hand back to the Dispatcher it came from, rewritten to the D-BID; None: as it is."""

    d_bid: Address | None


@dataclass(frozen=True)
class TrackUplink:
    """Have packets from the CFN node to clients in `prefixes` looked at flow by flow, as `TrackReverseFlows` does.

    `brings_back`: have those *from* these clients, which the CFN node sent back, brought to the Dispatcher.
    """

    prefixes: tuple[IPv4Network | IPv6Network, ...]
    brings_back: bool


@dataclass(frozen=True)
class HoldPacket:
    """Keep the packet at hand, behind those of its flow that are held already."""

    flow: FlowKey


@dataclass(frozen=True)
class RequestSelection:
    """Send the first packet that is held of a flow on to the CFN node as it is, and go on holding it."""

    flow: FlowKey


@dataclass(frozen=True)
class ReleasePackets:
    """Send the packets that are held of a flow the way its entry says, in the order that they came in."""

    entry: AffinityEntry


@dataclass(frozen=True)
class DropHeld:
    """Drop the packets that are held of a flow."""

    flow: FlowKey


@dataclass(frozen=True)
class DropPacket:
    """Drop the packet at hand; `reason` is counted."""

    reason: str


@dataclass(frozen=True)
class ReadReturnPackets:
    """Ask the switch how many packets came home on this flow, for `DRouter.on_return_packets`."""

    entry: AffinityEntry


@dataclass(frozen=True)
class RemoveAffinity:
    """Take both entries of a flow out of the switch."""

    entry: AffinityEntry


@dataclass(frozen=True)
class SendMessage:
    """Send `data` in band to the D-Router at `to`. `kind` is for the signalling count.

    `is_deferrable`: its receiver has nothing to do about it at once.
    """

    to: Address
    data: bytes
    kind: str
    is_deferrable: bool = False


Action = (
    InterceptService
    | ReleaseService
    | InterceptRange
    | TrackReverseFlows
    | TrackDirectFlows
    | InstallAffinity
    | ForwardPacket
    | ReversePacket
    | PassPacket
    | SetWeights
    | TerminateFlows
    | ResetFlows
    | RefusePacket
    | DropPacket
    | ReturnPacket
    | TrackUplink
    | HoldPacket
    | RequestSelection
    | ReleasePackets
    | DropHeld
    | ReadReturnPackets
    | RemoveAffinity
    | SendMessage
)
Output = Action | Event
