"""OpenFlow 1.3 as bytes: the few messages that every flow needs, written straight from addresses and numbers.

The framework's message classes turn each address into text and back several times over; for a flow's set-up that took
longer than all else together. Knows the wire format (OpenFlow 1.3.5, section 7), and nothing of what entries are for.
"""

from __future__ import annotations

from struct import Struct

from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from testbed.net.addresses import Address, Network

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
        fields += _DST[version] + dst.packed if isinstance(dst, Address) else _masked(_DST[version], dst)
    if proto is not None:
        fields += _IP_PROTO + proto.to_bytes(1, "big")
        if proto in _PORTS:
            src_header, dst_header = _PORTS[proto]
            if src_port is not None:
                fields += _port(src_header, src_port, port_block)
            if dst_port is not None:
                fields += _port(dst_header, dst_port, port_block)
    return _match(fields)


def network_match(in_port: int, version: int, *, src: Network | None = None, dst: Network | None = None) -> bytes:
    """Match IP packets that come in by a port, from or to a network."""
    fields = _IN_PORT + in_port.to_bytes(4, "big") + _ETH_TYPE[version]
    for header, network in ((_SRC[version], src), (_DST[version], dst)):
        if network is not None:
            is_one = network.prefixlen == network.max_prefixlen
            fields += header + network.network_address.packed if is_one else _masked(header, network)
    return _match(fields)


def port_match(in_port: int, eth_dst: bytes | None = None) -> bytes:
    """Match what comes in by a port, or that of it which goes to one MAC address."""
    return _match(_IN_PORT + in_port.to_bytes(4, "big") + (b"" if eth_dst is None else _ETH_DST + eth_dst))


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


def decrement_ttl() -> bytes:
    """Take one off the hop limit; a packet that has none left is dropped."""
    return _DEC_TTL


def output(port: int) -> bytes:
    """Send the packet out of a port; to the controller, whole."""
    return _OUTPUT.pack(ofp.OFPAT_OUTPUT, _OUTPUT.size, port, ofp.OFPCML_NO_BUFFER)


def hash_of_flow(register: int) -> bytes:
    """Put a hash of what tells flows apart (addresses, protocol, ports) into a register. Open vSwitch's own action."""
    return _MULTIPATH.pack(
        ofp.OFPAT_EXPERIMENTER, _MULTIPATH.size, _NICIRA, _NX_MULTIPATH, _SYMMETRIC_L3L4_UDP, 0, _MODULO_N, 0, 0,
        31, _NXM_REGISTER | register << 9 | 4,
    )  # fmt: skip


def add_entry(
    cookie: int, priority: int, match: bytes, actions: bytes, idle_timeout_s: int = 0, *, tells_removal: bool = False
) -> bytes:
    """Add an entry to table 0. `actions` follow one another."""
    flags = ofp.OFPFF_SEND_FLOW_REM if tells_removal else 0
    body = match + _INSTRUCTION.pack(ofp.OFPIT_APPLY_ACTIONS, _INSTRUCTION.size + len(actions)) + actions
    return (
        _FLOW_MOD.pack(
            ofp.OFP_VERSION, ofp.OFPT_FLOW_MOD, _FLOW_MOD.size + len(body), _XID, cookie, 0, 0, ofp.OFPFC_ADD,
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
