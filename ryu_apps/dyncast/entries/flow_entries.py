"""OpenFlow 1.3 entries of a D-Router: what intercepts services, what steers bound flows.

Pure functions from the D-Router's actions to messages; the only module that words matches and actions.
All entries live in table 0, most specific first; everything else is switched as usual (NORMAL).

    priority  match                                    actions
    200 + 2n  flow identifier, to the D-SID            D-SID → D-BID, out of the uplink to the router
    200 + 2n  the same turned round, from the D-BID    D-BID → D-SID, NORMAL
    100       to a D-SID                               to the D-Router (Packet-In)
    90        to a member of a range of D-SIDs         to the D-Router
    50        from a D-BID to a host of the site       a hash that nobody reads, so that all fields count; NORMAL
    0         anything                                 NORMAL

n counts the fields of the flow identifier, blocks of ports for a half less: what comes home from an instance of two
services may match the wide identifier of one and the narrow identifier of the other, and belongs to the latter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from ryu_apps.openflow import wire
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from testbed.dyncast.affinity.table import AffinityEntry, HeldFlow
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import FlowKey

AFFINITY_COOKIE = 0xD1 << 48
SERVICE_COOKIE = 0xD2 << 48
KIND_MASK = 0xFFFF << 48
_AFFINITY_PRIORITY = 200
_SERVICE_PRIORITY = 100
_RANGE_PRIORITY = 90
_ANSWER_PRIORITY = 50
_SCRATCH_REGISTER = 4
Stations = Mapping[tuple[bytes, int], Address]  # whom tunnels lead to, by MAC address and family
_REMEMBERED = 4096  # instances of one ingress; there may be more


def ordinary_traffic() -> bytes:
    """Switch whatever is not a matter of Dyncast."""
    return wire.add_entry(0, 0, wire.EVERYTHING, wire.output(ofp.OFPP_NORMAL))


def intercept_service(d_sid: Address) -> bytes:
    """Bring packets to a D-SID that have no entry to the controller, whole."""
    return wire.add_entry(
        SERVICE_COOKIE, _SERVICE_PRIORITY, wire.ip_match(d_sid.version, dst=d_sid), wire.output(ofp.OFPP_CONTROLLER)
    )


def release_service(d_sid: Address) -> bytes:
    """Undo `intercept_service`; what is bound stays."""
    return wire.delete_entry(_SERVICE_PRIORITY, wire.ip_match(d_sid.version, dst=d_sid))


def intercept_range(d_sids: Network) -> bytes:
    """Bring packets to members of a range of D-SIDs that are no service to the controller, whole."""
    match = wire.ip_match(d_sids.version, dst=d_sids)
    return wire.add_entry(SERVICE_COOKIE, _RANGE_PRIORITY, match, wire.output(ofp.OFPP_CONTROLLER))


def track_reverse_flows(d_bid: Address, prefixes: Iterable[Network]) -> bytes:
    """Switch packets of an instance to hosts in `prefixes` as usual, but have the switch know each flow by itself."""
    return b"".join(
        switch_flow_by_flow(wire.ip_match(d_bid.version, d_bid, prefix))
        for prefix in prefixes
        if prefix.version == d_bid.version
    )


def switch_flow_by_flow(answers: bytes) -> bytes:
    """Switch what matches as usual, but have the switch know each flow by itself."""
    actions = wire.hash_of_flow(_SCRATCH_REGISTER) + wire.output(ofp.OFPP_NORMAL)
    return wire.add_entry(SERVICE_COOKIE, _ANSWER_PRIORITY, answers, actions)


def affinity(entry: AffinityEntry, uplink_port: int, port_block: int = 1) -> bytes:
    """Bind a flow in both directions; only the way to the service times out and says so.

    Where flows are told by blocks of ports, those of its identifier begin theirs.
    """
    cookie, priority = AFFINITY_COOKIE | entry.number, priority_of(entry, port_block)
    is_wide = port_block > 1 or entry.flow.src_port is None or entry.flow.dst_port is None
    actions = _reverse_actions(entry.d_sid, is_wide)
    reverse = wire.add_entry(cookie, priority, _reverse_match(entry, port_block), actions)
    return reverse + wire.add_entry(
        cookie,
        priority,
        _forward_match(entry, port_block),
        _forward_actions(entry.d_bid, uplink_port),
        entry.timeout_s,
        tells_removal=True,
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
    """Return the bound flows that entries read back from a switch make up; `stations`: whom tunnels lead to."""
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


def forward_packet(entry: AffinityEntry, uplink_port: int, in_port: int, data: bytes) -> bytes:
    """Send the packet at hand as its entry would."""
    return wire.packet_out(in_port, _forward_actions(entry.d_bid, uplink_port), data)


def refuse_packet(uplink_port: int, in_port: int, data: bytes) -> bytes:
    """Hand the packet at hand to the router as it is, which has no way for it and tells its sender so."""
    return wire.packet_out(in_port, wire.output(uplink_port), data)


def is_affinity(cookie: int) -> bool:
    """Tell whether a cookie names a bound flow."""
    return cookie & KIND_MASK == AFFINITY_COOKIE


def number_of(cookie: int) -> int:
    """Return the number of the bound flow that a cookie names."""
    return cookie & ~KIND_MASK


def is_reverse(match: Any, entry: AffinityEntry) -> bool:
    """Tell whether a match read back from the switch is that of the entry's reverse path."""
    source = match.get(f"ipv{entry.d_sid.version}_src")
    return source is not None and ip_address(source) in (entry.d_bid, entry.d_sid)  # rewritten, or left as it is


def _forward_match(entry: AffinityEntry, port_block: int) -> bytes:
    """Match packets of the flow on their way to the service."""
    flow = entry.flow
    return wire.ip_match(flow.dst.version, *flow, port_block)


def _reverse_match(entry: AffinityEntry, port_block: int) -> bytes:
    """Match packets of the flow on the reverse path.

    Where the identifier leaves out the ports, or the protocol has none (ping), headers cannot tell them from answers
    to the same client speaking to the D-BID itself: those seem to come from the D-SID too while the flow lasts.
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
    hashed = wire.hash_of_flow(_SCRATCH_REGISTER) if is_wide else b""
    return hashed + wire.set_src(d_sid) + wire.output(ofp.OFPP_NORMAL)
