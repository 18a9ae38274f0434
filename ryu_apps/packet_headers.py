"""The flow key of a packet that a switch sent up, read with the framework's packet library."""

from __future__ import annotations

from ipaddress import ip_address

from ryu_apps.framework import ipv4, ipv6, packet, tcp, udp
from testbed.dyncast.flows import FlowKey


def flow_key(data: bytes) -> FlowKey | None:
    """Return the key of an IPv4 or IPv6 packet in an Ethernet frame; None for anything else or malformed."""
    try:
        parsed = packet.Packet(data)
    except Exception:  # the library raises whatever its parsers stumble over
        return None
    network = parsed.get_protocol(ipv4.ipv4) or parsed.get_protocol(ipv6.ipv6)
    if network is None:
        return None
    transport = parsed.get_protocol(tcp.tcp) or parsed.get_protocol(udp.udp)
    src, dst = ip_address(network.src), ip_address(network.dst)
    if transport is None:
        proto = network.proto if isinstance(network, ipv4.ipv4) else network.nxt
        return FlowKey(src, dst, proto, None, None)
    proto = 6 if isinstance(transport, tcp.tcp) else 17
    return FlowKey(src, dst, proto, transport.src_port, transport.dst_port)
