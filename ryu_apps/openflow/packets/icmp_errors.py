"""ICMP errors: the flow that the packet they quote is of.

An error is believed as far as RFC 5508 asks of a translator: it is whole, its checksum is right, it quotes as much of a
packet as names its flow, and it goes to who sent that packet. Knows nothing of services.
"""

from __future__ import annotations

from ryu_apps.openflow.packets import ip_packet
from ryu_apps.openflow.packets.packet_headers import ICMP, ICMPV6, PORTS_BYTES, key_of
from ryu_apps.openflow.packets.rewriting import ICMP_HEADER_BYTES, has_right_icmp_checksum
from testbed.net.flow_key import FlowKey

TYPES = {4: (3, 11, 12), 6: (1, 2, 3, 4)}  # unreachable, time exceeded, parameters; of IPv6 also: too big


def quoted_flow(data: bytes) -> FlowKey | None:
    """Return the key of the packet that an ICMP error in a frame quotes; None if it is not to be believed."""
    packet = ip_packet.in_frame(data)
    if packet is None or packet.is_fragment or packet.proto != (ICMP if packet.version == 4 else ICMPV6):
        return None
    quote_at = packet.payload_at + ICMP_HEADER_BYTES
    if quote_at >= packet.end or data[packet.payload_at] not in TYPES[packet.version]:
        return None
    quoted = ip_packet.at(data, quote_at, packet.end, packet.version)
    if quoted is None or quoted.payload_at > packet.end or quoted.src != packet.dst:
        return None
    key = key_of(data, quoted, PORTS_BYTES)
    return None if key.lacks_ports or not has_right_icmp_checksum(data, packet) else key
