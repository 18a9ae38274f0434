"""A CFN Dispatcher and its CFN node for the tests of the pure core: objects, and the little network between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from testbed.dyncast.actions import (
    Action,
    DropHeld,
    ForwardPacket,
    HoldPacket,
    InstallAffinity,
    ReleasePackets,
    RemoveAffinity,
    RequestSelection,
    ReturnPacket,
    SendMessage,
)
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.dyncast.messages.authentication import Authenticator, Identity, Role
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher, DispatcherConfig
from testbed.dyncast.nodes.dispatcher_service import DispatcherPeer
from testbed.net.addresses import Address
from testbed.net.flow_key import FlowKey
from tests.dyncast_samples import HERE, d_router, service

DISPATCHER = "home"
ADDRESS = ip_address("10.1.0.12")
NODE_ADDRESS = ip_address("10.1.0.1")
PORT = 4  # of the CFN node's switch, that the Dispatcher is behind
UPLINK, CLIENT_PORT = 1, 3  # of the Dispatcher's switch
SHARED = Identity(Role.DISPATCHER, DISPATCHER)


def dispatcher(*services: Service, tells: str = "explicit", authenticator: Authenticator | None = None) -> Dispatcher:
    return Dispatcher(DispatcherConfig(DISPATCHER, HERE, tells, UPLINK, services or (service(),)), authenticator)


def cfn_node(*services: Service, tells: str = "explicit", **changes: Any) -> DRouter:
    peer = DispatcherPeer(DISPATCHER, ADDRESS, PORT, tells)
    return d_router(*(services or (service(policy="round_robin"),)), dispatchers=(peer,), **changes)


@dataclass
class Wire:
    """The two switches, what is under way between them, and which instance each packet of a flow reached."""

    node: DRouter
    home: Dispatcher
    to_node: list[FlowKey] = field(default_factory=list)
    to_home: list[bytes | FlowKey] = field(default_factory=list)
    held: defaultdict[FlowKey, list[FlowKey]] = field(default_factory=lambda: defaultdict(list))
    entries: dict[FlowKey, AffinityEntry] = field(default_factory=dict)
    reached: defaultdict[FlowKey, list[Address]] = field(default_factory=lambda: defaultdict(list))

    def client_sends(self, packet: FlowKey, now_s: float) -> None:
        """Have the Dispatcher's switch forward a packet by its entry, or bring it up."""
        entry = self.entries.get(self.flow_of(packet))
        if entry is not None:
            self.reached[entry.flow].append(entry.d_bid)
        else:
            self.at_home(self.home.on_packet(packet, now_s, CLIENT_PORT), packet)

    def flow_of(self, packet: FlowKey) -> FlowKey:
        (of,) = (item for item in self.home.config.services if packet.dst in item.d_sids)
        return of.identifier(packet)

    def at_home(self, actions: list[Action], packet: FlowKey | None = None) -> None:
        """Perform what the Dispatcher wants done."""
        for action in actions:
            if isinstance(action, HoldPacket):
                assert packet is not None
                self.held[action.flow].append(packet)
            elif isinstance(action, RequestSelection):
                self.to_node.append(self.held[action.flow][0])
            elif isinstance(action, InstallAffinity):
                self.entries[action.entry.flow] = action.entry
            elif isinstance(action, RemoveAffinity):
                del self.entries[action.entry.flow]
            elif isinstance(action, ForwardPacket):
                self.reached[action.entry.flow].append(action.entry.d_bid)
            elif isinstance(action, ReleasePackets):
                assert action.entry.flow in self.entries, "an answer would find no way home"
                self.reached[action.entry.flow] += [action.entry.d_bid] * len(self.held.pop(action.entry.flow))
            elif isinstance(action, DropHeld):
                self.held.pop(action.flow)

    def node_hears(self, number: int, now_s: float) -> None:
        """Deliver one of the packets that are under way to the CFN node."""
        packet = self.to_node.pop(number)
        self.at_node(self.node.on_packet(packet, now_s, PORT), packet)

    def at_node(self, actions: list[Action], packet: FlowKey | None = None) -> None:
        """Perform what the CFN node wants done, as far as it concerns the Dispatcher."""
        for action in actions:
            if isinstance(action, SendMessage) and action.to == ADDRESS:
                self.to_home.append(action.data)
            elif isinstance(action, ReturnPacket):
                assert packet is not None
                self.to_home.append(packet if action.d_bid is None else packet._replace(dst=action.d_bid))
            assert not isinstance(action, (InstallAffinity, ForwardPacket))

    def home_hears(self, number: int, now_s: float) -> None:
        """Deliver one of the messages or packets that are under way to the Dispatcher."""
        arriving = self.to_home.pop(number)
        if isinstance(arriving, bytes):
            self.at_home(self.home.on_message(arriving, NODE_ADDRESS, now_s))
        else:
            self.at_home(self.home.on_packet(arriving, now_s, UPLINK))

    def settle(self, now_s: float) -> None:
        """Deliver all that is under way, in the order it was sent."""
        while self.to_node or self.to_home:
            while self.to_node:
                self.node_hears(0, now_s)
            while self.to_home:
                self.home_hears(0, now_s)
