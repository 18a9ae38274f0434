"""OpenFlow 1.3 as bytes: the few messages that every flow needs, written straight from addresses and numbers.

The framework's message classes turn each address into text and back several times over; for a flow's set-up that took
longer than all else together. Knows the wire format (OpenFlow 1.3.5, section 7), and nothing of what entries are for.
"""

from __future__ import annotations

from struct import Struct

from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from testbed.net.addresses import Address, Network
from testbed.net.flow_key import TCP, UDP

_FLOW_MOD = Struct("!BBHIQQBBHHHIIIH2x")
_PACKET_OUT = Struct("!BBHIIIH6x")
_FLOW_STATS_REQUEST = Struct("!BBHIHH4xB3xII4xQQ")
_MATCH = Struct("!HH")
_INSTRUCTION = Struct("!HH4x")
_SET_FIELD = Struct("!HH")
_OUTPUT = Struct("!HHIH6x")
_OXM = Struct("!I")
_HAS_MASK = 1 << 8
_MULTIPATH = Struct("!HHIHHH2xHHI2xHI")
_NICIRA, _NX_MULTIPATH, _NXM_REGISTER = 0x2320, 10, 0x0001 << 16
_NX_RESUBMIT_TABLE, _NX_IN_PORT = 14, 0xFFF8
_RESUBMIT = Struct("!HHIHHB3x")
_CT = Struct("!HHIHHIHB3xH")
_NX_CT, _CT_COMMIT, _CT_NO_TABLE = 35, 1, 0xFF
_NXM_MASKED = 0x0001 << 16 | 1 << 8
_CT_STATE = Struct("!I").pack(_NXM_MASKED | 105 << 9 | 8)
_TCP_FLAGS = Struct("!I").pack(_NXM_MASKED | 34 << 9 | 4)
_NEW, _INVALID, _TRACKED = 0x01, 0x10, 0x20
_SYN, _ACK = 0x02, 0x10
_IS_FRAGMENT = Struct("!IBB").pack(0x0001 << 16 | 26 << 9 | 1 << 8 | 2, 1, 1)  # NXM_NX_IP_FRAG, its first bit
_SYMMETRIC_L3L4_UDP = 3  # _L4 leaves the ports of UDP out
_MODULO_N = 0
_DEC_TTL = Struct("!HH4x").pack(ofp.OFPAT_DEC_NW_TTL, 8)
_OXM_CLASS = 0x8000  # OFPXMC_OPENFLOW_BASIC
_XID = 0  # nothing of this is answered but errors, and those quote the message
_ALL = (1 << 64) - 1


def _header(field: int, size: int) -> bytes:
    return _OXM.pack(_OXM_CLASS << 16 | field << 9 | size)


_IP_PROTO = _header(10, 1)
_ETH_TYPE = {4: _header(5, 2) + b"\x08\x00", 6: _header(5, 2) + b"\x86\xdd"}
_SRC = {4: _header(11, 4), 6: _header(26, 16)}
_DST = {4: _header(12, 4), 6: _header(27, 16)}
_ICMP_TYPE = {4: (1, _header(19, 1)), 6: (58, _header(29, 1))}  # with the protocol that it is of
_ICMP_CODE = _header(20, 1)
_IN_PORT, _ETH_DST, _TUNNEL_ID = _header(0, 4), _header(3, 6), _header(38, 8)
_PORTS = {6: (_header(13, 2), _header(14, 2)), 17: (_header(15, 2), _header(16, 2))}  # TCP, UDP: source, destination


def ip_match(
    version: int,
    src: Address | None = None,
    dst: Address | Network | None = None,
    proto: int | None = None,
    src_port: int | None = None,
    dst_port: int | None = None,
    port_block: int = 1,
) -> bytes:
    """Match IP packets by the fields given; ports only of TCP and UDP, each with those that follow in its block."""
    fields = _ETH_TYPE[version]
    if src is not None:
        fields += _SRC[version] + src.packed
    if dst is not None:
        fields += _dst(version, dst)
    if proto is not None:
        fields += _IP_PROTO + proto.to_bytes(1, "big")
        if proto in _PORTS:
            src_header, dst_header = _PORTS[proto]
            if src_port is not None:
                fields += _port(src_header, src_port, port_block)
            if dst_port is not None:
                fields += _port(dst_header, dst_port, port_block)
    return _match(fields)


def network_match(
    in_port: int | None, version: int, *, src: Network | None = None, dst: Network | None = None
) -> bytes:
    """Match IP packets from or to a network, that come in by a port."""
    fields = (b"" if in_port is None else _IN_PORT + in_port.to_bytes(4, "big")) + _ETH_TYPE[version]
    for header, network in ((_SRC[version], src), (_DST[version], dst)):
        if network is not None:
            is_one = network.prefixlen == network.max_prefixlen
            fields += header + network.network_address.packed if is_one else _masked(header, network)
    return _match(fields)


def fragment_match(
    version: int,
    register: int,
    *,
    src: Address | None = None,
    dst: Address | Network | None = None,
    in_port: int | None = None,
) -> bytes:
    """Match fragments, the first ones among them, whose register is zero."""
    fields = b"" if in_port is None else _IN_PORT + in_port.to_bytes(4, "big")
    fields += _ETH_TYPE[version] + _IS_FRAGMENT + _register(register)
    if src is not None:
        fields += _SRC[version] + src.packed
    return _match(fields + (b"" if dst is None else _dst(version, dst)))


def icmp_match(version: int, icmp_type: int, register: int, dst: Address | Network) -> bytes:
    """Match ICMP, or ICMPv6, of a type whose register is zero."""
    proto, header = _ICMP_TYPE[version]
    fields = _ETH_TYPE[version] + _dst(version, dst) + _IP_PROTO + proto.to_bytes(1, "big")
    return _match(fields + header + icmp_type.to_bytes(1, "big") + _register(register))


def known_connection_match() -> bytes:
    """Match packets of a connection that conntrack knows."""
    return _match(_CT_STATE + _TRACKED.to_bytes(4, "big") + (_TRACKED | _NEW | _INVALID).to_bytes(4, "big"))


def first_segment_match(version: int) -> bytes:
    """Match TCP segments that begin a connection: SYN without ACK."""
    flags = _SYN.to_bytes(2, "big") + (_SYN | _ACK).to_bytes(2, "big")
    return _match(_ETH_TYPE[version] + _IP_PROTO + TCP.to_bytes(1, "big") + _TCP_FLAGS + flags)


def ephemeral_udp_match(version: int) -> bytes:
    """Match UDP from a port that a host gave to a program which asked for none (Linux: above 32,767)."""
    upper_half = _port(_PORTS[UDP][0], 0x8000, 0x8000)
    return _match(_ETH_TYPE[version] + _IP_PROTO + UDP.to_bytes(1, "big") + upper_half)


def port_match(in_port: int, eth_dst: bytes | None = None) -> bytes:
    """Match what comes in by a port, or that of it which goes to one MAC address."""
    return _match(_IN_PORT + in_port.to_bytes(4, "big") + (b"" if eth_dst is None else _ETH_DST + eth_dst))


def too_big_match(version: int, in_port: int) -> bytes:
    """Match ICMP, or ICMPv6, that comes in by a port and says that a packet was too big for the path."""
    proto, header = _ICMP_TYPE[version]
    fields = _IN_PORT + in_port.to_bytes(4, "big") + _ETH_TYPE[version] + _IP_PROTO + proto.to_bytes(1, "big")
    return _match(fields + (header + b"\x03" + _ICMP_CODE + b"\x04" if version == 4 else header + b"\x02"))


def set_src(address: Address) -> bytes:
    """Rewrite the source address."""
    return _set_field(_SRC[address.version] + address.packed)


def set_dst(address: Address) -> bytes:
    """Rewrite the destination address."""
    return _set_field(_DST[address.version] + address.packed)


def set_eth_dst(mac: bytes) -> bytes:
    """Rewrite the destination MAC address."""
    return _set_field(_ETH_DST + mac)


def set_tunnel_id(number: int) -> bytes:
    """Note a number with the packet, which leaves it behind at any port that is no tunnel of the switch's own."""
    return _set_field(_TUNNEL_ID + number.to_bytes(8, "big"))


def set_register(register: int, value: int) -> bytes:
    """Note a number with the packet while it is in the switch."""
    return _set_field(_register(register, value))


def resubmit(table: int) -> bytes:
    """Run the packet through a table as it is now. Open vSwitch's own action."""
    return _RESUBMIT.pack(ofp.OFPAT_EXPERIMENTER, _RESUBMIT.size, _NICIRA, _NX_RESUBMIT_TABLE, _NX_IN_PORT, table)


def track(zone: int, table: int | None = None, *, commits: bool = False) -> bytes:
    """Look a packet up in a zone of conntrack, then go on in a table; `commits`: have it known there from now on."""
    return _CT.pack(
        ofp.OFPAT_EXPERIMENTER, _CT.size, _NICIRA, _NX_CT, _CT_COMMIT if commits else 0, 0, zone,
        _CT_NO_TABLE if table is None else table, 0,
    )  # fmt: skip


def decrement_ttl() -> bytes:
    """Take one off the hop limit; a packet that has none left is dropped."""
    return _DEC_TTL


def output(port: int) -> bytes:
    """Send the packet out of a port; to the controller, whole."""
    return _OUTPUT.pack(ofp.OFPAT_OUTPUT, _OUTPUT.size, port, ofp.OFPCML_NO_BUFFER)


def hash_of_flow(register: int) -> bytes:
    """Put a hash of the flow (addresses, protocol, ports) into a register. Open vSwitch's own action."""
    return _MULTIPATH.pack(
        ofp.OFPAT_EXPERIMENTER, _MULTIPATH.size, _NICIRA, _NX_MULTIPATH, _SYMMETRIC_L3L4_UDP, 0, _MODULO_N, 0, 0,
        31, _NXM_REGISTER | register << 9 | 4,
    )  # fmt: skip


def add_entry(
    cookie: int,
    priority: int,
    match: bytes,
    actions: bytes,
    idle_timeout_s: int = 0,
    *,
    reports_removal: bool = False,
    table: int = 0,
) -> bytes:
    """Add an entry. `actions` follow one another."""
    flags = ofp.OFPFF_SEND_FLOW_REM if reports_removal else 0
    body = match + _INSTRUCTION.pack(ofp.OFPIT_APPLY_ACTIONS, _INSTRUCTION.size + len(actions)) + actions
    return (
        _FLOW_MOD.pack(
            ofp.OFP_VERSION, ofp.OFPT_FLOW_MOD, _FLOW_MOD.size + len(body), _XID, cookie, 0, table, ofp.OFPFC_ADD,
            idle_timeout_s, 0, priority, ofp.OFP_NO_BUFFER, ofp.OFPP_ANY, ofp.OFPG_ANY, flags,
        )
        + body
    )  # fmt: skip


def delete_entries(cookie: int, cookie_mask: int = _ALL) -> bytes:
    """Delete the entries of all tables whose cookie is this, as far as the mask goes."""
    return (
        _FLOW_MOD.pack(
            ofp.OFP_VERSION, ofp.OFPT_FLOW_MOD, _FLOW_MOD.size + len(EVERYTHING), _XID, cookie, cookie_mask,
            ofp.OFPTT_ALL, ofp.OFPFC_DELETE, 0, 0, 0, ofp.OFP_NO_BUFFER, ofp.OFPP_ANY, ofp.OFPG_ANY, 0,
        )
        + EVERYTHING
    )  # fmt: skip


def delete_entry(priority: int, match: bytes) -> bytes:
    """Delete the one entry of table 0 that has this priority and match."""
    return (
        _FLOW_MOD.pack(
            ofp.OFP_VERSION, ofp.OFPT_FLOW_MOD, _FLOW_MOD.size + len(match), _XID, 0, 0, 0, ofp.OFPFC_DELETE_STRICT,
            0, 0, priority, ofp.OFP_NO_BUFFER, ofp.OFPP_ANY, ofp.OFPG_ANY, 0,
        )
        + match
    )  # fmt: skip


def read_entries(cookie: int, cookie_mask: int = _ALL) -> bytes:
    """Ask for the entries that have this cookie, as far as the mask goes, and their counters."""
    return (
        _FLOW_STATS_REQUEST.pack(
            ofp.OFP_VERSION, ofp.OFPT_MULTIPART_REQUEST, _FLOW_STATS_REQUEST.size + len(EVERYTHING), _XID,
            ofp.OFPMP_FLOW, 0, ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY, cookie, cookie_mask,
        )
        + EVERYTHING
    )  # fmt: skip


def packet_out(in_port: int, actions: bytes, data: bytes) -> bytes:
    """Send a packet, which came in by `in_port`, as the actions say."""
    size = _PACKET_OUT.size + len(actions) + len(data)
    return (
        _PACKET_OUT.pack(ofp.OFP_VERSION, ofp.OFPT_PACKET_OUT, size, _XID, ofp.OFP_NO_BUFFER, in_port, len(actions))
        + actions
        + data
    )


def _port(header: bytes, port: int, block: int) -> bytes:
    if block == 1:
        return header + port.to_bytes(2, "big")
    (plain,) = _OXM.unpack(header)
    return _OXM.pack((plain | _HAS_MASK) + 2) + port.to_bytes(2, "big") + (0x10000 - block).to_bytes(2, "big")


def _dst(version: int, dst: Address | Network) -> bytes:
    return _DST[version] + dst.packed if isinstance(dst, Address) else _masked(_DST[version], dst)


def _register(register: int, value: int = 0) -> bytes:
    return _OXM.pack(_NXM_REGISTER | register << 9 | 4) + value.to_bytes(4, "big")


def _masked(header: bytes, network: Network) -> bytes:
    (plain,) = _OXM.unpack(header)
    size = network.max_prefixlen // 8
    return _OXM.pack((plain | _HAS_MASK) + size) + network.network_address.packed + network.netmask.packed


def _match(fields: bytes) -> bytes:
    return _padded(_MATCH.pack(ofp.OFPMT_OXM, _MATCH.size + len(fields)) + fields)


def _set_field(field: bytes) -> bytes:
    size = _SET_FIELD.size + len(field)
    return _padded(_SET_FIELD.pack(ofp.OFPAT_SET_FIELD, size + -size % 8) + field)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


EVERYTHING = _match(b"")
