"""What a bound flow costs inside Open vSwitch: as a tracked connection, and as a pair of OpenFlow entries.

Both are written by the project's own code into a switch that begins empty, one for each size. A packet's cost is the
time that the thread which moves packets is on a processor, its system calls included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from random import Random
from types import SimpleNamespace
from typing import Any

from ryu_apps.dyncast.datapath_mode.weighted_groups import WeightedGroups
from ryu_apps.dyncast.entries import flow_entries
from ryu_apps.dyncast.entries.group_entries import GroupSpec
from ryu_apps.openflow.framework import ofproto_v1_3, ofproto_v1_3_parser
from ryu_apps.openflow.select_groups import SelectGroups
from testbed.benchmarks.instruments.frames import ETHERTYPE, Frames
from testbed.benchmarks.instruments.own_switch import (
    CLIENT_END,
    UPLINK_END,
    UPLINK_PORT,
    OwnSwitch,
    Session,
    own_switch,
)
from testbed.benchmarks.instruments.wire import packet_socket, received_frames
from testbed.dyncast.actions import SetWeights
from testbed.dyncast.affinity.service import Service
from testbed.dyncast.affinity.table import AffinityEntry
from testbed.linux.ovs_conntrack import Conntrack
from testbed.net.addresses import Address
from testbed.net.flow_key import UDP, FlowKey
from testbed.runtime.polling import wait_until_still

_D_SID = IPv4Address("203.0.113.10")
_D_BIDS = [IPv4Address("10.9.0.0") + number for number in range(1, 5)]
_STRANGER = IPv4Address("10.9.0.200")
_CLIENTS = IPv4Address("10.1.0.0")
_PREFIX = ip_network("10.1.0.0/16")
_FLOWS_PER_CLIENT, _FIRST_PORT, _PORT = 1000, 1024, 5004
_TO_UPLINK = bytes.fromhex("020000000001020000000002")  # destination and source of frames
_TO_CLIENT = _TO_UPLINK[6:] + _TO_UPLINK[:6]
_PAYLOAD_BYTES = 22
_FILL_PER_S, _ASK_PER_S = 50_000, 20_000
_ASKED = 10_000
_BATCH_S = 0.001
_ATTEMPTS = 4
_BOUND, _ARRIVING = 0.95, 0.99  # shares of what was sent that have to
_WRITTEN_AT_ONCE = 500
_TIMEOUT_S = 600
_MOST_WITH_TIMEOUT = 100_000  # the switch walks all of them several times a second: twice as many take it a minute
_LOOK_S = 0.1


@dataclass(frozen=True)
class SwitchFigures:
    """`packet_us`: of a bound flow. `plain_us`: of a packet that is no matter of Dyncast, measured with it."""

    bytes_per_binding: float
    packet_us: float
    plain_us: float


def of_connections(size: int) -> SwitchFigures:
    """Bind `size` flows in datapath mode, each by its first packet; look some of them up by their second."""
    with own_switch() as switch, switch.session() as session:
        session.send(flow_entries.ordinary_traffic())
        _spread(switch, session)
        session.wait_until_done()
        sender = _Sender(switch)
        sender.send(_D_SID, range(size, size + 100), _FILL_PER_S)  # what a first flow needs besides itself
        before = switch.resident_bytes()
        for _ in range(_ATTEMPTS):  # a busy machine loses packets
            sender.send(_D_SID, range(size), _FILL_PER_S)
            found = int(switch.appctl("dpctl/ct-get-nconns"))
            if found >= size * _BOUND:
                break
        else:
            raise RuntimeError(f"{found} connections of {size}: the switch lost packets")
        grown = (switch.resident_bytes() - before) / found
        return SwitchFigures(grown, *sender.costs_us(size))


def of_entries(size: int) -> SwitchFigures:
    """Bind `size` flows as the D-Router does in reactive mode; send the first packet of some of them.

    A great many are bound without a timeout; a binding is no smaller for it.
    """
    timeout_s = _TIMEOUT_S if size <= _MOST_WITH_TIMEOUT else 0
    with own_switch() as switch, switch.session() as session:
        session.send(flow_entries.ordinary_traffic())
        session.wait_until_done()
        sender = _Sender(switch)
        sender.send(_STRANGER, range(100), _FILL_PER_S)
        before = switch.resident_bytes()
        for begin in range(0, size, _WRITTEN_AT_ONCE):
            some = range(begin, min(size, begin + _WRITTEN_AT_ONCE))
            session.send(b"".join(flow_entries.affinity(_entry(number, timeout_s), UPLINK_PORT) for number in some))
        session.wait_until_done()
        grown = (switch.resident_bytes() - before) / size
        return SwitchFigures(grown, *sender.costs_us(size))


def _spread(switch: OwnSwitch, session: Session) -> None:
    def send(message: Any) -> None:
        message.set_xid(1)
        message.serialize()
        session.send(bytes(message.buf))

    spec = GroupSpec(1, Service("bench", (_D_SID,), affinity_mode="datapath"), _D_SID, zone=1)
    select_groups = SelectGroups(switch.management_socket)
    groups = WeightedGroups([spec], [_PREFIX], UPLINK_PORT, select_groups, Conntrack("netdev"), generation=1)
    taken: list[Callable[[float], None]] = []
    datapath = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
    groups.connect(datapath, send, lambda _, then: taken.append(then))
    shares: dict[Address, int] = dict.fromkeys(_D_BIDS, 64 // len(_D_BIDS))
    groups.set_weights(SetWeights(_D_SID, shares, frozenset(shares)), now_s=1.0)
    session.wait_until_done()
    for let_be_chosen in taken:
        let_be_chosen(1.0)
    groups.disconnect()


def _entry(number: int, timeout_s: int) -> AffinityEntry:
    client, port = _client(number)
    flow = FlowKey(client, _D_SID, UDP, port, _PORT)
    return AffinityEntry(number + 1, flow, _D_BIDS[number % len(_D_BIDS)], "east", timeout_s, 0.0, 0.0)


def _client(number: int) -> tuple[IPv4Address, int]:
    client, port = divmod(number, _FLOWS_PER_CLIENT)
    return _CLIENTS + 256 + client, _FIRST_PORT + port


class _Sender:
    """Frames of flows by their numbers, from the client's end of a switch."""

    def __init__(self, switch: OwnSwitch) -> None:
        self._switch = switch
        self._through = packet_socket(switch, CLIENT_END, ETHERTYPE)
        # The switch has to know where the uplink's address is, or ordinary traffic would be flooded.
        with packet_socket(switch, UPLINK_END, ETHERTYPE) as answering:
            answering.send(Frames(_TO_CLIENT, _STRANGER.packed, _CLIENTS.packed, UDP, _PORT).of_port(_PORT))

    def costs_us(self, size: int) -> tuple[float, float]:
        """Return what a packet of a bound flow costs, drawn from `size`, and what any other does."""
        numbers = Random(size).sample(range(size), _ASKED)
        self.send(_STRANGER, range(100), _ASK_PER_S)
        plain_us = self._cost_us(_STRANGER, numbers)
        return self._cost_us(_D_SID, numbers), plain_us

    def send(self, to: IPv4Address, flows: range | list[int], rate_per_s: float) -> None:
        """Send one packet of each flow, and wait until all have arrived that will."""
        frames, begin_s, count = self._frames(to, flows), time.monotonic(), len(flows)
        sent = 0
        while sent < count:
            due = min(count, int((time.monotonic() - begin_s) * rate_per_s) + 1)
            for _ in range(due - sent):
                self._through.send(next(frames))
            sent = max(sent, due)
            if sent < count:
                time.sleep(_BATCH_S)
        wait_until_still(lambda: received_frames(self._switch, UPLINK_END), _LOOK_S, what="what arrives")

    def _cost_us(self, to: IPv4Address, flows: list[int]) -> float:
        frames_before, before_ns = received_frames(self._switch, UPLINK_END), self._switch.processor_ns()
        self.send(to, flows, _ASK_PER_S)
        arrived = received_frames(self._switch, UPLINK_END) - frames_before
        if arrived < len(flows) * _ARRIVING:
            raise RuntimeError(f"{arrived} packets of {len(flows)} arrived: the switch lost some")
        return (self._switch.processor_ns() - before_ns) / arrived / 1e3

    @staticmethod
    def _frames(to: IPv4Address, flows: range | list[int]) -> Iterator[bytes]:
        of_client: dict[IPv4Address, Frames] = {}
        for number in flows:
            client, port = _client(number)
            if client not in of_client:
                of_client[client] = Frames(_TO_UPLINK, client.packed, to.packed, UDP, _PORT, _PAYLOAD_BYTES)
            yield of_client[client].of_port(port)
