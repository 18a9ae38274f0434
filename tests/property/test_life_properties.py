"""The life of flows in any order, at the D-Router and the switch whose entries it writes, in reactive mode.

Segments of every kind, fragments, answers early and late, direct talk, calls of instances, time and failures. Whatever
comes, a bound flow reaches its instance, and its client hears from the D-SID alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from ryu_apps.dyncast.config.direct import DirectConfig
from ryu_apps.dyncast.entries import flow_entries, wording
from ryu_apps.dyncast.entries.direct_entries import DirectEntries
from ryu_apps.dyncast.entries.tunnel_entries import TunnelEntries
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.packet_in import NO_PACKET, PacketIn, PacketKind
from ryu_apps.openflow.packets import ip_packet
from testbed.dyncast.actions import Output as Performed
from testbed.dyncast.actions import ReadReturnPackets
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.net.addresses import Address
from testbed.net.flow_key import FIVE_TUPLE, TCP, THREE_TUPLE, UDP, FlowKey
from tests.dyncast_samples import (
    CLIENT,
    CLIENT6,
    D_SID,
    D_SID6,
    FAR,
    FAR6,
    HERE,
    NEAR,
    NEAR6,
    THERE,
    d_router,
    informed,
    report_bytes,
    service,
    told,
)
from tests.flowtable.flow_table import CONTROLLER, NORMAL, FlowTable, Output

_UPLINK, _HOST_PORT = 1, 5
_PREFIXES = (ip_network("10.1.0.0/16"), ip_network("fd00:d:1::/64"))
_TIMEOUT_S = 30
_NAMES = {TCP: "tcp", UDP: "udp"}
_STEERED, _DIRECT = st.integers(1, 3), st.integers(11, 12)  # ports of the client
_PROTOCOLS = st.sampled_from((TCP, UDP))
_FLAGS = st.sampled_from((0x02, 0x10, 0x11, 0x04, 0x12, 0x18))  # SYN, ACK, FIN, RST, SYN and ACK, data
_FIRST, _LATER = 1, 3  # of a fragment; 0: it is none
_FRAGMENTS = st.sampled_from((0, 0, 0, _FIRST, _LATER))


class Life(RuleBasedStateMachine):
    """A client, an instance at its site and one elsewhere; what the client may hear is known at every step."""

    @initialize(version=st.sampled_from((4, 6)), fields=st.sampled_from((FIVE_TUPLE, THREE_TUPLE)))
    def begin(self, version: int, fields: tuple[str, ...]) -> None:
        self.now_s, self.sequence, self.version = 0.0, 1, version
        self.client, self.d_sid, self.near, self.far = {
            4: (CLIENT, D_SID, NEAR, FAR),
            6: (CLIENT6, D_SID6, NEAR6, FAR6),
        }[version]
        self.service = service(policy="random", flow_fields=fields, affinity_timeout_s=_TIMEOUT_S)
        self.router = informed(d_router(self.service, metric_lifetime_s=1e9))
        self.table, self.direct = FlowTable(), set[tuple[Address, int, int]]()
        direct = DirectEntries(DirectConfig(9), _PREFIXES, _UPLINK)
        tunnel = TunnelEntries(None, frozenset(), Counter())
        self.words = wording.table(_UPLINK, _PREFIXES, self.router.services, tunnel, direct)
        self.table.execute(flow_entries.ordinary_traffic() + direct.for_everyone())
        self.perform(self.router.on_switch_connected(0.0))

    # -- what comes ------------------------------------------------------------------------------

    @rule(port=_STEERED, proto=_PROTOCOLS, flags=_FLAGS, fragment=_FRAGMENTS)
    def the_client_sends(self, port: int, proto: int, flags: int, fragment: int) -> None:
        flow = FlowKey(self.client, self.d_sid, proto, port, 80)
        bound = self.router.affinity.find(self.service.identifier(flow))
        ((out_port, packet),) = self.send(flow, flags, fragment)
        assert out_port == _UPLINK
        reached = ip_address(packet[f"ipv{self.version}_dst"])
        assert reached in ((bound.d_bid,) if bound else (self.near, self.far, self.d_sid))
        now_bound = self.router.affinity.find(self.service.identifier(flow))
        assert (now_bound.d_bid if now_bound else self.d_sid) == reached  # nobody takes it: the router refuses it

    @rule(port=st.one_of(_STEERED, _DIRECT), proto=_PROTOCOLS, flags=_FLAGS, fragment=_FRAGMENTS, is_near=st.booleans())
    def an_instance_sends(self, port: int, proto: int, flags: int, fragment: int, is_near: bool) -> None:
        d_bid = self.near if is_near else self.far
        asked = FlowKey(self.client, self.d_sid, proto, port, 80)
        bound = self.router.affinity.find(self.service.identifier(asked))
        outputs = self.send(FlowKey(d_bid, self.client, proto, 80, port), flags, fragment)
        heard = [(out_port, ip_address(packet[f"ipv{self.version}_src"])) for out_port, packet in outputs]
        if bound is not None and bound.d_bid == d_bid:
            assert heard == [(NORMAL, self.d_sid)]
        elif (d_bid, proto, port) in self.direct or (proto == TCP and flags == 0x02 and fragment != _LATER):
            assert heard == [(NORMAL, d_bid)]
            self.direct.add((d_bid, proto, port))
        else:
            assert not heard

    @rule(port=_DIRECT, proto=_PROTOCOLS, flags=_FLAGS, is_near=st.booleans())
    def the_client_speaks_to_an_instance(self, port: int, proto: int, flags: int, is_near: bool) -> None:
        d_bid = self.near if is_near else self.far
        ((out_port, packet),) = self.send(FlowKey(self.client, d_bid, proto, port, 80), flags, 0)
        assert (out_port, packet[f"ipv{self.version}_dst"]) == (NORMAL, str(d_bid))
        self.direct.add((d_bid, proto, port))

    @rule(port=_STEERED, proto=_PROTOCOLS, flags=_FLAGS, fragment=_FRAGMENTS)
    def an_instance_calls_its_own_service(self, port: int, proto: int, flags: int, fragment: int) -> None:
        ((out_port, packet),) = self.send(FlowKey(self.near, self.d_sid, proto, port, 80), flags, fragment)
        assert (out_port, ip_address(packet[f"ipv{self.version}_dst"])) in (
            (_UPLINK, self.far),
            (_UPLINK, self.d_sid),  # refused
        )

    @rule(seconds=st.sampled_from((1, 20, 31, 65)))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds
        for removed in self.table.expire(self.now_s):
            number = flow_entries.number_of(removed.cookie)
            self.perform(self.router.keeper.on_forward_entry_removed(number, removed.reason == ofp.OFPRR_IDLE_TIMEOUT))

    @rule(is_near=st.booleans())
    def an_instance_fails_and_comes_back(self, is_near: bool) -> None:
        d_bid, site = (self.near, HERE) if is_near else (self.far, THERE)
        for raw in (None, None, RawMetrics(4)):
            self.sequence += 1
            data = report_bytes(site, self.sequence, self.now_s, told(d_bid, raw))
            self.perform(self.router.on_message(data, d_bid, self.now_s))

    # -- how it goes -----------------------------------------------------------------------------

    def send(self, flow: FlowKey, flags: int, fragment: int) -> list[Output]:
        """Run a packet through the switch, and through the D-Router where the switch brings it up."""
        fields = self.fields(flow, flags, fragment)
        outputs = self.table.send(fields, self.now_s)
        if [output.port for output in outputs] != [CONTROLLER]:
            return outputs
        if not fragment:
            performed = self.router.on_packet(flow, self.now_s, _HOST_PORT)
            return self.perform(performed, PacketIn(_HOST_PORT, b""), fields)
        steered = self.router.keeper.on_fragment(flow)
        if steered is None:
            steered = self.router.on_packet(flow, self.now_s, _HOST_PORT)
        return self.perform(steered, PacketIn(_HOST_PORT, self.frame(flow), PacketKind.FRAGMENT), fields)

    def perform(
        self, performed: Iterable[Performed], packet: PacketIn = NO_PACKET, fields: dict[str, Any] | None = None
    ) -> list[Output]:
        outputs: list[Output] = []
        for action in performed:
            messages = self.words[type(action)](action, packet) if type(action) in self.words else b""
            if isinstance(action, ReadReturnPackets):
                self.count(action, messages)
                continue
            while messages:
                size = int.from_bytes(messages[2:4], "big")
                if messages[1] == ofp.OFPT_PACKET_OUT:
                    assert fields is not None
                    outputs += self.table.packet_out(messages[:size], self.as_sent(messages[:size], fields), self.now_s)
                else:
                    self.table.execute(messages[:size], self.now_s)
                messages = messages[size:]
        return outputs

    def count(self, action: ReadReturnPackets, request: bytes) -> None:
        """Have the switch say how much came back on a flow."""
        for item in self.table.counters(request):
            if flow_entries.is_reverse(item.match, action.entry):
                keeper = self.router.keeper
                self.perform(keeper.on_return_packets(action.entry.number, item.packet_count, self.now_s))

    def as_sent(self, message: bytes, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of the packet in a Packet-Out, whose addresses the D-Router may have written itself."""
        sent = ip_packet.in_frame(message[24 + int.from_bytes(message[16:18], "big") :])
        if sent is None:
            return fields
        ends = {"src": sent.src, "dst": sent.dst}
        return fields | {f"ipv{self.version}_{end}": str(ip_address(address)) for end, address in ends.items()}

    def fields(self, flow: FlowKey, flags: int, fragment: int) -> dict[str, Any]:
        name, proto = _NAMES[flow.proto or 0], {"ip_proto": flow.proto, "tcp_flags_nxm": flags, "ip_frag": fragment}
        ports = {f"{name}_src": flow.src_port, f"{name}_dst": flow.dst_port}
        if fragment == _LATER:  # which has neither, but conntrack looks at the whole datagram
            ports, proto["tcp_flags_nxm"] = {"reassembled": (flow.src_port, flow.dst_port)}, 0
        ends = {f"ipv{self.version}_src": str(flow.src), f"ipv{self.version}_dst": str(flow.dst)}
        return {"in_port": _HOST_PORT, "eth_type": {4: 0x0800, 6: 0x86DD}[self.version], **ends, **proto, **ports}

    def frame(self, flow: FlowKey) -> bytes:
        ends = {"src": str(flow.src), "dst": str(flow.dst)}
        if self.version == 4:
            return bytes(
                Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
                / IP(**ends, proto=flow.proto, frag=9)
                / Raw(bytes(16))
            )
        return bytes(
            Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            / IPv6(**ends)
            / IPv6ExtHdrFragment(nh=flow.proto, offset=9)
            / Raw(bytes(16))
        )


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
