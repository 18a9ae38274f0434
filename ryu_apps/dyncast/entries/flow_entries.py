"""OpenFlow 1.3 entries of a D-Router: what intercepts services, what steers bound flows.

Pure functions from the D-Router's actions to messages; the only module that words matches and actions.
All entries live in table 0, most specific first; everything else is switched as usual (NORMAL).

    priority  match                                    actions
    330       a fragment, to a D-SID                   to the D-Router (Packet-In)
    330       a fragment, from a D-BID to the site     to the D-Router
    320       an ICMP error, to a D-SID or the site    to the D-Router
    201 + 2n  flow identifier without the source,      to the D-Router, which refuses it: a hairpin
              to the D-SID, from the D-BID itself
    200 + 2n  flow identifier, to the D-SID            D-SID → D-BID, out of the uplink to the router
    200 + 2n  the same turned round, from the D-BID    D-BID → D-SID, NORMAL
    100       to a D-SID                               to the D-Router (Packet-In)
    90        to a member of a range of D-SIDs         to the D-Router
    50        from a D-BID to a host of the site       a hash that nobody reads, so that all fields count; NORMAL
    0         anything                                 NORMAL

n counts the fields of the flow identifier, blocks of ports for a half less: what comes home from an instance of two
services may match the wide identifier of one and the narrow identifier of the other, and belongs to the latter.

Fragments and ICMP errors speak of flows in ways that no entry can match, nor a switch rewrite as it should. What turns
out to be of no bound flow passes the same table once more, marked by a register, as any other packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from ryu_apps.openflow import wire
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.packet_in import PacketIn, PacketKind
from ryu_apps.openflow.packets import icmp_errors, rewriting
from testbed.dyncast.affinity.table import AffinityEntry, HeldFlow
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FlowKey

AFFINITY_COOKIE = 0xD1 << 48
SERVICE_COOKIE = 0xD2 << 48
FRAGMENT_COOKIE, ERROR_COOKIE = SERVICE_COOKIE | 1, SERVICE_COOKIE | 2
KIND_MASK = 0xFFFF << 48
_FRAGMENT_PRIORITY = 330
_ERROR_PRIORITY = 320
_AFFINITY_PRIORITY = 200
_SERVICE_PRIORITY = 100
_RANGE_PRIORITY = 90
_ANSWER_PRIORITY = 50
SCRATCH_REGISTER, _PASSED_REGISTER = 4, 7
_TO_CONTROLLER = wire.output(ofp.OFPP_CONTROLLER)
Stations = Mapping[tuple[bytes, int], Address]  # where tunnels lead, by MAC address and family
_REMEMBERED = 4096  # instances of one ingress; there may be more


def ordinary_traffic() -> bytes:
    """Switch whatever is not a matter of Dyncast."""
    return wire.add_entry(0, 0, wire.EVERYTHING, wire.output(ofp.OFPP_NORMAL))


def intercept_service(d_sid: Address) -> bytes:
    """Bring packets to a D-SID that have no entry to the controller, whole."""
    return wire.add_entry(SERVICE_COOKIE, _SERVICE_PRIORITY, wire.ip_match(d_sid.version, dst=d_sid), _TO_CONTROLLER)


def intercept_fragments(d_sid: Address) -> bytes:
    """Bring fragments to a D-SID to the controller."""
    return _bring_fragments(wire.fragment_match(d_sid.version, _PASSED_REGISTER, dst=d_sid))


def intercept_fragments_from(in_port: int, clients: Network) -> bytes:
    """Bring fragments that come in by a port to clients to the controller."""
    return _bring_fragments(wire.fragment_match(clients.version, _PASSED_REGISTER, dst=clients, in_port=in_port))


def intercept_errors(to: Address | Network) -> bytes:
    """Bring ICMP errors to a D-SID, or to hosts of the site, to the controller."""
    return b"".join(
        wire.add_entry(
            ERROR_COOKIE, _ERROR_PRIORITY, wire.icmp_match(to.version, kind, _PASSED_REGISTER, to), _TO_CONTROLLER
        )
        for kind in icmp_errors.TYPES[to.version]
    )


def _bring_fragments(match: bytes) -> bytes:
    return wire.add_entry(FRAGMENT_COOKIE, _FRAGMENT_PRIORITY, match, _TO_CONTROLLER)


def release_service(d_sid: Address) -> bytes:
    """Undo `intercept_service`; what is bound stays, and its fragments and errors go on to come."""
    return wire.delete_entry(_SERVICE_PRIORITY, wire.ip_match(d_sid.version, dst=d_sid))


def intercept_range(d_sids: Network) -> bytes:
    """Bring packets to members of a range of D-SIDs that are no service to the controller, whole."""
    match = wire.ip_match(d_sids.version, dst=d_sids)
    return wire.add_entry(SERVICE_COOKIE, _RANGE_PRIORITY, match, _TO_CONTROLLER)


def track_reverse_flows(d_bid: Address, prefixes: Iterable[Network]) -> bytes:
    """Switch packets of an instance to hosts in `prefixes` as usual, but have the switch know each flow by itself.

    Fragments come to the controller.
    """
    return b"".join(
        switch_flow_by_flow(wire.ip_match(d_bid.version, d_bid, prefix))
        + _bring_fragments(wire.fragment_match(d_bid.version, _PASSED_REGISTER, src=d_bid, dst=prefix))
        for prefix in prefixes
        if prefix.version == d_bid.version
    )


def switch_flow_by_flow(answers: bytes) -> bytes:
    """Switch what matches as usual, but have the switch know each flow by itself."""
    actions = wire.hash_of_flow(SCRATCH_REGISTER) + wire.output(ofp.OFPP_NORMAL)
    return wire.add_entry(SERVICE_COOKIE, _ANSWER_PRIORITY, answers, actions)


def affinity(entry: AffinityEntry, uplink_port: int, port_block: int = 1) -> bytes:
    """Bind a flow in both directions; only the way to the service times out and says so.

    Where flows are identified by blocks of ports, those of its identifier begin theirs.
    """
    cookie, priority = AFFINITY_COOKIE | entry.number, priority_of(entry, port_block)
    is_wide = port_block > 1 or entry.flow.src_port is None or entry.flow.dst_port is None
    actions = _reverse_actions(entry.d_sid, is_wide)
    if entry.flow.src is None:  # the instance itself may call, whom no instance but another could serve
        own = _forward_match(entry._replace(flow=entry.flow._replace(src=entry.d_bid)), port_block)
        hairpin = wire.add_entry(cookie, priority + 1, own, _TO_CONTROLLER)
    else:
        hairpin = b""
    reverse = wire.add_entry(cookie, priority, _reverse_match(entry, port_block), actions)
    return (
        hairpin
        + reverse
        + wire.add_entry(
            cookie,
            priority,
            _forward_match(entry, port_block),
            _forward_actions(entry.d_bid, uplink_port),
            entry.timeout_s,
            reports_removal=True,
        )
    )


def priority_of(entry: AffinityEntry, port_block: int) -> int:
    """Return the priority of a flow's entries."""
    return _AFFINITY_PRIORITY + 2 * sum(field is not None for field in entry.flow) - (port_block > 1)


def remove_affinity(entry: AffinityEntry) -> bytes:
    """Take both entries of a flow away, without a word from the switch."""
    return wire.delete_entries(AFFINITY_COOKIE | entry.number)


def remove_everything_of_ours() -> list[bytes]:
    """Take away all entries that this controller or an earlier one wrote."""
    return [wire.delete_entries(cookie, KIND_MASK) for cookie in (AFFINITY_COOKIE, SERVICE_COOKIE)]


def read_bound_flows() -> bytes:
    """Ask for the entries of all bound flows."""
    return wire.read_entries(AFFINITY_COOKIE, KIND_MASK)


def held_flows(entries: Iterable[Any], stations: Stations = MappingProxyType({})) -> list[HeldFlow]:
    """Return the bound flows that entries read back from a switch make up; `stations`: where tunnels lead."""
    found: dict[int, HeldFlow] = {}
    for entry in entries:
        number, read = number_of(entry.cookie), _read_back(entry, stations)
        if is_affinity(entry.cookie) and read is not None:
            is_reverse, flow, d_bid = read
            held = found.get(number, HeldFlow(number, flow, d_bid, 0.0, has_forward=False, has_reverse=False))
            found[number] = held._replace(
                age_s=max(held.age_s, entry.duration_sec + entry.duration_nsec / 1e9),
                has_forward=held.has_forward or not is_reverse,
                has_reverse=held.has_reverse or is_reverse,
            )
    return list(found.values())


def _read_back(entry: Any, stations: Stations) -> tuple[bool, FlowKey, Address] | None:
    """Return whether an entry is of the reverse path, its flow identifier and D-BID; None if it is not as we write."""
    match = entry.match
    written = {
        action.key: action.value
        for instruction in entry.instructions
        for action in instruction.actions
        if hasattr(action, "key")
    }
    ports = {6: "tcp", 17: "udp"}.get(match.get("ip_proto"))
    src, dst = (_address(match, end) for end in ("src", "dst"))
    src_port, dst_port = (_first_port(match.get(f"{ports}_{end}")) if ports else None for end in ("src", "dst"))
    to_d_bid, from_d_sid = (written.get("ipv4_" + end) or written.get("ipv6_" + end) for end in ("dst", "src"))
    if from_d_sid is not None and src is not None:
        return True, FlowKey(dst, ip_address(from_d_sid), match.get("ip_proto"), dst_port, src_port), src
    if "tunnel_id" in written and src is not None:
        station = stations.get((int(written["tunnel_id"]).to_bytes(6, "big"), src.version))
        reverse = FlowKey(dst, src, match.get("ip_proto"), dst_port, src_port)
        return None if station is None else (True, reverse, station)
    if dst is None:
        return None
    if to_d_bid is not None:
        return False, FlowKey(src, dst, match.get("ip_proto"), src_port, dst_port), ip_address(to_d_bid)
    if "eth_dst" in written:
        station = stations.get((bytes.fromhex(written["eth_dst"].replace(":", "")), dst.version))
        forward = FlowKey(src, dst, match.get("ip_proto"), src_port, dst_port)
        return None if station is None else (False, forward, station)
    return None


def _first_port(value: Any) -> int | None:
    """Return a port, or the first of a block, which comes with its mask."""
    first: int | None = value[0] if isinstance(value, tuple) else value
    return first


def _address(match: Any, end: str) -> Address | None:
    value = match.get(f"ipv4_{end}") or match.get(f"ipv6_{end}")
    return None if value is None else ip_address(value)


def read_counters(entry: AffinityEntry) -> bytes:
    """Ask for the counters of a flow's entries."""
    return wire.read_entries(AFFINITY_COOKIE | entry.number)


def forward_packet(entry: AffinityEntry, uplink_port: int, packet: PacketIn) -> bytes:
    """Send the packet at hand as its entry would."""
    in_port, data, kind = packet
    if kind is PacketKind.WHOLE:
        return wire.packet_out(in_port, _forward_actions(entry.d_bid, uplink_port), data)
    if kind is PacketKind.FRAGMENT:
        data = rewriting.readdressed(data, dst=entry.d_bid)
    else:
        data = rewriting.error_readdressed(data, dst=entry.d_bid, quoted_src=entry.d_bid)
    return wire.packet_out(in_port, wire.output(uplink_port), data)


def return_packet(entry: AffinityEntry, packet: PacketIn) -> bytes:
    """Send the fragment or ICMP error at hand to the client as if the D-SID were where it comes from."""
    if packet.kind is PacketKind.ICMP_ERROR:
        return return_error(entry.d_sid, entry.d_bid, packet)
    data = rewriting.readdressed(packet.data, src=entry.d_sid)
    return wire.packet_out(packet.in_port, wire.output(ofp.OFPP_NORMAL), data)


def return_error(d_sid: Address, d_bid: Address, packet: PacketIn) -> bytes:
    """Send the ICMP error at hand to the client as if what it is about had gone to the D-SID."""
    speaks_itself = rewriting.source_of(packet.data) == d_bid  # a router speaks in its own name
    data = rewriting.error_readdressed(packet.data, src=d_sid if speaks_itself else None, quoted_dst=d_sid)
    return wire.packet_out(packet.in_port, wire.output(ofp.OFPP_NORMAL), data)


def pass_packet(packet: PacketIn) -> bytes:
    """Have the switch do with the packet at hand what it does with a packet that is no matter of the controller's."""
    actions = wire.set_register(_PASSED_REGISTER, 1) + wire.resubmit(0)
    return wire.packet_out(packet.in_port, actions, packet.data)


def refuse_packet(uplink_port: int, packet: PacketIn) -> bytes:
    """Hand the packet to the router as it is, which has no route for it and answers with an ICMP error."""
    return wire.packet_out(packet.in_port, wire.output(uplink_port), packet.data)


def is_affinity(cookie: int) -> bool:
    """Return whether a cookie names a bound flow."""
    return cookie & KIND_MASK == AFFINITY_COOKIE


def number_of(cookie: int) -> int:
    """Return the number of the bound flow that a cookie names."""
    return cookie & ~KIND_MASK


def is_reverse(match: Any, entry: AffinityEntry) -> bool:
    """Return whether a match read back from the switch is that of the entry's reverse path."""
    source, target = (_address(match, end) for end in ("src", "dst"))
    return source in (entry.d_bid, entry.d_sid) and target != entry.d_sid  # rewritten, or left as it is


def _forward_match(entry: AffinityEntry, port_block: int) -> bytes:
    """Match packets of the flow on their way to the service."""
    flow = entry.flow
    return wire.ip_match(flow.dst.version, *flow, port_block)


def _reverse_match(entry: AffinityEntry, port_block: int) -> bytes:
    """Match packets of the flow on the reverse path.

    Where the identifier leaves out the ports, or the protocol has none (ping), headers cannot distinguish them from
    answers to the same client speaking to the D-BID itself: those seem to come from the D-SID too while the flow lasts.
    """
    flow = entry.flow
    return wire.ip_match(flow.dst.version, entry.d_bid, flow.src, flow.proto, flow.dst_port, flow.src_port, port_block)


@lru_cache(maxsize=_REMEMBERED)
def _forward_actions(d_bid: Address, uplink_port: int) -> bytes:
    """Rewrite D-SID → D-BID and hand the packet to the router."""
    return wire.set_dst(d_bid) + wire.output(uplink_port)


@lru_cache(maxsize=_REMEMBERED)
def _reverse_actions(d_sid: Address, is_wide: bool) -> bytes:
    """Rewrite D-BID → D-SID and switch the packet to its client.

    What a wide identifier covers, the narrow one of another service may take out of it at any time, so the switch shall
    know each flow by itself, as in `track_reverse_flows`.
    """
    hashed = wire.hash_of_flow(SCRATCH_REGISTER) if is_wide else b""
    return hashed + wire.set_src(d_sid) + wire.output(ofp.OFPP_NORMAL)
